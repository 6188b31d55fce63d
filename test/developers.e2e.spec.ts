import { randomUUID } from 'node:crypto';
import { signDeveloperTokens } from '../src/auth/developer-token';
import { isPersonalAccessToken } from '../src/auth/personal-access-token';
import { isWellFormedApiKey } from '../src/auth/api-key';
import { loadConfig } from '../src/config';
import { limitedTo, onWorld, tally, useWorld, type World } from './support/world';

const world = useWorld({ signup: 'open' });

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const someone = () => ({ email: `${randomUUID()}@example.com`, password: 'correct horse' });
const auth = (path: string, body: object, on: World = world) =>
  on.http.post(`/v1/auth/developer/${path}`).send(body);
const me = (token: string) => world.http.get('/v1/auth/developer/me').set(bearer(token));

async function signUp() {
  const credentials = someone();
  const { body } = await auth('signup', { ...credentials, name: 'Ada' }).expect(201);
  return { ...credentials, ...body.data };
}

describe('signing up', () => {
  it('gives a session, a personal access token and a first project whose keys work', async () => {
    const ada = await signUp();
    expect(ada.developer).toEqual({
      ...{ id: expect.any(String), email: ada.email, name: 'Ada' },
      ...{ created_at: expect.any(String), updated_at: expect.any(String) },
    });
    expect(isPersonalAccessToken(ada.pat)).toBe(true);
    const { client, server } = ada.project.api_keys;
    expect([isWellFormedApiKey(client), isWellFormedApiKey(server)]).toEqual([true, true]);

    for (const token of [ada.access_token, ada.pat, server]) {
      const { body } = await world.http
        .get(`/admin/projects/${ada.project.id}`)
        .set(bearer(token))
        .expect(200);
      expect(body.data).toMatchObject({ id: ada.project.id, name: 'My app' });
    }
    await world.http.get('/v1/client/config').set({ 'x-api-key': client }).expect(200);
  });

  it('refuses what is no address, a short password, and an address that is taken however it is written', async () => {
    const { email } = await signUp();
    const outcomes = [];
    for (const body of [
      { email: 'ada', password: 'correct horse' },
      { ...someone(), password: '1234567' },
      { email: ` ${email.toUpperCase()} `, password: 'correct horse' },
      { ...someone(), name: ' ' },
      { ...someone(), is_admin: true },
    ])
      outcomes.push(await auth('signup', body));
    expect(outcomes.map((answer) => Object.keys(tally([answer]))[0])).toEqual([
      '400 INVALID_INPUT',
      '400 WEAK_PASSWORD',
      '409 EMAIL_EXISTS',
      '400 INVALID_INPUT',
      '400 INVALID_INPUT',
    ]);
  });

  it('with one address 20 times at once makes one account and one project', async () => {
    const credentials = someone();
    const [{ before }] = await world.db.query('SELECT count(*) AS before FROM projects');
    const answers = await Promise.all(Array.from({ length: 20 }, () => auth('signup', credentials)));
    expect(tally(answers)).toEqual({ '201': 1, '409 EMAIL_EXISTS': 19 });
    const [{ after }] = await world.db.query('SELECT count(*) AS after FROM projects');
    expect(after - before).toBe(1);
  });

  it('lets one developer in by default, of ten at once, and nobody after', async () => {
    await onWorld({}, async (own) => {
      expect(own.config.signup).toBe('first');
      const answers = await Promise.all(Array.from({ length: 10 }, () => auth('signup', someone(), own)));
      expect(tally(answers)).toEqual({ '201': 1, '403 SIGNUP_CLOSED': 9 });
      expect(tally([await auth('signup', someone(), own)])).toEqual({ '403 SIGNUP_CLOSED': 1 });
    });
  });

  it('lets nobody in where it is closed', async () => {
    await onWorld({ signup: 'closed' }, async (own) => {
      expect(tally([await auth('signup', someone(), own)])).toEqual({ '403 SIGNUP_CLOSED': 1 });
    });
  });
});

describe('logging in', () => {
  it('opens a session, and hears the same for an unknown address and a wrong password', async () => {
    const { email, password, developer } = await signUp();
    const { body } = await auth('login', { email: email.toUpperCase(), password }).expect(200);
    expect(body.data.developer).toEqual(developer);
    expect((await me(body.data.access_token).expect(200)).body.data).toMatchObject({ email });

    const wrong = await auth('login', { email, password: 'wrong horse' }).expect(401);
    const unknown = await auth('login', someone()).expect(401);
    expect(wrong.body.error).toEqual({ ...unknown.body.error, request_id: wrong.body.error.request_id });
    expect(wrong.body.error.code).toBe('INVALID_CREDENTIALS');
  });

  it('is over at once after a logout, however often that is sent', async () => {
    const { access_token, refresh_token, email, password } = await signUp();
    const other = (await auth('login', { email, password })).body.data;
    await auth('logout', { refresh_token }).expect(200, { data: { logged_out: true } });
    await auth('logout', { refresh_token }).expect(200);
    await auth('logout', { refresh_token: 'no token at all' }).expect(200);
    expect(tally([await me(access_token), await auth('refresh', { refresh_token })])).toEqual({
      '401 INVALID_TOKEN': 2,
    });
    await me(other.access_token).expect(200);
  });
});

describe('a refresh token', () => {
  const refresh = (refresh_token: string) => auth('refresh', { refresh_token });
  const age = (seconds: number) =>
    world.db.query(`UPDATE developer_sessions SET rotated_at = rotated_at - make_interval(secs => $1)`, [
      seconds,
    ]);

  it('gives new tokens of the same developer, and is used up', async () => {
    const { refresh_token, developer } = await signUp();
    const first = (await refresh(refresh_token).expect(200)).body.data;
    expect(first.developer).toEqual(developer);
    await me(first.access_token).expect(200);
    const second = (await refresh(first.refresh_token).expect(200)).body.data;
    await me(second.access_token).expect(200);
  });

  it('sent 20 times at once, as by a client that retries, leads to one next token', async () => {
    const { refresh_token } = await signUp();
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(refresh_token)));
    expect(tally(answers)).toEqual({ '200': 20 });
    const next = new Set(answers.map(({ body }) => generationOf(body.data.refresh_token)));
    expect([...next]).toEqual([1]);
  });

  it('is still good for a retry after 9 seconds, and ends the session after 11', async () => {
    const { refresh_token } = await signUp();
    const { body } = await refresh(refresh_token).expect(200);
    await age(9);
    await refresh(refresh_token).expect(200);
    await age(2);
    expect(tally([await refresh(refresh_token)])).toEqual({ '401 INVALID_TOKEN': 1 });
    expect(tally([await me(body.data.access_token), await refresh(body.data.refresh_token)])).toEqual({
      '401 INVALID_TOKEN': 2,
    });
  });

  it('from two rotations ago ends the session, however soon', async () => {
    const { refresh_token } = await signUp();
    const first = (await refresh(refresh_token)).body.data;
    const second = (await refresh(first.refresh_token)).body.data;
    expect(tally([await refresh(refresh_token)])).toEqual({ '401 INVALID_TOKEN': 1 });
    expect(tally([await me(second.access_token), await refresh(second.refresh_token)])).toEqual({
      '401 INVALID_TOKEN': 2,
    });
  });

  it('is no access token, nor the other way round, nor one that somebody else signed', async () => {
    const { access_token, refresh_token, developer } = await signUp();
    const claims = { developerId: developer.id, sessionId: sessionOf(refresh_token), generation: 0 };
    const forged = signDeveloperTokens(claims, 'another secret, which is long enough too');
    const foreign = signDeveloperTokens(
      { ...claims, sessionId: sessionOf((await signUp()).refresh_token) },
      world.config.sessionSecrets[0],
    );
    expect(
      tally([
        ...[await me(refresh_token), await refresh(access_token)],
        ...[await me(forged.accessToken), await refresh(forged.refreshToken)],
        ...[await me(foreign.accessToken), await refresh(foreign.refreshToken)],
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 6 });
    await me(access_token).expect(200);
  });
});

describe('the personal access token', () => {
  const rotate = (token: string) =>
    world.http.post('/v1/auth/developer/pat/rotate').set(bearer(token)).send();

  it('is replaced by one that works, and works no more itself', async () => {
    const { pat, access_token } = await signUp();
    const { body } = await rotate(pat).expect(201);
    expect(tally([await me(pat), await rotate(pat)])).toEqual({ '401 INVALID_TOKEN': 2 });
    await me(body.data.pat).expect(200);
    const next = (await rotate(access_token).expect(201)).body.data.pat;
    expect(tally([await me(body.data.pat), await me(next)])).toEqual({ '401 INVALID_TOKEN': 1, '200': 1 });
  });

  it('is one, of ten rotations at once, and the log tells of each', async () => {
    const { access_token } = await signUp();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rotate(access_token)));
    expect(tally(answers)).toEqual({ '201': 10 });
    const uses = await Promise.all(answers.map(({ body }) => me(body.data.pat)));
    expect(tally(uses)).toEqual({ '200': 1, '401 INVALID_TOKEN': 9 });
    const { body } = await world.http
      .get('/v1/auth/developer/audit-log?action=pat.rotate')
      .set(bearer(access_token))
      .expect(200);
    expect(body.total).toBe(10);
  });

  it('is shown by its beginning and its last use only', async () => {
    const { pat, developer } = await signUp();
    const { body } = await me(pat).expect(200);
    expect(body.data).toEqual({
      ...developer,
      pat: {
        ...{ id: expect.any(String), prefix: pat.slice(0, 16) },
        ...{ created_at: expect.any(String), last_used_at: expect.any(String) },
      },
    });
  });
});

describe('how often one address may come', () => {
  const limits = { signup: 'open', trustProxy: 1 } as const;
  const from = (own: World, path: string, address: string) =>
    own.http.post(`/auth/developer/${path}`).set('x-forwarded-for', address).send({});

  it.each([
    ['signup', 5],
    ['login', 10],
    ['refresh', 30],
  ])('at %s: %i times a minute, then 429 with Retry-After, counted by address', async (path, allowed) => {
    const { rateLimits } = loadConfig({
      ...{ DATABASE_URL: 'postgres://unused', SESSION_SECRET: 'a secret that only the tests know, 32+' },
    });
    await onWorld({ ...limits, rateLimits }, async (own) => {
      const answers = [];
      for (let i = 0; i < allowed + 2; i += 1) answers.push(await from(own, path, '203.0.113.1'));
      expect(tally(answers)).toEqual({ '400 INVALID_INPUT': allowed, '429 RATE_LIMITED': 2 });
      expect(Number(answers.at(-1)?.headers['retry-after'])).toBeGreaterThan(0);
      expect(tally([await from(own, path, '203.0.113.2')])).toEqual({ '400 INVALID_INPUT': 1 });
    });
  });

  it('is not fooled by X-Forwarded-For when no proxy is trusted', async () => {
    await onWorld(limitedTo({ 'developer-login': 1 }), async (own) => {
      const answers = [];
      for (const last of [1, 2, 3]) answers.push(await from(own, 'login', `203.0.113.${last}`));
      expect(tally(answers)).toEqual({ '400 INVALID_INPUT': 1, '429 RATE_LIMITED': 2 });
    });
  });
});

function payloadOf(token: string): { sid: string; gen: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

const generationOf = (token: string) => payloadOf(token).gen;
const sessionOf = (token: string) => payloadOf(token).sid;
