import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { generateApiKey } from '../src/auth/api-key';
import { generatePersonalAccessToken } from '../src/auth/personal-access-token';
import { generateRefreshToken } from '../src/auth/refresh-token';
import { IdentityProvider } from './support/identity-provider';
import { stageProject, type Stage } from './support/stage';
import { startWorld, tally, useWorld, type TestDeveloper } from './support/world';
import { WriteMeter } from './support/write-meter';

/** Credentials that are no JWT, misspelt and made up; and every kind of credential in the place of every other. */
const google = new IdentityProvider();
afterAll(() => google.close());

const world = useWorld(async () => ({
  jwksUrls: await google.listen().then((url) => ({ google: url, apple: url })),
}));

let stage: Stage;
let meter: WriteMeter;

beforeAll(async () => {
  stage = await stageProject(world);
  meter = await WriteMeter.on(world.db);
});

const tokenOf = ({ authorization }: { authorization: string }) => authorization.slice('Bearer '.length);
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const outcome = (answer: Response) => Object.keys(tally([answer]))[0];
const swapCase = (text: string) =>
  text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
const turn = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);

/** What a forger makes of a credential of ours. */
const MISSPELT: [string, (credential: string) => string][] = [
  ['the first random character another', (text) => turn(text, text.lastIndexOf('_') + 1)],
  ['the last character another', (text) => turn(text, text.length - 1)],
  ['a character in the middle another', (text) => turn(text, text.length - 12)],
  ['one character less', (text) => text.slice(0, -1)],
  ['one character more', (text) => `${text}A`],
  ['its beginning only', (text) => text.slice(0, 16)],
  ['small and capital letters exchanged', swapCase],
  ['capital letters', (text) => text.toUpperCase()],
  ['percent-encoding', (text) => text.replaceAll('_', '%5F')],
  ['quotes around it', (text) => `"${text}"`],
  ['itself behind it', (text) => text + text],
  ['SQL behind it', (text) => `${text}'--`],
  ['a comma and another', (text) => `${text},${text}`],
  ['a look-alike in it', (text) => text.replace('a', 'а').normalize()],
  ['another environment', (text) => text.replace('_dev_', '_live_')],
  ['8 kB behind it', (text) => text + 'A'.repeat(8_000)],
];

interface Place {
  credential: () => string | Promise<string>;
  send: (credential: string) => PromiseLike<Response>;
  refusal: string;
  madeUp: () => string;
  /** Lengths above it are refused as input. */
  maxLength?: number;
}

const PLACES: Record<string, Place> = {
  'a client key': {
    credential: () => stage.tenant.clientKey,
    send: (key) =>
      world.http
        .get('/v1/client/referrals/my-code')
        .set({ ...stage.player.headers, 'x-api-key': latin1(key) }),
    refusal: '401 INVALID_API_KEY',
    madeUp: () => generateApiKey('client', 'development'),
  },
  'a server key': {
    credential: () => stage.tenant.serverKey,
    send: (key) =>
      world.http
        .patch(`/v1/admin/projects/${stage.tenant.id}`)
        .set(bearer(latin1(key)))
        .send({ name: 'Mine' }),
    refusal: '401 INVALID_TOKEN',
    madeUp: () => generateApiKey('server', 'development'),
  },
  'a personal access token': {
    credential: () => tokenOf(stage.owner.headers),
    send: (token) =>
      world.http
        .post('/v1/admin/projects')
        .set(bearer(latin1(token)))
        .send({ name: 'Mine' }),
    refusal: '401 INVALID_TOKEN',
    madeUp: generatePersonalAccessToken,
  },
  'a refresh token of a user': {
    credential: () => stage.refreshToken,
    send: (refresh_token) => world.auth(stage.tenant, 'refresh', { refresh_token }),
    refusal: '401 INVALID_TOKEN',
    madeUp: generateRefreshToken,
    maxLength: 200,
  },
};

/** What a header can carry of it. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

describe.each(Object.entries(PLACES))(
  '%s',
  (_, { credential, send, refusal, madeUp, maxLength = Infinity }) => {
    it.each<[string, (credential: string) => string]>([...MISSPELT, ['all of it made up', madeUp]])(
      'with %s is refused',
      async (_name, forge) => {
        const genuine = await credential();
        const forged = forge(genuine);
        // what changes nothing forges nothing: a token without an environment has no other one
        if (forged === genuine) return;
        const mark = await meter.mark();
        const answer = outcome(await send(forged));
        expect(answer).toBe(forged.length > maxLength ? '400 INVALID_INPUT' : refusal);
        expect(await meter.since(mark)).toEqual([]);
      },
    );

    it('as it is works', async () => {
      expect((await send(await credential())).status).toBeLessThan(300);
    });
  },
);

describe('in the place of another credential', () => {
  const KINDS = [
    ...(['client key', 'server key', 'personal access token', 'session token', 'refresh token'] as const),
    ...(['developer token', 'developer refresh token', 'google token', 'apple token'] as const),
  ];
  type Kind = (typeof KINDS)[number];

  async function all(): Promise<Record<Kind, string>> {
    const { tenant, owner } = await stageProjectOf(stage.owner);
    const { email, password } = owner;
    const developer = await world.http.post('/v1/auth/developer/login').send({ email, password }).expect(200);
    const user = (await world.auth(tenant, 'anonymous').expect(201)).body.data;
    return {
      ...{ 'client key': tenant.clientKey, 'server key': tenant.serverKey },
      ...{ 'personal access token': tokenOf(owner.headers), 'session token': user.session_token },
      ...{ 'refresh token': user.refresh_token, 'developer token': developer.body.data.access_token },
      'developer refresh token': developer.body.data.refresh_token,
      'google token': await google.token(randomUUID()),
      'apple token': await google.token(randomUUID(), { iss: 'https://appleid.apple.com' }),
    };
  }
  const stageProjectOf = (owner: TestDeveloper) => stageProject(world, owner);

  const INVALID = '401 INVALID_TOKEN';
  const REFUSED_KEYS = { 'client key': '403 FORBIDDEN', 'server key': '403 FORBIDDEN' };
  const IN: Record<string, { accepts: Partial<Record<Kind, string>>; otherwise: string; longer?: number }> = {
    'X-Api-Key': {
      accepts: { 'client key': '200', 'server key': '403 FORBIDDEN' },
      otherwise: '401 INVALID_API_KEY',
    },
    'Bearer of a client route': { accepts: { 'session token': '200' }, otherwise: INVALID },
    'Bearer of a developer route': {
      accepts: { ...REFUSED_KEYS, 'personal access token': '200', 'developer token': '200' },
      otherwise: INVALID,
    },
    'Bearer of a project route': {
      accepts: {
        'client key': '403 FORBIDDEN',
        'server key': '200',
        'personal access token': '200',
        'developer token': '200',
      },
      otherwise: INVALID,
    },
    'refresh_token of a user': { accepts: { 'refresh token': '200' }, otherwise: INVALID, longer: 200 },
    'refresh_token of a developer': { accepts: { 'developer refresh token': '200' }, otherwise: INVALID },
    id_token: { accepts: { 'google token': '201' }, otherwise: INVALID },
  };

  it.each(KINDS.flatMap((kind) => Object.keys(IN).map((place) => [kind, place] as const)))(
    'a %s as %s',
    async (kind, place) => {
      const credentials = await all();
      const token = credentials[kind];
      const key = { 'x-api-key': credentials['client key'] };
      const [row] = await world.db.query(
        `SELECT project_id AS id FROM api_keys WHERE digest = sha256($1::bytea)`,
        [credentials['client key']],
      );
      const post = (path: string, body: object) => world.http.post(path).set(key).send(body);
      const send: Record<string, () => PromiseLike<Response>> = {
        'X-Api-Key': () => world.http.get('/v1/client/config').set('x-api-key', token),
        'Bearer of a client route': () =>
          world.http.get('/v1/client/users/me').set({ ...key, ...bearer(token) }),
        'Bearer of a developer route': () => world.http.get('/v1/auth/developer/me').set(bearer(token)),
        'Bearer of a project route': () => world.http.get(`/v1/admin/projects/${row.id}`).set(bearer(token)),
        'refresh_token of a user': () => post('/v1/client/auth/refresh', { refresh_token: token }),
        'refresh_token of a developer': () => post('/v1/auth/developer/refresh', { refresh_token: token }),
        id_token: () => post('/v1/client/auth/social', { provider: 'google', id_token: token }),
      };
      const { accepts, otherwise, longer = Infinity } = IN[place]!;
      const mark = await meter.mark();
      const answer = outcome(await send[place]!());
      expect(answer).toBe(token.length > longer ? '400 INVALID_INPUT' : (accepts[kind] ?? otherwise));
      if (!answer?.startsWith('2')) expect(await meter.since(mark)).toEqual([]);
    },
  );
});

describe('what was right once', () => {
  it('a secret that is replaced ends every token that it signed, and no key', async () => {
    const { email, password } = stage.owner;
    const { access_token, refresh_token } = (
      await world.http.post('/v1/auth/developer/login').send({ email, password }).expect(200)
    ).body.data;
    const { url } = world.db.options as { url: string };
    const other = await startWorld(url, { sessionSecrets: ['another secret that only this test knows'] });
    const { http } = other.world;
    try {
      const answers = [
        await http.get('/v1/client/users/me').set(stage.player.headers),
        await http.get('/v1/auth/developer/me').set(bearer(access_token)),
        await http.post('/v1/auth/developer/refresh').send({ refresh_token }),
        await http.get('/v1/client/config').set('x-api-key', stage.tenant.clientKey),
        await http.get('/v1/auth/developer/me').set(stage.owner.headers),
      ];
      expect(answers.map(outcome)).toEqual([INVALID, INVALID, INVALID, '200', '200']);
    } finally {
      await other.close();
    }
  });

  const INVALID = '401 INVALID_TOKEN';

  it('a revoked session, a disabled user, an erased user, a deactivated key, a deleted project', async () => {
    const { tenant, owner } = await stageProject(world, stage.owner);
    const [revoked, disabled, erased, ada] = await tenant.players(4);
    const me = async (player = ada) =>
      outcome(await world.http.get('/v1/client/users/me').set(player!.headers));
    const users = `/v1/admin/projects/${tenant.id}/users`;
    await world.db.query(`UPDATE sessions SET revoked_at = now() WHERE user_id = $1`, [revoked!.id]);
    await world.http.post(`${users}/${disabled!.id}/disable`).set(owner.headers).expect(200);
    await world.http.delete(`${users}/${erased!.id}`).set(owner.headers).expect(200);
    expect([await me(revoked), await me(disabled), await me(erased), await me()]).toEqual([
      INVALID,
      INVALID,
      INVALID,
      '200',
    ]);

    const keys = await world.http
      .get(`/v1/admin/projects/${tenant.id}/api-keys`)
      .set(owner.headers)
      .expect(200);
    const { id } = keys.body.data.find(({ key_type }: { key_type: string }) => key_type === 'client');
    await world.http.delete(`/v1/admin/projects/${tenant.id}/api-keys/${id}`).set(owner.headers).expect(200);
    expect(await me()).toBe('401 INVALID_API_KEY');
    const server = async () =>
      outcome(await world.http.get(`/v1/admin/projects/${tenant.id}`).set(tenant.server));
    expect(await server()).toBe('200');
    await world.http.delete(`/v1/admin/projects/${tenant.id}`).set(owner.headers).expect(200);
    expect(await server()).toBe(INVALID);
  });
});
