import { verify } from '@node-rs/argon2';
import { randomUUID } from 'node:crypto';
import { generateApiKey } from '../src/auth/api-key';
import { hashPassword } from '../src/auth/passwords';
import { generatePersonalAccessToken } from '../src/auth/personal-access-token';
import { UsersService } from '../src/users/users.service';
import { tally, useWorld, type Player, type Tenant } from './support/world';

/**
 * What must not be told apart by its time: shown by what is done for it, statement by statement and hash by hash.
 * `npm run bench:timing` measures the time itself.
 */
jest.mock('@node-rs/argon2', () => {
  const argon2 = jest.requireActual('@node-rs/argon2');
  return { ...argon2, verify: jest.fn(argon2.verify) };
});

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
  // the first use in a minute is noted, which is a statement more
  await world.http.get('/v1/client/config').set('x-api-key', tenant.clientKey).expect(200);
});

/** Every statement that a request sends, in order, and what it hears. */
async function recorded(send: () => PromiseLike<any>): Promise<{ outcome: string; statements: string[] }> {
  const log = jest.spyOn(world.db.logger, 'logQuery');
  try {
    const response = await send();
    return {
      outcome: Object.keys(tally([response]))[0] ?? '',
      statements: log.mock.calls.map(([statement]) => statement),
    };
  } finally {
    log.mockRestore();
  }
}

/** Sends each, and returns the one that is the same for all. */
async function expectSame(sent: Record<string, () => PromiseLike<any>>) {
  const [[, first] = ['', () => Promise.reject(new Error('nothing to send'))], ...others] =
    Object.entries(sent);
  const expected = await recorded(first);
  for (const [kind, send] of others)
    expect({ kind, ...(await recorded(send)) }).toEqual({ kind, ...expected });
  return expected;
}

describe('a code that is unknown, inactive, deleted or of a disabled owner', () => {
  let guesser: Player;

  beforeEach(async () => {
    guesser = await tenant.player();
    await tenant.code({ code: 'INACTIVE', userId: (await tenant.player()).id });
    await tenant.code({ code: 'DELETED', userId: (await tenant.player()).id });
    await tenant.code({ code: 'PROMO' });
    const owner = await tenant.player();
    await tenant.code({ code: 'ORPHAN', userId: owner.id });
    await world.db.query(`UPDATE referral_codes SET is_active = false WHERE code IN ('INACTIVE', 'PROMO')`);
    await world.db.query(`UPDATE referral_codes SET deleted_at = now() WHERE code = 'DELETED'`);
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [owner.id]);
    await world.signOutTheDisabled();
  });

  it.each([
    ['', {}],
    [', with an Idempotency-Key', { 'idempotency-key': 'order-1' }],
  ])('takes the same statements%s', async (_, headers) => {
    await world.db.query(`UPDATE projects SET max_claims_per_user = 1 WHERE id = $1`, [tenant.id]);
    const claim = (typed: string) => () => world.claim(guesser, typed, headers);
    // the first one learns of the limit, whatever it asks for
    await claim('NEVERWAS')();
    const { outcome, statements } = await expectSame({
      unknown: claim('NEVERWAS'),
      inactive: claim('INACTIVE'),
      'an inactive promo code': claim('PROMO'),
      deleted: claim('DELETED'),
      'of a disabled owner': claim('ORPHAN'),
    });
    expect(outcome).toBe('404 INVALID_CODE');
    const parts = [
      'FROM api_keys',
      'START TRANSACTION',
      'FROM "referral_codes"',
      'FROM app_users',
      'FROM projects',
      'FROM projects',
    ];
    expect(statements).toEqual([...parts, 'ROLLBACK'].map((part) => expect.stringContaining(part)));
    expect(statements.filter((statement) => statement.includes('FOR UPDATE'))).toHaveLength(1);
  });
});

describe('an API key that is unknown, deactivated or of a deleted project', () => {
  it('takes the same statement, on both planes', async () => {
    const [other, gone] = [await world.tenant(), await world.tenant()];
    await world.db.query(`UPDATE api_keys SET is_active = false WHERE project_id = $1`, [other.id]);
    await world.db.query(`UPDATE projects SET deleted_at = now() WHERE id = $1`, [gone.id]);
    const read = (key: string) => () => world.http.get('/v1/client/config').set('x-api-key', key);
    const asClient = await expectSame({
      unknown: read(generateApiKey('client', 'development')),
      deactivated: read(other.clientKey),
      'of a deleted project': read(gone.clientKey),
    });
    const once = { statements: [expect.stringContaining('WHERE k.digest = $1')] };
    expect(asClient).toEqual({ ...once, outcome: '401 INVALID_API_KEY' });
    const administer = (key: string) => () =>
      world.http.get(`/v1/admin/projects/${other.id}`).set('authorization', `Bearer ${key}`);
    const asServer = await expectSame({
      unknown: administer(generateApiKey('server', 'development')),
      deactivated: administer(other.serverKey),
      'of a deleted project': administer(gone.serverKey),
    });
    expect(asServer).toEqual({ ...once, outcome: '401 INVALID_TOKEN' });
  });

  it('is not looked for at all when its checksum is wrong', async () => {
    const key = tenant.clientKey;
    const slip = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
    expect(await recorded(() => world.http.get('/v1/client/config').set('x-api-key', slip))).toEqual({
      outcome: '401 INVALID_API_KEY',
      statements: [],
    });
  });
});

describe('a personal access token that is unknown or replaced', () => {
  it('takes the same statement', async () => {
    const { headers: old } = await world.developer();
    await world.http.post('/v1/auth/developer/pat/rotate').set(old).expect(201);
    const me = (headers: Record<string, string>) => () =>
      world.http.get('/v1/auth/developer/me').set(headers);
    expect(
      await expectSame({
        unknown: me({ authorization: `Bearer ${generatePersonalAccessToken()}` }),
        replaced: me(old),
      }),
    ).toEqual({ outcome: '401 INVALID_TOKEN', statements: [expect.stringContaining('WHERE t.digest = $1')] });
  });
});

describe('an unknown e-mail and a wrong password', () => {
  const hashes = jest.mocked(verify);
  const email = () => `${randomUUID()}@example.com`;
  const costsOneHash = (send: () => PromiseLike<any>) => async () => {
    hashes.mockClear();
    const response = await send();
    expect(hashes).toHaveBeenCalledTimes(1);
    return response;
  };

  it('of a user take the same statement and one hash of one cost, as does a user who has no password or is disabled', async () => {
    const users = world.app.get(UsersService);
    const [known, disabled, nameless] = [email(), email(), email()];
    const passwordHash = await hashPassword('correct horse');
    for (const address of [known, disabled]) await users.create(tenant.id, { email: address, passwordHash });
    await users.create(tenant.id, { email: nameless });
    await world.db.query(`UPDATE app_users SET disabled_at = now() WHERE email = $1`, [disabled]);
    const logIn = (address: string, password = 'wrong horse') =>
      costsOneHash(() => world.auth(tenant, 'email/login', { email: address, password }));
    const { outcome, statements } = await expectSame({
      unknown: logIn(email()),
      wrong: logIn(known),
      disabled: logIn(disabled),
      'disabled, and the password is right': logIn(disabled, 'correct horse'),
      'without a password': logIn(nameless),
    });
    expect(outcome).toBe('401 INVALID_CREDENTIALS');
    // the key and the user
    expect(statements).toHaveLength(2);
    expectOneCost();
  });

  it('of a developer take the same statement and one hash of one cost', async () => {
    const { email: known } = await world.developer();
    const logIn = (address: string) =>
      costsOneHash(() =>
        world.http.post('/v1/auth/developer/login').send({ email: address, password: 'wrong horse' }),
      );
    expect(await expectSame({ unknown: logIn(email()), wrong: logIn(known) })).toEqual({
      outcome: '401 INVALID_CREDENTIALS',
      statements: [expect.stringContaining('FROM developers WHERE email = $1')],
    });
    expectOneCost();
  });

  /** The last hash was compared under the parameters that all of ours have. */
  function expectOneCost(): void {
    expect(hashes.mock.lastCall?.[0]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  }
});
