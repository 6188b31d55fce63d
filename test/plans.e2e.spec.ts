import { Client } from 'pg';
import { FIRST_GROWN, grow, owe } from '../bench/growth.mjs';
import { DatabaseGauges } from '../src/database/database-gauges';
import { PaymentsService } from '../src/rewards/payments.service';
import { SignInService } from '../src/users/sign-in.service';
import { countOf, removeDue } from './support/housekeeping';
import { expectInvariants } from './support/invariants';
import { growingParts, passedOver, statementsOf } from './support/plans';
import { cloneDatabase, startWorld, type Player, type Tenant, type World } from './support/world';

/**
 * What a request reads it finds by an index, and it stops when it has its page: no statement takes longer the more there is.
 * Looked at are the plans of what is really sent, in a project with 20,000 users. When one of these fails, an index is
 * missing, or a statement is written so that PostgreSQL does not find it.
 */

const USERS = 20_000;

let world: World;
let close: () => Promise<void>;
let client: Client;
let tenant: Tenant;
/** A tenth of all claimed the code. */
let hot: { player: Player; codeId: string; code: string };
/** Had one line in each currency. */
let quietUserId: string;

beforeAll(async () => {
  const database = await cloneDatabase();
  const started = await startWorld(database.url);
  world = started.world;
  close = async () => {
    await expectInvariants(world.db);
    await client.end();
    await started.close();
    await database.discard();
  };
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.currency({ code: 'coins' });
  await tenant.code({ code: 'WELCOME', rewardReferrer: { gems: 50 }, rewardReferee: { coins: 25 } });
  client = new Client({ connectionString: database.url });
  await client.connect();
  await grow(client, { projectId: tenant.id, users: USERS });
  const code = `GROWN-${FIRST_GROWN}`;
  const [row] = await world.db.query(`SELECT id, user_id FROM referral_codes WHERE code = $1`, [code]);
  const { sessionToken } = (await world.app.get(SignInService).known(tenant.id, row.user_id)).tokens;
  const headers = { 'x-api-key': tenant.clientKey, authorization: `Bearer ${sessionToken}` };
  hot = { player: { id: row.user_id, headers }, codeId: row.id, code };
  const quiet = `SELECT id FROM app_users WHERE external_id = 'player-${FIRST_GROWN + 7}'`;
  [{ id: quietUserId }] = await world.db.query(quiet);
}, 120_000);

afterAll(() => close());

/** By statement, what of it grows. */
async function growingPartsOf(work: () => PromiseLike<unknown>): Promise<[string, string[]][]> {
  const found: [string, string[]][] = [];
  for (const sent of await statementsOf(world.db, work)) {
    const parts = await growingParts(world.db, sent);
    if (parts.length > 0) found.push([sent.text.trim().replace(/\s+/g, ' '), parts]);
  }
  return found;
}

it('a claim and its payment', async () => {
  const claimer = await tenant.player();
  const claim = () => world.claim(claimer, hot.code, { 'idempotency-key': 'once' }).expect(201);
  expect(await growingPartsOf(claim)).toEqual([]);
});

it('a first code', async () => {
  const player = await tenant.player();
  expect(await growingPartsOf(() => world.myCode(player).expect(201))).toEqual([]);
});

it.each([
  ['my-code', '/referrals/my-code'],
  ['balances', '/currencies'],
  ['a history', '/currencies/transactions?limit=20'],
  ['a history in one currency', '/currencies/transactions?limit=20&currency_code=gems'],
  ['a profile', '/users/me'],
])('%s', async (_, path) => {
  const read = () => world.http.get(`/v1/client${path}`).set(hot.player.headers).expect(200);
  expect(await growingPartsOf(read)).toEqual([]);
});

it.each([
  ['a long history', ''],
  ['a long history in one currency', '&currency_code=gems'],
])('the last page of %s, found in an index alone', async (_, currency) => {
  const path = `/v1/client/currencies/transactions?limit=20&offset=1980${currency}`;
  const read = async () => {
    const { body } = await world.http.get(path).set(hot.player.headers).expect(200);
    expect(body.data.length).toBeGreaterThan(0);
  };
  const [page] = (await statementsOf(world.db, read)).filter(({ text }) => text.includes('OFFSET'));
  expect(page && (await passedOver(world.db, page))).toEqual(['Index Only Scan on currency_transactions']);
});

it('signing up, in and on', async () => {
  const login = { email: 'ada@example.com', password: 'correct horse' };
  const signing = async () => {
    await world.auth(tenant, 'email/signup', login).expect(201);
    const { body } = await world.auth(tenant, 'email/login', login).expect(200);
    await world.auth(tenant, 'refresh', { refresh_token: body.data.refresh_token }).expect(200);
  };
  expect(await growingPartsOf(signing)).toEqual([]);
});

it('a session for a user of the app', async () => {
  const path = `/v1/admin/projects/${tenant.id}/users/session`;
  const open = () =>
    world.http
      .post(path)
      .set(tenant.server)
      .send({ external_id: `player-${FIRST_GROWN + 7}` })
      .expect(201);
  expect(await growingPartsOf(open)).toEqual([]);
});

describe('the sweeper, and the metrics', () => {
  const sweep = () => world.app.get(PaymentsService).payDue(new Date());
  const scrape = () => world.app.get(DatabaseGauges).refresh();

  it('with none due', async () => {
    expect(await growingPartsOf(sweep)).toEqual([]);
    expect(await growingPartsOf(scrape)).toEqual([]);
  });

  it('with two batches due, of which the statistics know nothing', async () => {
    await owe(client, { projectId: tenant.id, users: USERS, claims: 100 });
    expect(await growingPartsOf(scrape)).toEqual([]);
    expect(await growingPartsOf(sweep)).toEqual([]);
    expect(await growingPartsOf(sweep)).toEqual([]);
    expect(await world.db.query(`SELECT FROM reward_grants WHERE status <> 'granted'`)).toEqual([]);
  });
});

describe('housekeeping', () => {
  const run = () => removeDue(world);
  const old = `refresh_tokens WHERE expires_at < now() - interval '30 days'`;

  it('with thousands of rows due', async () => {
    expect(await countOf(world, old)).toBeGreaterThan(USERS / 2);
    expect(await growingPartsOf(run)).toEqual([]);
    expect(await countOf(world, old)).toBe(0);
  });

  it('with none due', async () => {
    expect(await growingPartsOf(run)).toEqual([]);
  });
});

describe('of a list of all that a project has, the page; its total is counted', () => {
  const list = (path: string) => async () => {
    const answer = await world.http.get(`/v1/admin/projects/${tenant.id}${path}`).set(tenant.server);
    expect(answer.status).toBe(200);
  };

  it.each([
    ['users', '/users', 'app_users'],
    ['codes', '/referrals', 'referral_codes'],
    ['rewards', '/reward-grants', 'reward_grants'],
    ['log', '/audit-log', 'audit_log'],
  ])('%s', async (_, path, table) => {
    const found = await growingPartsOf(list(path));
    expect(found).toEqual([
      [expect.stringMatching(/^SELECT COUNT\(/i), [expect.stringMatching(` on ${table}$`)]],
    ]);
  });

  it.each([
    ['of claims of one code', () => `/referrals/${hot.codeId}/stats`],
    ['of what one user was promised', () => `/reward-grants?app_user_id=${quietUserId}`],
    ['of all that is known of a user', () => `/users/${hot.player.id}`],
    ['of all that is stored of one', () => `/users/${quietUserId}/export`],
  ])('but not %s', async (_, path) => {
    expect(await growingPartsOf(list(path()))).toEqual([]);
  });
});
