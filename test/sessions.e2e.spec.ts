import { randomUUID } from 'node:crypto';
import { startWorld, tally, useWorld, type Tenant } from './support/world';

const world = useWorld();

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
const age = (seconds: number) =>
  world.db.query(
    `UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => $1) WHERE used_at IS NOT NULL`,
    [seconds],
  );

describe('anonymous users', () => {
  it('begin with nothing but the key', async () => {
    const { body } = await post('anonymous').expect(201);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(body.data).toEqual({
      session_token: expect.stringMatching(/^ey/),
      refresh_token: expect.stringMatching(/^amb_rt_/),
      expires_at: time,
      anonymous_id: expect.stringMatching(/^anon_[0-9A-Za-z]{20}$/),
      user: {
        id: expect.any(String),
        email: null,
        display_name: expect.stringMatching(/^[A-Z][\w-]+ [A-Z]/),
        avatar_url: null,
        external_id: null,
        anonymous_id: body.data.anonymous_id,
        auth_providers: [{ provider: 'anonymous', provider_id: body.data.anonymous_id }],
        properties: {},
        timezone: null,
        first_seen_at: time,
        last_seen_at: time,
        created_at: time,
        updated_at: time,
      },
    });
    expect((await me(body.data.session_token).expect(200)).body.data.id).toBe(body.data.user.id);
  });

  it('may send no body at all, and a stale session', async () => {
    await world.http.post('/client/auth/anonymous').set('x-api-key', tenant.clientKey).expect(201);
    await post('anonymous', {}, 'stale').expect(201);
    expect(tally([await post('anonymous', { admin: true })])).toEqual({ '400 INVALID_INPUT': 1 });
  });

  it('keep id, code and balances when they sign up', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const { session_token: token, user, anonymous_id } = await anonymous();
    const player = {
      id: user.id,
      headers: { 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` },
    };
    const { code } = (await world.myCode(player).expect(201)).body.data;
    await world.claim(player, 'PROMO').expect(201);

    const login = credentials();
    const signedUp = (await post('email/signup', login, token).expect(201)).body.data;
    expect(signedUp.user).toMatchObject({
      id: user.id,
      email: login.email,
      anonymous_id,
      auth_providers: [
        { provider: 'anonymous', provider_id: anonymous_id },
        { provider: 'email', provider_id: login.email },
      ],
    });
    const later = (await post('email/login', login).expect(200)).body.data;
    const again = {
      ...player,
      headers: { ...player.headers, authorization: `Bearer ${later.session_token}` },
    };
    expect((await world.myCode(again).expect(200)).body.data.code).toBe(code);
    expect(await world.balance(again, 'gems')).toBe(5);
    expect(claimsOf(token).anon).toBe(true);
    expect(claimsOf(later.session_token)).toMatchObject({ anon: false, sub: user.id });
    const renewed = (await post('refresh', { refresh_token: later.refresh_token }).expect(200)).body.data;
    expect(claimsOf(renewed.session_token).anon).toBe(false);
  });

  it('can be taken over once: of two sign-ups at once one gets the user, the other a new one', async () => {
    const { session_token: token, user } = await anonymous();
    const responses = await Promise.all(
      Array.from({ length: 4 }, () => post('email/signup', credentials(), token)),
    );
    expect(tally(responses)).toEqual({ '201': 4 });
    expect(responses.filter(({ body }) => body.data.user.id === user.id)).toHaveLength(1);
  });

  it('are taken over by the first of two sign-ups that wait for the same moment', async () => {
    const { session_token: token, user } = await anonymous();
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SELECT FROM app_users WHERE id = $1 FOR UPDATE`, [user.id]);
    const logins = [credentials(), credentials()];
    const signUps = logins.map((login) =>
      post('email/signup', login, token).then((response) => response.body.data.user),
    );
    await new Promise((resolve) => setTimeout(resolve, 400));
    await other.rollbackTransaction();
    await other.release();
    const users = await Promise.all(signUps);
    expect(users.map(({ email }) => email)).toEqual(logins.map(({ email }) => email));
    expect(users.filter(({ id }) => id === user.id)).toHaveLength(1);
    const back = await Promise.all(logins.map((login) => post('email/login', login).expect(200)));
    expect(back.map(({ body }) => body.data.user.id)).toEqual(users.map(({ id }) => id));
  });

  it('who sign up again because the answer was lost are signed in; with other credentials they are not', async () => {
    const { session_token: token, user } = await anonymous();
    const login = credentials();
    const responses = await Promise.all(Array.from({ length: 3 }, () => post('email/signup', login, token)));
    const again = await post('email/signup', login, token).expect(201);
    expect(again.body.data.user.id).toBe(user.id);
    expect(responses.some(({ status }) => status === 201)).toBe(true);
    const wrong = await post('email/signup', { ...login, password: 'another horse' }, token);
    expect(tally([wrong, await post('email/signup', login)])).toEqual({ '409 USER_EXISTS': 2 });
  });

  it('who were disabled meanwhile do not become somebody', async () => {
    const { session_token: token, user } = await anonymous();
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [user.id]);
    const signUp = post('email/signup', credentials(), token).then((response) => response.body.data.user);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await other.commitTransaction();
    await other.release();
    expect((await signUp).id).not.toBe(user.id);
    await world.signOutTheDisabled();
  });

  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
});

describe('e-mail and password', () => {
  it('sign up, log in, in any case of the address', async () => {
    const { email, password } = credentials();
    const { user } = (await post('email/signup', { email: ` ${email.toUpperCase()} `, password }).expect(201))
      .body.data;
    expect(user.email).toBe(email);
    expect(
      (await post('email/login', { email: email.toUpperCase(), password }).expect(200)).body.data.user.id,
    ).toBe(user.id);
  });

  it('with a stale session along, sign-up makes a new user', async () => {
    await post('email/signup', credentials(), 'stale').expect(201);
  });

  it('exist once, also when two sign up at once', async () => {
    const login = credentials();
    const responses = await Promise.all(Array.from({ length: 4 }, () => post('email/signup', login)));
    expect(tally(responses)).toEqual({ '201': 1, '409 USER_EXISTS': 3 });
    const { session_token: token } = await anonymous();
    expect(tally([await post('email/signup', login, token)])).toEqual({ '409 USER_EXISTS': 1 });
  });

  it('belong to one project', async () => {
    const login = credentials();
    await post('email/signup', login).expect(201);
    tenant = await world.tenant();
    expect(tally([await post('email/login', login)])).toEqual({ '401 INVALID_CREDENTIALS': 1 });
    await post('email/signup', login).expect(201);
  });

  it.each([
    ['a short password', { password: '1234567' }, '400 WEAK_PASSWORD'],
    ['a long password', { password: 'x'.repeat(201) }, '400 WEAK_PASSWORD'],
    ['no address', { email: 'ada' }, '400 INVALID_EMAIL'],
    ['a Unicode address', { email: 'ädä@example.com' }, '400 INVALID_EMAIL'],
    ['an address with a look-alike', { email: 'a@example.com\uFE0F' }, '400 INVALID_EMAIL'],
    ['an address with a header', { email: 'a@b.co\r\nBcc: x@y.z' }, '400 INVALID_EMAIL'],
    ['no string', { email: 5 }, '400 INVALID_INPUT'],
    ['an endless password', { password: 'x'.repeat(1001) }, '400 INVALID_INPUT'],
    ['an unknown field', { is_admin: true }, '400 INVALID_INPUT'],
  ])('with %s are refused', async (_, wrong, outcome) => {
    expect(tally([await post('email/signup', { ...credentials(), ...wrong })])).toEqual({ [outcome]: 1 });
  });

  it('that are wrong look like an unknown address, in words and in time', async () => {
    const login = credentials();
    await post('email/signup', login).expect(201);
    const attempt = async (body: object) => {
      const start = performance.now();
      const { status, body: answer } = await post('email/login', body);
      return { ms: performance.now() - start, answer: { status, ...answer.error, request_id: 'any' } };
    };
    const wrong = [];
    const unknown = [];
    for (let i = 0; i < 15; i += 1) {
      wrong.push(await attempt({ ...login, password: 'wrong horse' }));
      unknown.push(await attempt(credentials()));
    }
    expect(wrong[0]?.answer).toEqual(unknown[0]?.answer);
    expect(wrong[0]?.answer).toMatchObject({ status: 401, code: 'INVALID_CREDENTIALS' });
    // an answer without the hash takes a tenth of the time
    const median = (runs: { ms: number }[]) => runs.map(({ ms }) => ms).sort((a, b) => a - b)[7] ?? 0;
    expect(median(unknown) / median(wrong)).toBeGreaterThan(0.5);
  });

  it('are stored as argon2id', async () => {
    const login = credentials();
    await post('email/signup', login).expect(201);
    const [row] = await world.db.query(`SELECT password_hash FROM app_users WHERE email = $1`, [login.email]);
    expect(row.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('of a disabled user do not let in', async () => {
    const login = credentials();
    const { session_token: token, refresh_token } = (await post('email/signup', login).expect(201)).body.data;
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE email = $1`, [login.email]);
    expect(
      tally([await me(token), await post('refresh', { refresh_token }), await post('email/login', login)]),
    ).toEqual({
      '401 INVALID_TOKEN': 2,
      '401 INVALID_CREDENTIALS': 1,
    });
    await world.signOutTheDisabled();
  });
});

describe('refresh tokens', () => {
  it('are exchanged for new tokens of the same user', async () => {
    const first = await anonymous();
    const { body } = await post('refresh', { refresh_token: first.refresh_token }).expect(200);
    expect(body.data.user.id).toBe(first.user.id);
    expect(body.data.refresh_token).not.toBe(first.refresh_token);
    expect(Date.parse(body.data.user.last_seen_at)).toBeGreaterThan(Date.parse(first.user.last_seen_at));
    const [{ days }] = await world.db.query(
      `SELECT round(extract(epoch FROM min(expires_at) - now()) / 86400)::int AS days FROM refresh_tokens WHERE project_id = $1`,
      [tenant.id],
    );
    expect(days).toBe(90);
    expect(new Date(body.data.expires_at).getTime() / 1000).toBeCloseTo(
      Date.now() / 1000 + 30 * 24 * 3600,
      -2,
    );
    await me(body.data.session_token).expect(200);
    await post('refresh', { refresh_token: body.data.refresh_token }, 'stale').expect(200);
  });

  it('give a retry the same child, 20 at once too', async () => {
    const { refresh_token } = await anonymous();
    const responses = await Promise.all(Array.from({ length: 20 }, () => post('refresh', { refresh_token })));
    expect(tally(responses)).toEqual({ '200': 20 });
    expect(new Set(responses.map(({ body }) => body.data.refresh_token)).size).toBe(1);
    await age(7);
    const late = await post('refresh', { refresh_token }).expect(200);
    expect(late.body.data.refresh_token).toBe(responses[0]?.body.data.refresh_token);
    const [{ tokens }] = await world.db.query(
      `SELECT count(*) AS tokens FROM refresh_tokens WHERE project_id = $1`,
      [tenant.id],
    );
    expect(tokens).toBe(2);
  });

  it('used again after ten seconds end the whole session', async () => {
    const stolen = await anonymous();
    const { data: next } = (await post('refresh', { refresh_token: stolen.refresh_token }).expect(200)).body;
    await age(11);
    expect(tally([await post('refresh', { refresh_token: stolen.refresh_token })])).toEqual({
      '401 INVALID_TOKEN': 1,
    });
    expect(
      tally([
        await me(stolen.session_token),
        await me(next.session_token),
        await post('refresh', { refresh_token: next.refresh_token }),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 3 });
  });

  it('leave other sessions of the user alone', async () => {
    const login = credentials();
    const one = (await post('email/signup', login).expect(201)).body.data;
    const two = (await post('email/login', login).expect(200)).body.data;
    await post('logout', { refresh_token: one.refresh_token }).expect(200);
    expect(tally([await me(one.session_token), await me(two.session_token)])).toEqual({
      '401 INVALID_TOKEN': 1,
      '200': 1,
    });
  });

  it.each(['', 'x', `amb_rt_${'A'.repeat(43)}`, 'x'.repeat(201), 5, null])(
    '%p is refused',
    async (refresh_token) => {
      const { status } = await post('refresh', { refresh_token });
      expect(status).toBe(
        typeof refresh_token === 'string' && refresh_token && refresh_token.length <= 200 ? 401 : 400,
      );
    },
  );

  it('expire, and are of one project only', async () => {
    const { refresh_token } = await anonymous();
    const other = await world.tenant();
    const elsewhere = await world.http
      .post('/client/auth/refresh')
      .set('x-api-key', other.clientKey)
      .send({ refresh_token });
    await world.db.query(`UPDATE refresh_tokens SET expires_at = now() WHERE project_id = $1`, [tenant.id]);
    expect(tally([elsewhere, await post('refresh', { refresh_token })])).toEqual({ '401 INVALID_TOKEN': 2 });
  });

  it('are stored as digests', async () => {
    const { refresh_token } = await anonymous();
    const rows = await world.db.query(
      `SELECT encode(digest, 'escape') AS digest, t.* FROM refresh_tokens t WHERE project_id = $1`,
      [tenant.id],
    );
    expect(JSON.stringify(rows)).not.toContain(refresh_token.slice(7));
  });
});

describe('logout', () => {
  it('ends the session at once, here and on another instance, and again is no error', async () => {
    const other = await startWorld((world.db.options as { url: string }).url);
    try {
      const { session_token: token, refresh_token } = await anonymous();
      const elsewhere = () =>
        other.world.http
          .get('/client/users/me')
          .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` });
      await elsewhere().expect(200);
      await post('logout', { refresh_token }).expect(200);
      expect((await post('logout', { refresh_token }).expect(200)).body).toEqual({
        data: { logged_out: true },
      });
      expect(tally([await me(token), await elsewhere(), await post('refresh', { refresh_token })])).toEqual({
        '401 INVALID_TOKEN': 3,
      });
      const disabled = await anonymous();
      const asDisabled = () =>
        other.world.http
          .get('/client/users/me')
          .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${disabled.session_token}` });
      await asDisabled().expect(200);
      await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [disabled.user.id]);
      expect(tally([await asDisabled(), await me(disabled.session_token)])).toEqual({
        '401 INVALID_TOKEN': 2,
      });
      await world.signOutTheDisabled();
      await world.db.query(`UPDATE api_keys SET is_active = false WHERE project_id = $1`, [tenant.id]);
      expect(tally([await me(token), await elsewhere()])).toEqual({ '401 INVALID_API_KEY': 2 });
    } finally {
      await other.close();
    }
  });

  it('with an unknown token is no error', async () => {
    await post('logout', { refresh_token: 'unknown' }).expect(200);
  });
});
