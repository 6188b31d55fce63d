import { setTimeout as sleep } from 'node:timers/promises';
import { PaymentsService } from '../src/rewards/payments.service';
import { findDue } from '../src/rewards/reward-grants';
import { rewardRoutes, seedGrants, whilePaymentsFail } from './support/grants';
import { METRICS_TOKEN, movedBy, scrape } from './support/metrics';
import { statementsOf } from './support/plans';
import { TcpProxy } from './support/tcp-proxy';
import {
  cloneDatabase,
  limitedTo,
  onWorld,
  startWorld,
  useWorld,
  type Player,
  type Tenant,
  type World,
} from './support/world';

/** What `/metrics` tells of claims, promises, the database and the process. */

const HOUR_MS = 3_600_000;
const world = useWorld({ metricsToken: METRICS_TOKEN, ...limitedTo({ 'guess-user': 2 }) });

let tenant: Tenant;
let ada: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  ada = await tenant.player();
  await tenant.currency({ code: 'gems' });
  const rewards = { rewardReferrer: { gems: 50 }, rewardReferee: { gems: 25 } };
  await tenant.code({ code: 'ADA', userId: ada.id, ...rewards });
});

const sweep = (later = 0) => world.app.get(PaymentsService).payDue(new Date(Date.now() + later));
const outcomes = (work: () => Promise<unknown>) =>
  movedBy(world, { name: 'amba_claims_total', by: 'outcome' }, work);

/** Promises that were paid, and tries that failed, by whom, as in `{ 'claim granted': 2 }`. */
async function payments(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await scrape(world);
  await work();
  const after = await scrape(world);
  const name = 'amba_reward_payments_total';
  const moved = after.samples
    .filter((sample) => sample.name === name)
    .map(({ labels, value }) => [`${labels.path} ${labels.result}`, value - before.value(name, labels)!]);
  return Object.fromEntries(moved.filter(([, difference]) => difference !== 0));
}

async function backlog(of: World = world) {
  const metrics = await scrape(of);
  const [pending, due, dead] = ['pending', 'due', 'dead'].map((name) =>
    metrics.value(`amba_rewards_${name}`),
  );
  return { pending, due, dead };
}

describe('claims', () => {
  it('are counted by what they come to', async () => {
    const [grace, eve] = (await tenant.players(2)) as [Player, Player];
    await tenant.code({ code: 'FULL', maxUses: 1 });
    const claims = async () => {
      await world.claim(grace, 'ADA', { 'idempotency-key': 'one' }).expect(201);
      await world.claim(eve, 'ADA').expect(201);
      await world.claim(grace, 'ADA', { 'idempotency-key': 'one' }).expect(201);
      await world.claim(grace, 'FULL', { 'idempotency-key': 'one' }).expect(422);
      await world.claim(grace, 'ADA').expect(400);
      await world.claim(ada, 'ADA').expect(400);
      await world.claim(grace, 'FULL').expect(201);
      await world.claim(eve, 'FULL').expect(400);
      for (const status of [404, 404, 429]) await world.claim(eve, 'NOBODYS').expect(status);
    };
    expect(await outcomes(claims)).toEqual({
      ...{ claimed: 3, repeated: 1, IDEMPOTENCY_MISMATCH: 1, ALREADY_CLAIMED: 1, SELF_REFERRAL: 1 },
      ...{ MAX_USES_REACHED: 1, INVALID_CODE: 2, RATE_LIMITED: 1 },
    });
  });

  it('are counted once however many come at once, and those that the guards refuse are none', async () => {
    const players = await tenant.players(10);
    await tenant.code({ code: 'FEW', maxUses: 4 });
    const claims = async () => {
      await Promise.all(players.map((player) => world.claim(player, 'FEW')));
      await world.http.post('/v1/client/referrals/claim').send({ code: 'FEW' }).expect(401);
    };
    expect(await outcomes(claims)).toEqual({ claimed: 4, MAX_USES_REACHED: 6 });
  });

  it('of another application in this process are not counted', async () => {
    const { url } = world.db.options as { url: string };
    const { world: other, close } = await startWorld(url, { metricsToken: METRICS_TOKEN });
    const grace = await tenant.player();
    expect(await outcomes(async () => other.claim(grace, 'ADA').expect(201))).toEqual({});
    expect((await scrape(other)).value('amba_claims_total', { outcome: 'claimed' })).toBe(1);
    await close();
  });
});

describe('rewards', () => {
  it('are counted by who paid them: the claim, or the sweeper what the claim could not', async () => {
    const [grace, eve] = (await tenant.players(2)) as [Player, Player];
    expect(await payments(async () => world.claim(grace, 'ADA').expect(201))).toEqual({ 'claim granted': 2 });
    expect(await backlog()).toEqual({ pending: 0, due: 0, dead: 0 });

    await tenant.deleteCurrency('gems');
    expect(await payments(async () => world.claim(eve, 'ADA').expect(201))).toEqual({ 'claim failed': 2 });
    expect(await backlog()).toEqual({ pending: 2, due: 0, dead: 0 });
    expect(await payments(() => sweep(HOUR_MS))).toEqual({ 'sweep failed': 2 });
    await tenant.currency({ code: 'gems' });
    expect(await payments(() => sweep(2 * HOUR_MS))).toEqual({ 'sweep granted': 2 });
    expect(await payments(() => sweep(3 * HOUR_MS))).toEqual({});
    expect(await backlog()).toEqual({ pending: 0, due: 0, dead: 0 });
  });

  it('that fail for a fault of their own are counted once, by any number of sweepers, and those with them are paid', async () => {
    const players = (await tenant.players(3)) as [Player, Player, Player];
    const claims = () =>
      whilePaymentsFail(world, `RAISE EXCEPTION 'not today'`, async () => {
        for (const player of players) await world.claim(player, 'ADA').expect(201);
      });
    expect(await payments(claims)).toEqual({ 'claim failed': 6 });
    const unlucky = `IF NEW.user_id = '${players[0].id}' THEN RAISE EXCEPTION 'not you'; END IF; RETURN NEW`;
    const sweeps = () =>
      whilePaymentsFail(world, unlucky, async () => {
        await Promise.all([1, 2, 3].map(() => sweep(HOUR_MS)));
      });
    expect(await payments(sweeps)).toEqual({ 'sweep failed': 1, 'sweep granted': 5 });
    expect(await payments(() => sweep(2 * HOUR_MS))).toEqual({ 'sweep granted': 1 });
  });

  it('that two sweepers see fail at once failed once', async () => {
    await seedGrants(world, tenant, { status: 'pending' });
    const later = new Date(Date.now() + HOUR_MS);
    const [grant] = await findDue(world.db, later, 1);
    const fail = () => world.app.get(PaymentsService).failOne('sweep', grant!, new Error('not today'), later);
    expect(await payments(() => Promise.all([fail(), fail()]))).toEqual({ 'sweep failed': 1 });
    expect(await payments(() => sweep(3 * HOUR_MS))).toEqual({ 'sweep granted': 1 });
  });

  it('that are due are told with for how long the oldest is, and what is dead until it is replayed', async () => {
    const ids = await seedGrants(world, tenant, { status: 'pending', count: 3 });
    await world.db.query(
      `UPDATE reward_grants SET next_attempt_at = now() + interval '1 hour' WHERE project_id = $1 AND id = $2`,
      [tenant.id, ids[0]],
    );
    await world.db.query(
      `UPDATE reward_grants SET next_attempt_at = now() - interval '100 s' WHERE project_id = $1 AND id = $2`,
      [tenant.id, ids[1]],
    );
    expect(await backlog()).toEqual({ pending: 3, due: 2, dead: 0 });
    const age = (await scrape(world)).value('amba_rewards_oldest_due_seconds')!;
    expect(age).toBeGreaterThanOrEqual(100);
    expect(age).toBeLessThan(200);
    expect(await payments(() => sweep())).toEqual({ 'sweep granted': 2 });
    expect((await scrape(world)).value('amba_rewards_oldest_due_seconds')).toBe(0);
    await sweep(2 * HOUR_MS);

    const [id] = await seedGrants(world, tenant, { status: 'dead' });
    expect(await backlog()).toEqual({ pending: 0, due: 0, dead: 1 });
    const { post } = rewardRoutes(world, () => tenant);
    expect(await payments(async () => post(`${id}/replay`).expect(200))).toEqual({ 'replay granted': 1 });
    expect(await backlog()).toEqual({ pending: 0, due: 0, dead: 0 });
  });

  it('are counted up to 10000', () =>
    onWorld({ metricsToken: METRICS_TOKEN }, async (own) => {
      const rich = await own.tenant();
      await rich.currency({ code: 'gems' });
      for (let i = 0; i < 5; i += 1) await seedGrants(own, rich, { status: 'pending', count: 2_001 });
      expect(await backlog(own)).toEqual({ pending: 10_000, due: 10_000, dead: 0 });
      await own.db.query(
        `UPDATE reward_grants SET status = 'dead', last_error = 'seeded', settled_at = now()`,
      );
      expect(await backlog(own)).toEqual({ pending: 0, due: 0, dead: 10_000 });
    }));
});

describe('the sweeper', () => {
  const LAG = 'amba_reward_sweep_lag_seconds';

  it('tells how long ago it last came to its end', () =>
    onWorld({ metricsToken: METRICS_TOKEN, sweepIntervalMs: 20 }, async (own) => {
      const { world: idle, close } = await startWorld((own.db.options as { url: string }).url, {
        metricsToken: METRICS_TOKEN,
        sweepIntervalMs: HOUR_MS,
      });
      await sleep(1_000);
      const waiting = (await scrape(idle)).value(LAG)!;
      expect(waiting).toBeGreaterThanOrEqual(1);
      while ((await scrape(own)).value(LAG)! > 0.9);
      expect((await scrape(idle)).value(LAG)!).toBeGreaterThan(waiting);
      await close();
    }));

  it('where there is none, tells nothing', async () => {
    expect((await scrape(world)).value(LAG)).toBeUndefined();
  });
});

describe('the database', () => {
  it('is asked once for all that it knows', async () => {
    const sent = await statementsOf(world.db, () => scrape(world));
    expect(sent.map(({ text }) => /FROM (\(SELECT next_attempt_at|integrity_runs)/.exec(text)?.[1])).toEqual([
      '(SELECT next_attempt_at',
      'integrity_runs',
    ]);
  });

  it.each<[string, (proxy: TcpProxy) => unknown, (proxy: TcpProxy) => unknown, number]>([
    ['away', (proxy) => proxy.down(), (proxy) => proxy.up(), 0],
    [
      'silent',
      (proxy) => (proxy.onClientData = () => 'swallow'),
      (proxy) => (proxy.onClientData = () => 'forward'),
      // the scrape does not wait until the link is given up
      1,
    ],
  ])(
    'that is %s is told to be down, with all that is known without it',
    async (_, fault, mend, connections) => {
      const database = await cloneDatabase();
      const proxy = await TcpProxy.to(database.url);
      const { world: own, close } = await startWorld(proxy.url, { metricsToken: METRICS_TOKEN });
      const fromDatabase = /^amba_(rewards|integrity_(broken|checked))/;
      const told = async () => {
        const metrics = await scrape(own);
        const names = new Set(
          metrics.samples.map(({ name }) => name).filter((name) => fromDatabase.test(name)),
        );
        return { up: metrics.value('amba_database_up'), names: [...names] };
      };
      const names = [
        ...[
          'amba_rewards_pending',
          'amba_rewards_due',
          'amba_rewards_oldest_due_seconds',
          'amba_rewards_dead',
        ],
        'amba_integrity_checked_timestamp_seconds',
      ];
      expect(await told()).toEqual({ up: 1, names });

      await fault(proxy);
      expect(await told()).toEqual({ up: 0, names: [] });
      const metrics = await scrape(own);
      expect(metrics.value('amba_database_connections')).toBe(connections);
      expect(metrics.value('amba_claims_total', { outcome: 'claimed' })).toBe(0);
      expect(metrics.value('http_request_duration_seconds_count', { route: '/metrics', status: '200' })).toBe(
        2,
      );

      await mend(proxy);
      while ((await told()).up === 0);
      expect(await told()).toEqual({ up: 1, names });
      await close();
      await proxy.down();
      await database.drop();
    },
  );

  it('tells what connections there are, and who waits for one', () =>
    onWorld({ metricsToken: METRICS_TOKEN, databasePoolSize: 2 }, async (own) => {
      const taken = [own.db.createQueryRunner(), own.db.createQueryRunner()];
      await Promise.all(taken.map((queryRunner) => queryRunner.connect()));
      const waiting = [1, 2, 3].map(() => own.db.query('SELECT 1'));
      const pool = async () => {
        const metrics = await scrape(own);
        const names = ['connections_max', 'connections', 'connections_idle', 'waiting', 'up'];
        return names.map((name) => metrics.value(`amba_database_${name}`));
      };
      // the scrape waits too
      expect(await pool()).toEqual([2, 2, 0, 4, 0]);
      await Promise.all(taken.map((queryRunner) => queryRunner.release()));
      await Promise.all(waiting);
      while ((await pool()).join() !== [2, 2, 2, 0, 1].join());
    }));
});

it('the process tells of itself', async () => {
  const metrics = await scrape(world);
  for (const name of [
    ...['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes'],
    ...['nodejs_eventloop_lag_p99_seconds', 'process_start_time_seconds'],
  ])
    expect(metrics.value(name)).toBeGreaterThan(0);
});
