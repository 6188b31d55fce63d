import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { IdentityTokensService } from '../src/users/identity-tokens.service';
import { IdentityProvider } from './support/identity-provider';
import { startWorld, tally, useWorld, type Tenant, TESTER } from './support/world';

const google = new IdentityProvider();
afterAll(() => google.close());

const world = useWorld(async () => ({
  jwksUrls: { google: await google.listen(), apple: 'http://127.0.0.1:9/keys' },
}));

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
});

const post = (path: string, body?: object, token?: string) => world.auth(tenant, path, body, token);
const me = (token: string) =>
  world.http
    .get('/v1/client/users/me')
    .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` });
const anonymous = async () => (await post('anonymous').expect(201)).body.data;
const credentials = () => ({ email: `${randomUUID()}@example.com`, password: 'correct horse' });

describe('Apple and Google', () => {
  beforeEach(() =>
    world.app.get(IdentityTokensService).configure(TESTER, tenant.id, 'google', ['our-app', 'our-other-app']),
  );

  it('sign in the same user each time, made the first time', async () => {
    const sub = randomUUID();
    const first = await post('social', { provider: 'google', id_token: await google.token(sub) }).expect(201);
    const again = await post('social', {
      provider: 'google',
      id_token: await google.token(sub, { aud: 'our-other-app' }),
    }).expect(200);
    expect(again.body.data.user).toMatchObject({
      id: first.body.data.user.id,
      auth_providers: [{ provider: 'google', provider_id: sub }],
    });
  });

  it.each(['/v1', ''])('and linking answer at the base path "%s"', async (prefix) => {
    const send = async (path: string, token?: string) =>
      world.http
        .post(`${prefix}/client/auth/${path}`)
        .set({ 'x-api-key': tenant.clientKey, ...(token && { authorization: `Bearer ${token}` }) })
        .send({ provider: 'google', id_token: await google.token(randomUUID()) });
    const { session_token: token } = (await post('email/signup', credentials()).expect(201)).body.data;
    expect(tally([await send('social'), await send('link', token)])).toEqual({ '201': 1, '200': 1 });
    await world.http
      .post(`${prefix}/admin/projects/${tenant.id}/users/session`)
      .set('authorization', `Bearer ${tenant.serverKey}`)
      .send({ external_id: 'user-42' })
      .expect(201);
  });

  it('make one user of 8 first sign-ins at once', async () => {
    const id_token = await google.token(randomUUID());
    const responses = await Promise.all(
      Array.from({ length: 8 }, () => post('social', { provider: 'google', id_token })),
    );
    expect(tally(responses)).toEqual({ '201': 1, '200': 7 });
    expect(new Set(responses.map(({ body }) => body.data.user.id)).size).toBe(1);
  });

  it('keep the anonymous user who signs in for the first time', async () => {
    const { session_token: token, user } = await anonymous();
    const { body } = await post(
      'social',
      { provider: 'google', id_token: await google.token(randomUUID()) },
      token,
    ).expect(200);
    expect(body.data.user.id).toBe(user.id);
  });

  it('can be linked to a signed-in user, once, and to nobody else', async () => {
    const sub = randomUUID();
    const id_token = await google.token(sub);
    const { session_token: token, user } = (await post('email/signup', credentials()).expect(201)).body.data;
    const link = (session?: string) => post('link', { provider: 'google', id_token }, session);
    expect((await link(token).expect(200)).body.data.user).toMatchObject({
      id: user.id,
      auth_providers: [{ provider: 'email' }, { provider: 'google', provider_id: sub }],
    });
    await link(token).expect(200);
    const { session_token: other } = await anonymous();
    expect(tally([await link(other), await link(), await link('stale')])).toEqual({
      '409 USER_EXISTS': 1,
      '401 MISSING_SESSION': 1,
      '401 INVALID_TOKEN': 1,
    });
    expect(tally([await post('link', { provider: 'apple', id_token }, token)])).toEqual({
      '400 UNSUPPORTED_PROVIDER': 1,
    });
    expect((await post('social', { provider: 'google', id_token }).expect(200)).body.data.user.id).toBe(
      user.id,
    );
  });

  it.each<[string, () => Promise<object> | object, string]>([
    [
      'another audience',
      async () => ({ provider: 'google', id_token: await google.token('x', { aud: 'their-app' }) }),
      '401 INVALID_TOKEN',
    ],
    [
      'another issuer',
      async () => ({
        provider: 'google',
        id_token: await google.token('x', { iss: 'https://evil.example' }),
      }),
      '401 INVALID_TOKEN',
    ],
    [
      'an expired token',
      async () => ({ provider: 'google', id_token: await google.token('x', { exp: '-1 m' }) }),
      '401 INVALID_TOKEN',
    ],
    [
      'a token that never expires',
      async () => ({ provider: 'google', id_token: await google.token('x', { exp: '' }) }),
      '401 INVALID_TOKEN',
    ],
    [
      'an empty subject',
      async () => ({ provider: 'google', id_token: await google.token('') }),
      '401 INVALID_TOKEN',
    ],
    [
      'a subject with NUL',
      async () => ({ provider: 'google', id_token: await google.token('\u0000') }),
      '401 INVALID_TOKEN',
    ],
    [
      'an endless subject',
      async () => ({ provider: 'google', id_token: await google.token('x'.repeat(256)) }),
      '401 INVALID_TOKEN',
    ],
    [
      'a subject that is no text',
      async () => ({ provider: 'google', id_token: await google.token({ a: 1 }) }),
      '401 INVALID_TOKEN',
    ],
    ['no token', () => ({ provider: 'google', id_token: 'x' }), '401 INVALID_TOKEN'],
    [
      'a provider that is not configured',
      async () => ({ provider: 'apple', id_token: await google.token('x') }),
      '400 UNSUPPORTED_PROVIDER',
    ],
    [
      'a provider that is none',
      async () => ({ provider: 'myspace', id_token: await google.token('x') }),
      '400 UNSUPPORTED_PROVIDER',
    ],
    ['a missing field', () => ({ provider: 'google' }), '400 INVALID_INPUT'],
  ])('refuse %s', async (_, body, outcome) => {
    expect(tally([await post('social', await body())])).toEqual({ [outcome]: 1 });
  });

  it('keep a disabled user out', async () => {
    const id_token = await google.token(randomUUID());
    const { user } = (await post('social', { provider: 'google', id_token }).expect(201)).body.data;
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [user.id]);
    expect(tally([await post('social', { provider: 'google', id_token })])).toEqual({
      '401 INVALID_TOKEN': 1,
    });
    await world.signOutTheDisabled();
  });

  it('give an anonymous user to one of three accounts that race for it, and the others users of their own', async () => {
    for (let round = 0; round < 4; round += 1) {
      const { session_token: token, user } = await anonymous();
      const tokens = await Promise.all([1, 2, 3].map(() => google.token(randomUUID())));
      const responses = await Promise.all(
        tokens.map((id_token) => post('social', { provider: 'google', id_token }, token)),
      );
      expect(tally(responses)).toEqual({ '200': 1, '201': 2 });
      expect(responses.filter(({ body }) => body.data.user.id === user.id)).toHaveLength(1);
    }
  });

  it('say 503 while the keys of the provider cannot be fetched', async () => {
    await world.app.get(IdentityTokensService).configure(TESTER, tenant.id, 'apple', ['our-app']);
    const id_token = await google.token('x', { iss: 'https://appleid.apple.com' });
    const unavailable = { '503 SERVICE_UNAVAILABLE': 1 };
    expect(tally([await post('social', { provider: 'apple', id_token })])).toEqual(unavailable);
    for (const [status, keys] of [
      [200, '{"nope":1}'],
      [200, 'not JSON'],
      [500, '{}'],
    ] as const) {
      const broken = createServer((_, response) => void response.writeHead(status).end(keys));
      await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(broken.address() as AddressInfo).port}/`;
      const other = await startWorld((world.db.options as { url: string }).url, {
        jwksUrls: { google: url, apple: url },
      });
      const response = await other.world.http
        .post('/client/auth/social')
        .set('x-api-key', tenant.clientKey)
        .send({ provider: 'apple', id_token });
      await other.close();
      broken.close();
      expect({ keys, ...tally([response]) }).toEqual({ keys, ...unavailable });
    }
  });
});

describe('users of another system', () => {
  const session = (key: string, body: object, projectId = tenant.id) =>
    world.http
      .post(`/v1/admin/projects/${projectId}/users/session`)
      .set('authorization', `Bearer ${key}`)
      .send(body);

  it('get a session from the server key: found or made', async () => {
    const { body } = await session(tenant.serverKey, {
      external_id: 'user-42',
      display_name: 'Ada',
      properties: { level: 1 },
    }).expect(201);
    expect(body.data.user).toMatchObject({
      external_id: 'user-42',
      display_name: 'Ada',
      anonymous_id: null,
      auth_providers: [],
    });
    await me(body.data.session_token).expect(200);
    const again = await session(tenant.serverKey, { external_id: 'user-42', timezone: 'Europe/Rome' }).expect(
      201,
    );
    expect(again.body.data.user).toMatchObject({
      id: body.data.user.id,
      display_name: 'Ada',
      properties: { level: 1 },
      timezone: 'Europe/Rome',
    });
    await post('refresh', { refresh_token: again.body.data.refresh_token }).expect(200);
  });

  it('are made once by 10 requests at once', async () => {
    const responses = await Promise.all(
      Array.from({ length: 10 }, () => session(tenant.serverKey, { external_id: 'user-42' })),
    );
    expect(tally(responses)).toEqual({ '201': 10 });
    expect(new Set(responses.map(({ body }) => body.data.user.id)).size).toBe(1);
  });

  it('stay out when they are disabled', async () => {
    await session(tenant.serverKey, { external_id: 'user-42' }).expect(201);
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE project_id = $1`, [tenant.id]);
    const renamed = await session(tenant.serverKey, { external_id: 'user-42', display_name: 'Renamed' });
    expect(tally([renamed])).toEqual({ '401 INVALID_TOKEN': 1 });
    const [row] = await world.db.query(`SELECT display_name FROM app_users WHERE project_id = $1`, [
      tenant.id,
    ]);
    expect(row.display_name).not.toBe('Renamed');
    await world.signOutTheDisabled();
  });

  it('are for the project of the key only', async () => {
    const other = await world.tenant();
    const { session_token: token } = await anonymous();
    expect(
      tally([
        await session(other.serverKey, { external_id: 'x' }),
        await session(tenant.serverKey, { external_id: 'x' }, other.id),
        await session(tenant.serverKey, { external_id: 'x' }, 'not-a-uuid'),
        await session(tenant.clientKey, { external_id: 'x' }),
        await session(token, { external_id: 'x' }),
        await session('', { external_id: 'x' }),
        await session(tenant.serverKey, { external_id: '' }),
        await session(tenant.serverKey, { external_id: '❤️'.repeat(128) }),
        await session(tenant.serverKey, { external_id: '  ' }),
      ]),
    ).toEqual({
      '403 PROJECT_FORBIDDEN': 3,
      '403 FORBIDDEN': 1,
      '401 INVALID_TOKEN': 1,
      '401 MISSING_SESSION': 1,
      '400 INVALID_INPUT': 3,
    });
    await session(tenant.serverKey, { external_id: 'x' }, tenant.id.toUpperCase()).expect(201);
  });
});
