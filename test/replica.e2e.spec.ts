import { Registry } from 'prom-client';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { ReadDatabase } from '../src/database/read-database';
import { Replica } from '../src/database/replica';
import { expectInvariants } from './support/invariants';
import { METRICS_TOKEN, movedBy, scrape } from './support/metrics';
import { PrimaryAndStandby } from './support/standby';
import { TcpProxy } from './support/tcp-proxy';
import { startWorld, type Player, type Tenant, type World } from './support/world';

/** A server with `DATABASE_REPLICA_URL`, on a real PostgreSQL and a hot standby that streams from it. */

const REST_MS = 10_000;

let servers: PrimaryAndStandby;
let proxy: TcpProxy;
let world: World;
let close: () => Promise<void>;
let tenant: Tenant;
let ada: Player;
let later = 0;

beforeAll(async () => {
  const now = Date.now.bind(Date);
  jest.spyOn(Date, 'now').mockImplementation(() => now() + later);
  servers = await PrimaryAndStandby.start();
  proxy = await TcpProxy.to(servers.standbyUrl);
  const settings = { databaseReplicaUrl: proxy.url, metricsToken: METRICS_TOKEN };
  ({ world, close } = await startWorld(servers.primaryUrl, settings));
  tenant = await world.tenant();
  ada = await tenant.player('ada');
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'ADA', userId: ada.id, rewardReferrer: { gems: 5 } });
  await ask('users?search=ada');
});

beforeEach(async () => {
  await servers.ask('SELECT pg_wal_replay_resume()');
  await servers.caughtUp();
  proxy.onClientData = () => 'forward';
  later += REST_MS + 1;
});

afterEach(() => expectInvariants(world.db));

afterAll(async () => {
  jest.restoreAllMocks();
  await close();
  await proxy.down();
  await servers.close();
});

const LISTED = {
  users: 'app_users',
  referrals: 'referral_codes',
  'reward-grants': 'reward_grants',
  'reward-grants.csv': 'reward_grants',
  reconciliation: 'balances',
  analytics: 'currency_transactions',
  'audit-log': 'audit_log',
} as const;

const ask = (route: string) =>
  world.http.get(`/v1/admin/projects/${tenant.id}/${route}`).set(tenant.server).expect(200);

/** Who answered the reads of this work, as in `{ replica: 1 }`. */
const answeredBy = (work: () => Promise<unknown>) =>
  movedBy(world, { name: 'amba_replica_reads_total', by: 'answered_by' }, work);

/** A claim of a user who has just signed up, both rewards paid, and what the client sees of it. */
async function claimAnew(): Promise<Player> {
  const ben = await tenant.player();
  const { body } = await world.claim(ben, 'ADA').expect(201);
  expect(body.data.rewards_pending).toBeUndefined();
  return ben;
}

const userIds = async () => (await ask('users')).body.data.map(({ id }: { id: string }) => id);

describe('with a replica', () => {
  it.each(Object.entries(LISTED))('the replica answers %s', async (route, table) => {
    let sent = '';
    proxy.onClientData = (chunk) => {
      sent += chunk.toString('latin1');
      return 'forward';
    };
    expect(await answeredBy(() => ask(route))).toEqual({ replica: 1 });
    expect(sent).toMatch(new RegExp(`FROM "?${table}\\b`));
  });

  it('it answers with what was committed just before', async () => {
    for (let i = 0; i < 5; i += 1) {
      const { id } = await claimAnew();
      expect((await userIds())[0]).toBe(id);
    }
    const { body } = await ask('reconciliation');
    expect(body.data).toMatchObject({ agrees: true, pending: 0 });
    expect((await ask('reward-grants')).body.total).toBe(5);
  });

  it('it is asked for nothing else, neither for claims nor for sign-ins, keys, one row of a list, or what a client reads', async () => {
    await servers.ask('SELECT pg_wal_replay_pause()');
    const moved = await answeredBy(async () => {
      const ben = await claimAnew();
      await world.claim(ben, 'ADA').expect(400);
      await world.myCode(ben).expect(201);
      expect(await world.balance(ada, 'gems')).toBe(30);
      expect((await world.transactions(ada))[0].balance_after).toBe(30);
      const signedUp = await world.auth(tenant, 'anonymous', { anonymous_id: undefined });
      expect(signedUp.status).toBe(201);
      const { body } = await ask(`users/${ben.id}`);
      expect(body.data.referred_by).toHaveLength(1);
      await ask(`users/${ben.id}/export`);
      await ask('integrity');
    });
    expect(moved).toEqual({});
  });

  it('while it is behind the primary answers, and it when it has caught up', async () => {
    await servers.ask('SELECT pg_wal_replay_pause()');
    const { id } = await claimAnew();
    expect(await answeredBy(async () => expect((await userIds())[0]).toBe(id))).toEqual({ primary: 1 });
    const [seen] = await servers.ask<{ count: string }>(`SELECT count(*) FROM app_users WHERE id = '${id}'`);
    expect(seen).toEqual({ count: '0' });
    expect((await scrape(world)).value('amba_replica_lag_seconds')).toBeGreaterThan(0);

    await servers.ask('SELECT pg_wal_replay_resume()');
    expect(await answeredBy(() => ask('users'))).toEqual({ primary: 1 });
    later += REST_MS + 1;
    await servers.caughtUp();
    expect(await answeredBy(async () => expect((await userIds())[0]).toBe(id))).toEqual({ replica: 1 });
    expect((await scrape(world)).value('amba_replica_lag_seconds')).toBe(0);
  });

  it('when it fails in the middle of an answer, the primary gives all of it', async () => {
    let isCut = false;
    proxy.onClientData = (chunk) => {
      if (!chunk.includes('FROM reward_grants')) return 'forward';
      isCut = true;
      return 'cut';
    };
    expect(await answeredBy(() => ask('reconciliation'))).toEqual({ primary: 1 });
    expect(isCut).toBe(true);
    proxy.onClientData = () => 'forward';
    later += REST_MS + 1;
    expect(await answeredBy(() => ask('reconciliation'))).toEqual({ replica: 1 });
  });

  it('what a caller did wrong is the answer of either', async () => {
    const path = `/v1/admin/projects/${tenant.id}/analytics?from=2026-02-01&to=2026-01-01`;
    await world.http.get(path).set(tenant.server).expect(400);
  });
});

describe('a URL that leads elsewhere is not asked', () => {
  it.each<[string, () => string]>([
    ['to the primary', () => servers.primaryUrl],
    ['to another database of the standby', () => servers.standbyUrl.replace(/\/postgres$/, '/template1')],
    ['to another server', () => new URL('/postgres', world.url.replace('http', 'postgres')).href],
    ['nowhere', () => 'postgres://127.0.0.1:1/postgres'],
  ])('%s', async (_, url) => {
    const database = new ReadDatabase(world.db, { databaseReplicaUrl: url() }, new Registry());
    const used: DataSource[] = [];
    await database.read((dataSource) => Promise.resolve(used.push(dataSource)));
    await database.onApplicationShutdown();
    expect(used).toEqual([world.db]);
  });
});

it('without it everything is answered, by the primary', async () => {
  await servers.stopStandby();
  const moved = await answeredBy(async () => {
    for (const route of Object.keys(LISTED)) await ask(route);
  });
  expect(moved).toEqual({ primary: Object.keys(LISTED).length });
  await world.http.get('/health/ready').expect(200);
  await claimAnew();
  const metrics = await scrape(world);
  expect(metrics.value('amba_replica_lag_seconds')).toBeGreaterThan(0);
  expect(metrics.value('amba_database_up')).toBe(1);
  await servers.startStandby();
});

it('one that did not follow the primary through a failover is not asked, also where it has more of the old log', async () => {
  await servers.failOver(async (leftBehindUrl) => {
    const options = { ...world.db.options, url: servers.standbyUrl } as DataSourceOptions;
    const promoted = await new DataSource(options).initialize();
    const replica = new Replica(promoted, leftBehindUrl);
    await expect(replica.caughtUp(0)).rejects.toThrow('not known to have followed the primary');
    await replica.close();
    await promoted.destroy();
  });
});
