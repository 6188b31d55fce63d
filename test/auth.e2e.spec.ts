import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { generateApiKey, isWellFormedApiKey } from '../src/auth/api-key';
import { openApiDocument } from '../src/openapi';
import { tally, useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
let ada: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  ada = await tenant.player();
});

const read = (headers: Record<string, string>) => world.http.get('/v1/client/referrals/my-code').set(headers);
const codeOf = async (headers: Record<string, string>) => Object.keys(tally([await read(headers)]))[0];

describe('every route', () => {
  /** Signing in takes its credentials in the body. */
  const OPEN: Record<string, string> = {
    ...{ '/health/live': '200', '/health/ready': '200' },
    '/v1/auth/developer/signup': '400 INVALID_INPUT',
    '/v1/auth/developer/login': '400 INVALID_INPUT',
    '/v1/auth/developer/refresh': '400 INVALID_INPUT',
    '/v1/auth/developer/logout': '400 INVALID_INPUT',
  };

  it('answers 401 without credentials, at both base paths, unless it is one of the open ones', async () => {
    const { paths } = openApiDocument(world.app);
    const operations = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => ({ method, path })),
    );
    expect(operations.length).toBeGreaterThanOrEqual(6);
    for (const { method, path } of operations) {
      for (const address of new Set([path, path.replace(/^\/v1/, '')])) {
        const response = await world.http[method as 'get' | 'post'](
          address.replace(/\{\w+\}/g, randomUUID()),
        ).send();
        const missing = path.startsWith('/v1/client/') ? '401 MISSING_API_KEY' : '401 MISSING_SESSION';
        const expected = { [OPEN[path] ?? missing]: 1 };
        expect({ address, ...tally([response]) }).toEqual({ address, ...expected });
      }
    }
  });
});

describe('the X-Api-Key', () => {
  it.each([
    ['is missing', () => ({}), '401 MISSING_API_KEY'],
    ['is empty', () => ({ 'x-api-key': '' }), '401 MISSING_API_KEY'],
    ['is no key', () => ({ 'x-api-key': 'hello' }), '401 INVALID_API_KEY'],
    [
      'is well-formed and unknown',
      () => ({ 'x-api-key': generateApiKey('client', 'production') }),
      '401 INVALID_API_KEY',
    ],
    ['is misspelt', () => ({ 'x-api-key': `${tenant.clientKey.slice(0, -1)}_` }), '401 INVALID_API_KEY'],
    ['is a server key', () => ({ 'x-api-key': tenant.serverKey }), '403 FORBIDDEN'],
  ])('that %s is refused', async (_, headers, outcome) => {
    expect(await codeOf({ ...ada.headers, 'x-api-key': '', ...headers() })).toBe(outcome);
  });

  it('works no more once it is deactivated or its project is deleted', async () => {
    const other = await world.tenant();
    const grace = await other.player();
    await world.db.query(`UPDATE api_keys SET is_active = false WHERE project_id = $1`, [tenant.id]);
    await world.db.query(`UPDATE projects SET deleted_at = now() WHERE id = $1`, [other.id]);
    expect(await codeOf(ada.headers)).toBe('401 INVALID_API_KEY');
    expect(await codeOf(grace.headers)).toBe('401 INVALID_API_KEY');
  });

  it('is stored as a digest and a prefix too short to use', async () => {
    const rows = await world.db.query(
      `SELECT k.*, encode(digest, 'escape') AS text FROM api_keys k WHERE project_id = $1`,
      [tenant.id],
    );
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toContain(tenant.clientKey.slice(16));
    expect(rows.map(({ prefix }: { prefix: string }) => prefix).sort()).toEqual([
      tenant.clientKey.slice(0, 16),
      tenant.serverKey.slice(0, 16),
    ]);
  });

  it('has 32 random characters and a checksum that tells a slip of the finger', () => {
    const keys = Array.from({ length: 100 }, () => generateApiKey('server', 'production'));
    expect(new Set(keys).size).toBe(100);
    for (const key of keys) {
      expect(key).toMatch(/^amb_live_sk_[0-9A-Za-z]{38}$/);
      expect(isWellFormedApiKey(key)).toBe(true);
      const place = 12 + Math.floor(Math.random() * 38);
      const slip = key[place] === 'a' ? 'b' : 'a';
      expect(isWellFormedApiKey(key.slice(0, place) + slip + key.slice(place + 1))).toBe(false);
    }
  });
});

describe('the session', () => {
  const bearer = (token: string) => ({ ...ada.headers, authorization: `Bearer ${token}` });
  const valid = () => ada.headers.authorization.slice('Bearer '.length);

  it.each([
    ['is missing', () => ({ 'x-api-key': tenant.clientKey }), '401 MISSING_SESSION'],
    ['is empty', () => ({ ...ada.headers, authorization: 'Bearer ' }), '401 MISSING_SESSION'],
    [
      'has another scheme',
      () => ({ ...ada.headers, authorization: `Basic ${valid()}` }),
      '401 MISSING_SESSION',
    ],
    ['is no token', () => bearer('x'), '401 INVALID_TOKEN'],
    ['has a broken signature', () => bearer(`${valid().slice(0, -4)}AAAA`), '401 INVALID_TOKEN'],
  ])('that %s is refused', async (_, headers, outcome) => {
    expect(await codeOf(headers())).toBe(outcome);
  });

  it('accepts the scheme in any case', async () => {
    await read({ ...ada.headers, authorization: `bEARER ${valid()}` }).expect(201);
  });

  it('is a JWT with sub, pid, anon, sid, iat and exp', () => {
    const [header, payload] = valid()
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    expect(header).toEqual({ alg: 'HS256', typ: 'session+jwt' });
    expect(payload).toEqual({
      sub: ada.id,
      pid: tenant.id,
      anon: false,
      sid: expect.any(String),
      iat: expect.any(Number),
      exp: payload.iat + 30 * 24 * 60 * 60,
    });
  });

  it('of project A is refused with the key of project B, although both have a user with that id', async () => {
    const other = await world.tenant();
    await world.db.query(`INSERT INTO app_users (project_id, id, display_name) VALUES ($1, $2, 'Twin')`, [
      other.id,
      ada.id,
    ]);
    expect(await codeOf({ ...ada.headers, 'x-api-key': other.clientKey })).toBe('401 INVALID_TOKEN');
  });

  it('ends with its revocation and with its user', async () => {
    const grace = await tenant.player();
    await world.db.query(`UPDATE sessions SET revoked_at = now() WHERE user_id = $1`, [ada.id]);
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [grace.id]);
    expect(await codeOf(ada.headers)).toBe('401 INVALID_TOKEN');
    expect(await codeOf(grace.headers)).toBe('401 INVALID_TOKEN');
    await world.signOutTheDisabled();
  });

  describe('cannot be forged', () => {
    const claims = () => JSON.parse(Buffer.from(valid().split('.')[1] ?? '', 'base64url').toString());
    const secret = () => world.config.sessionSecrets[0];
    const sign = (payload: object, header: object, key = secret()) =>
      new SignJWT({ ...payload })
        .setProtectedHeader({ alg: 'HS256', typ: 'session+jwt', ...header })
        .sign(new TextEncoder().encode(key));
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const without = (name: string) =>
      Object.fromEntries(Object.entries(claims()).filter(([key]) => key !== name));

    it.each<[string, () => Promise<string> | string]>([
      ['alg none', () => `${encode({ alg: 'none', typ: 'session+jwt' })}.${encode(claims())}.`],
      [
        'alg NONE with our signature',
        () => `${encode({ alg: 'NONE', typ: 'session+jwt' })}.${valid().split('.').slice(1).join('.')}`,
      ],
      ['another algorithm', () => sign(claims(), { alg: 'HS512' })],
      ['another secret', () => sign(claims(), {}, 'another secret of the same length, 32')],
      [
        'an empty secret',
        () => `${encode({ alg: 'HS256', typ: 'session+jwt' })}.${encode(claims())}.${encode({})}`,
      ],
      ['another type', () => sign(claims(), { typ: 'JWT' })],
      ['no type', () => sign(claims(), { typ: undefined })],
      ['no exp', () => sign(without('exp'), {})],
      ['no iat', () => sign(without('iat'), {})],
      ['no sub', () => sign(without('sub'), {})],
      ['no sid', () => sign(without('sid'), {})],
      ['no pid', () => sign(without('pid'), {})],
      ['an exp in the past', () => sign({ ...claims(), exp: claims().iat - 1 }, {})],
      ['an nbf in the future', () => sign({ ...claims(), nbf: claims().iat + 3600 }, {})],
      ['another user', () => sign({ ...claims(), sub: randomUUID() }, {})],
      ['a session that is no id', () => sign({ ...claims(), sid: 'x' }, {})],
      ['a session that is an object', () => sign({ ...claims(), sid: {} }, {})],
      ['a user that is no id', () => sign({ ...claims(), sub: '\u0000' }, {})],
      ['another session', () => sign({ ...claims(), sid: randomUUID() }, {})],
    ])('%s', async (_, forge) => {
      expect(await codeOf(bearer(await forge()))).toBe('401 INVALID_TOKEN');
    });

    it('signed as we do it, it works: the forgeries above fail for their own reason', async () => {
      await read(bearer(await sign(claims(), {}))).expect(201);
    });
  });
});
