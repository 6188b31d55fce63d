import { inTransaction } from '../src/common/transaction';
import { SharedRuns } from '../src/common/shared-runs';
import { LedgerService } from '../src/currency/ledger.service';
import { rewardRoutes, seedGrants } from './support/grants';
import { cloneDatabase, startWorld, useWorld, type Player, type Tenant, type World } from './support/world';

const world = useWorld();

let tenant: Tenant;
const { get } = rewardRoutes(world, () => tenant);

beforeEach(async () => {
  tenant = await world.tenant();
});

const totals = async () => (await get('reconciliation').expect(200)).body.data;

const none = { count: 0, promised: 0 };
const holding = (name: string) => ({ name, agrees: true });
const COMPARISONS = [
  'granted_count_equals_referral_lines',
  'granted_promised_equals_referral_requested',
  'granted_sum_equals_referral_sum',
  'balances_equal_ledger',
];

describe('the totals', () => {
  it('add up promises, ledger and balances of each currency, deleted ones with a history too', async () => {
    await tenant.currency({ code: 'gems', maxBalance: 60 });
    for (const code of ['old', 'never', 'fresh']) await tenant.currency({ code });
    await tenant.currency({ code: 'gold', initialBalance: 100 });
    const [ada, grace, edsger] = (await tenant.players(3)) as [Player, Player, Player];
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 50 },
      rewardReferee: { gems: 25, gold: 1 },
    });
    for (const player of [grace, edsger]) await world.claim(player, 'ADA').expect(201);
    const twoHoursAgo = new Date(Date.now() - 7_200_000).toISOString();
    await seedGrants(world, tenant, { status: 'pending', amount: 7, count: 2, newest: twoHoursAgo });
    await seedGrants(world, tenant, { status: 'dead', amount: 5 });
    await seedGrants(world, tenant, { status: 'cancelled', currency: 'old', amount: 3 });
    for (const code of ['old', 'never']) await tenant.deleteCurrency(code);

    const report = await totals();
    expect(report).toMatchObject({ agrees: true, checked_at: expect.any(String), pending: 2, dead: 1 });
    expect(report.oldest_pending_age_s).toBeGreaterThanOrEqual(7_201);
    expect(report.oldest_pending_age_s).toBeLessThan(7_260);
    const empty = {
      promises: {
        ...{ pending: none, granted: none, dead: none, cancelled: none },
        ...{ granted_sum: 0, clamped_sum: 0 },
      },
      ledger: { sum: 0, referral: { count: 0, requested: 0, sum: 0 }, by_source: [] },
      balances: { users: 0, sum: 0 },
    };
    const currency = (code: string, is_deleted = false) => ({
      ...{ currency_code: code, is_deleted, agrees: true, comparisons: COMPARISONS.map(holding) },
    });
    expect(report.currencies).toEqual([
      { ...currency('fresh'), ...empty },
      {
        ...currency('gems'),
        promises: {
          ...{ pending: { count: 2, promised: 14 }, granted: { count: 4, promised: 150 } },
          ...{ dead: { count: 1, promised: 5 }, cancelled: none, granted_sum: 110, clamped_sum: 40 },
        },
        ledger: {
          ...{ sum: 110, referral: { count: 4, requested: 150, sum: 110 } },
          by_source: [{ source: 'referral', count: 4, sum: 110 }],
        },
        balances: { users: 3, sum: 110 },
      },
      {
        ...currency('gold'),
        promises: {
          ...{ pending: none, granted: { count: 2, promised: 2 }, dead: none, cancelled: none },
          ...{ granted_sum: 2, clamped_sum: 0 },
        },
        ledger: {
          ...{ sum: 202, referral: { count: 2, requested: 2, sum: 2 } },
          by_source: [
            { source: 'referral', count: 2, sum: 2 },
            { source: 'system', count: 2, sum: 200 },
          ],
        },
        balances: { users: 2, sum: 202 },
      },
      {
        ...{ ...currency('old', true), ...empty },
        promises: { ...empty.promises, cancelled: { count: 1, promised: 3 } },
      },
    ]);
  });

  it('are empty in an empty project, and of this project only', async () => {
    const other = await world.tenant();
    await other.currency({ code: 'gems' });
    expect(await totals()).toEqual({
      ...{ agrees: true, checked_at: expect.any(String), pending: 0, dead: 0 },
      ...{ oldest_pending_age_s: null, currencies: [] },
    });
    await get('reconciliation', other.serverKey).expect(403);
  });

  it('agree while claims race', async () => {
    await tenant.currency({ code: 'gems', maxBalance: 500 });
    const players = await tenant.players(60);
    await tenant.code({
      ...{ code: 'ADA', userId: (await tenant.player()).id },
      ...{ rewardReferrer: { gems: 50 }, rewardReferee: { gems: 25 } },
    });
    let racing = true;
    // five at a time, so that the totals are read between them however fast they are
    const claimEach = async (some: Player[]) => {
      for (const player of some) await world.claim(player, 'ADA').expect(201);
    };
    const claims = Promise.all(
      [0, 12, 24, 36, 48].map((from) => claimEach(players.slice(from, from + 12))),
    ).finally(() => (racing = false));
    const seen = new Set<number>();
    while (racing) {
      const report = await totals();
      expect(report.agrees).toBe(true);
      seen.add(report.currencies[0].promises.granted.count);
    }
    await claims;
    expect(seen.size).toBeGreaterThan(1);
    const [gems] = (await totals()).currencies;
    expect(gems.promises).toMatchObject({ granted_sum: 2_000, clamped_sum: 2_500 });
  });

  it('are of one moment: what is paid between two of their statements is not half of them', async () => {
    await tenant.currency({ code: 'gems' });
    const { id: userId } = await tenant.player();
    const reading = await inTransaction(world.db, async (queryRunner) => {
      await queryRunner.query('LOCK TABLE balances IN ACCESS EXCLUSIVE MODE');
      const report = totals();
      await untilSomebodyWaits();
      await world.app.get(LedgerService).credit(queryRunner, tenant.id, [
        {
          ...{ userId, currencyCode: 'gems', amount: 5, referenceId: null },
          ...({ transactionType: 'earn', source: 'event' } as const),
        },
      ]);
      return { report };
    });
    expect((await reading.report).currencies[0]).toMatchObject({
      ...{ agrees: true, ledger: { sum: 0 }, balances: { users: 0, sum: 0 } },
    });
    expect((await totals()).currencies[0]).toMatchObject({
      ...{ agrees: true, ledger: { sum: 5 }, balances: { users: 1, sum: 5 } },
    });
  });

  it('are added up by one connection, however many ask', async () => {
    const runs = new SharedRuns<number>();
    let [under, most, count] = [0, 0, 0];
    const work = async () => {
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setTimeout(resolve, 5));
      under -= 1;
      count += 1;
      return count;
    };
    const first = runs.run('a', work);
    await new Promise((resolve) => setTimeout(resolve, 1));
    const rest = [...Array(10).fill('a'), 'b'].map((key: string) => runs.run(key, work));
    expect(await Promise.all([first, ...rest])).toEqual([1, ...Array(10).fill(2), 3]);
    expect(most).toBe(1);
    const failing = runs.run('a', () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await runs.run('a', work)).toBe(4);
  });
});

describe('totals that do not agree', () => {
  let bent: World;
  let bentTenant: Tenant;
  let close: () => Promise<void>;
  const bentRoutes = rewardRoutes(
    new Proxy({} as World, { get: (_, name: keyof World) => Reflect.get(bent, name, bent) }),
    () => bentTenant,
  );

  beforeEach(async () => {
    const database = await cloneDatabase();
    const started = await startWorld(database.url);
    bent = started.world;
    close = async () => {
      await started.close();
      await database.discard();
    };
    bentTenant = await bent.tenant();
    await bentTenant.currency({ code: 'gems' });
  });
  afterEach(() => close());

  const disagreeing = async () => {
    const { agrees, currencies } = (await bentRoutes.get('reconciliation').expect(200)).body.data;
    const broken = currencies[0].comparisons.filter((comparison: { agrees: boolean }) => !comparison.agrees);
    expect([agrees, currencies[0].agrees]).toEqual(Array(2).fill(broken.length === 0));
    return broken.map(({ name }: { name: string }) => name);
  };

  it.each<[string, string[]]>([
    [`UPDATE balances SET balance = balance - 1`, ['balances_equal_ledger']],
    [`UPDATE reward_grants SET granted = granted - 1`, ['granted_sum_equals_referral_sum']],
    [`UPDATE reward_grants SET amount = amount + 1`, ['granted_promised_equals_referral_requested']],
    [`DELETE FROM reward_grants`, COMPARISONS.slice(0, 3)],
  ])('say which: %s', async (sql, names) => {
    await bentTenant.code({ code: 'PROMO', rewardReferee: { gems: 25 } });
    await bent.claim(await bentTenant.player(), 'PROMO').expect(201);
    expect(await disagreeing()).toEqual([]);
    await bent.db.query(sql);
    expect(await disagreeing()).toEqual(names);
  });

  it('are compared exactly where JSON has no number for them, and shown as null there', async () => {
    await bentTenant.code({ code: 'MAX', rewardReferee: { gems: Number.MAX_SAFE_INTEGER } });
    const [ada, grace, edsger] = (await bentTenant.players(3)) as [Player, Player, Player];
    await bent.claim(ada, 'MAX').expect(201);
    const report = async () => (await bentRoutes.get('reconciliation').expect(200)).body.data.currencies[0];
    expect((await report()).balances).toEqual({ users: 1, sum: Number.MAX_SAFE_INTEGER });
    for (const player of [grace, edsger]) await bent.claim(player, 'MAX').expect(201);
    expect(await report()).toMatchObject({
      ...{ agrees: true, balances: { users: 3, sum: null }, ledger: { sum: null } },
      promises: { granted: { count: 3, promised: null }, granted_sum: null, clamped_sum: 0 },
    });
    // three times 2^53 - 1, and one less, are the same to floating point
    await bent.db.query(`UPDATE balances SET balance = balance - 1 WHERE user_id = $1`, [ada.id]);
    expect(await disagreeing()).toEqual(['balances_equal_ledger']);
  });
});

async function untilSomebodyWaits(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const [{ waiting }] = await world.db.query(
      `SELECT count(*) AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (waiting > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('Nobody waits');
}
