import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { signDeveloperTokens } from '../src/auth/developer-token';
import { signSessionToken } from '../src/auth/session-token';
import { loadConfig } from '../src/config';
import { startWorld, tally, useWorld, type Tenant, type World } from './support/world';

/** docs/operations.md, "Replace the session secret": each step an instance with the settings that the page shows. */
const page = readFileSync(join(__dirname, '../docs/operations.md'), 'utf8');
const [section = ''] = /^### Replace the session secret$[^]*?(?=^##)/m.exec(page) ?? [];
const steps = [...section.matchAll(/^ *```dotenv\n([^]*?)^ *```$/gm)].map(
  ([, block = '']) => loadConfig({ DATABASE_URL: 'postgres://unused', ...parseEnv(block) }).sessionSecrets,
);
const [OLD, NEW] = ['the-old-one-of-at-least-32-characters', 'the-new-one-of-at-least-32-characters'];

/** An instance for each step, beside each other on the database of the first. */
const instances: World[] = [];
const closings: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closings.map((close) => close())));
const world = useWorld({ sessionSecrets: [OLD], signup: 'open' });

let tenant: Tenant;

beforeAll(async () => {
  for (const sessionSecrets of steps) {
    const { world: instance, close } = await startWorld((world.db.options as { url: string }).url, {
      sessionSecrets,
    });
    instances.push(instance);
    closings.push(close);
  }
  tenant = await world.tenant();
});

const begin = async (on: World) => (await on.auth(tenant, 'anonymous').expect(201)).body.data;
const me = (on: World, token: string) =>
  on.http.get('/v1/client/users/me').set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` });
const refresh = (on: World, refresh_token: string) => on.auth(tenant, 'refresh', { refresh_token });

const developer = (on: World, path: string, body: object) =>
  on.http.post(`/v1/auth/developer/${path}`).send(body);
const logIn = async (on: World) => {
  const { email, password } = await world.developer();
  return (await developer(on, 'login', { email, password }).expect(200)).body.data;
};
const whoAmI = (on: World, token: string) =>
  on.http.get('/v1/auth/developer/me').set({ authorization: `Bearer ${token}` });
const generationOf = (token: string) => claimsOf(token).gen;

it('the page shows how it is before, and three steps', () => {
  expect(steps).toEqual([[OLD], [OLD, NEW], [NEW, OLD], [NEW]]);
});

describe.each([
  [0, 1],
  [1, 2],
  [2, 3],
])('while instances of step %i and step %i run beside each other', (earlier, later) => {
  const bothWays = () =>
    [
      [instances[earlier]!, instances[later]!],
      [instances[later]!, instances[earlier]!],
    ] as const;

  it('each accepts what the other signs', async () => {
    for (const [signer, other] of bothWays()) {
      await me(other, (await begin(signer)).session_token).expect(200);
      const { access_token, refresh_token } = await logIn(signer);
      await whoAmI(other, access_token).expect(200);
      const next = (await developer(other, 'refresh', { refresh_token }).expect(200)).body.data;
      await whoAmI(signer, next.access_token).expect(200);
    }
  });

  it('a refresh that is sent again to the other gives the same token, which goes on', async () => {
    for (const [first, other] of bothWays()) {
      const { refresh_token } = await begin(first);
      const answer = (await refresh(first, refresh_token).expect(200)).body.data;
      const again = (await refresh(other, refresh_token).expect(200)).body.data;
      expect(again.refresh_token).toBe(answer.refresh_token);
      await me(first, again.session_token).expect(200);
      await refresh(other, again.refresh_token).expect(200);
    }
  });

  it('20 refreshes at once, half of them at each, give one token', async () => {
    const { refresh_token } = await begin(instances[earlier]!);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => refresh(instances[i % 2 ? earlier : later]!, refresh_token)),
    );
    expect(tally(answers)).toEqual({ '200': 20 });
    expect(new Set(answers.map(({ body }) => body.data.refresh_token)).size).toBe(1);
  });

  it("a developer's refresh that is sent again to the other has the same number", async () => {
    for (const [first, other] of bothWays()) {
      const { refresh_token } = await logIn(first);
      const answers = [
        await developer(first, 'refresh', { refresh_token }).expect(200),
        await developer(other, 'refresh', { refresh_token }).expect(200),
      ];
      const tokens = answers.map(({ body }) => body.data.refresh_token);
      expect(tokens.map(generationOf)).toEqual([1, 1]);
      await developer(other, 'refresh', { refresh_token: tokens[0] }).expect(200);
    }
  });
});

describe('what was signed before', () => {
  it('works until the old secret is taken away, and what replaced it works on', async () => {
    const { session_token, refresh_token } = await begin(instances[0]!);
    const ada = await logIn(instances[0]!);
    const answers = [];
    for (const instance of instances) {
      answers.push(await me(instance, session_token), await whoAmI(instance, ada.access_token));
    }
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 401, 401]);

    const renewed = (await refresh(instances[2]!, refresh_token).expect(200)).body.data;
    await me(instances[3]!, renewed.session_token).expect(200);
    await refresh(instances[3]!, renewed.refresh_token).expect(200);
    const next = (await developer(instances[2]!, 'refresh', { refresh_token: ada.refresh_token }).expect(200))
      .body.data;
    await whoAmI(instances[3]!, next.access_token).expect(200);
    await developer(instances[3]!, 'refresh', { refresh_token: next.refresh_token }).expect(200);
  });

  it('can be logged out', async () => {
    const { session_token, refresh_token } = await begin(instances[0]!);
    const ada = await logIn(instances[0]!);
    await instances[2]!.auth(tenant, 'logout', { refresh_token }).expect(200);
    await developer(instances[2]!, 'logout', { refresh_token: ada.refresh_token }).expect(200);
    expect(
      tally([await me(instances[0]!, session_token), await whoAmI(instances[0]!, ada.access_token)]),
    ).toEqual({ '401 INVALID_TOKEN': 2 });
  });
});

describe('a previous secret', () => {
  it.each([
    [1, 3],
    [2, 0],
  ])('never signs: without the other one, nothing of step %i is accepted', async (signer, without) => {
    const { session_token } = await begin(instances[signer]!);
    const { access_token, refresh_token } = await logIn(instances[signer]!);
    const other = instances[without]!;
    expect(
      tally([
        ...[await me(other, session_token), await whoAmI(other, access_token)],
        await developer(other, 'refresh', { refresh_token }),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 3 });
  });

  it('opens no door that the first one keeps shut: other kinds of token, a third secret, an old token', async () => {
    const { user } = await begin(instances[0]!);
    const ada = await logIn(instances[0]!);
    const { sub, sid, pid } = claimsOf((await begin(instances[0]!)).session_token);
    const session = { userId: sub, projectId: pid, anonymous: true, sessionId: sid };
    const third = 'a third secret, which nobody has ever set';
    const forged = signDeveloperTokens(
      { developerId: ada.developer.id, sessionId: claimsOf(ada.refresh_token).sid, generation: 0 },
      third,
    );
    const instance = instances[2]!;
    expect(
      tally([
        await whoAmI(instance, ada.refresh_token),
        await developer(instance, 'refresh', { refresh_token: ada.access_token }),
        await me(instance, ada.access_token),
        await whoAmI(instance, forged.accessToken),
        await developer(instance, 'refresh', { refresh_token: forged.refreshToken }),
        await me(instance, signSessionToken(session, third, 60).token),
        await me(instance, signSessionToken(session, OLD, -1).token),
        await me(instance, signSessionToken({ ...session, userId: user.id }, OLD, 60).token),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 8 });
    await me(instance, signSessionToken(session, OLD, 60).token).expect(200);
  });
});

describe('a secret that has leaked, replaced without a previous one', () => {
  it('ends every token that it signed; users go on with their refresh token, developers log in', async () => {
    const { session_token, refresh_token } = await begin(instances[0]!);
    const ada = await logIn(instances[0]!);
    const instance = instances[3]!;
    expect(
      tally([
        ...[await me(instance, session_token), await whoAmI(instance, ada.access_token)],
        await developer(instance, 'refresh', { refresh_token: ada.refresh_token }),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 3 });
    const renewed = (await refresh(instance, refresh_token).expect(200)).body.data;
    await me(instance, renewed.session_token).expect(200);
  });

  it('refuses a refresh that was answered with it and is sent again; its answer goes on', async () => {
    const { refresh_token } = await begin(instances[0]!);
    const answered = (await refresh(instances[0]!, refresh_token).expect(200)).body.data;
    expect(tally([await refresh(instances[3]!, refresh_token)])).toEqual({ '401 INVALID_TOKEN': 1 });
    const renewed = (await refresh(instances[3]!, answered.refresh_token).expect(200)).body.data;
    await me(instances[3]!, renewed.session_token).expect(200);
  });
});

function claimsOf(token: string): { sub: string; pid: string; sid: string; gen: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
