import { PaymentsService } from '../src/rewards/payments.service';
import { whilePaymentsFail } from './support/grants';
import { useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

const HOUR_MS = 60 * 60 * 1000;

let tenant: Tenant;
let ada: Player;
let grace: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  [ada, grace] = (await tenant.players(2)) as [Player, Player];
});

const sweep = (now = new Date()) => world.app.get(PaymentsService).payDue(now);

/** The promises of the test's own project. */
const grants = () =>
  world.db.query(
    `SELECT side, user_id, currency_code, amount, status, granted, attempts, last_error, next_attempt_at
       FROM reward_grants WHERE project_id = $1 ORDER BY side DESC, currency_code`,
    [tenant.id],
  );

describe('a reward that cannot be paid', () => {
  it('stays promised while its currency is gone, and is paid when it is back', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.currency({ code: 'gold' });
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 50 },
      rewardReferee: { gems: 25, gold: 1 },
    });
    await tenant.deleteCurrency('gems');

    const { body } = await world.claim(grace, 'ADA').expect(201);
    expect(body.data.rewards).toEqual([
      { currency_code: 'gems', amount: 25, granted: 0, status: 'pending' },
      { currency_code: 'gold', amount: 1, granted: 1, status: 'granted' },
    ]);
    expect(await grants()).toMatchObject([
      {
        side: 'referrer',
        currency_code: 'gems',
        status: 'pending',
        attempts: 1,
        last_error: 'The project has no currency "gems".',
      },
      {
        side: 'referee',
        currency_code: 'gems',
        status: 'pending',
        attempts: 1,
        last_error: 'The project has no currency "gems".',
      },
      { side: 'referee', currency_code: 'gold', status: 'granted', attempts: 1, last_error: null },
    ]);
    expect(await sweep(new Date(Date.now() + HOUR_MS))).toBe(false);

    await tenant.currency({ code: 'gems' });
    await sweep(new Date(Date.now() + 2 * HOUR_MS));
    expect([await world.balance(ada, 'gems'), await world.balance(grace, 'gems')]).toEqual([50, 25]);
    const again = await world.claim(grace, 'ADA').expect(400);
    expect(again.body.error.details.claim.rewards).toEqual([
      { currency_code: 'gems', amount: 25, granted: 25, status: 'granted' },
      { currency_code: 'gold', amount: 1, granted: 1, status: 'granted' },
    ]);
  });

  it('is dead after 25 tries over three to four days, with its reason, and never forgotten', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    await tenant.deleteCurrency('gems');
    const start = Date.now();
    await world.claim(grace, 'PROMO').expect(201);
    for (let tries = 1; tries < 25; tries += 1) {
      const [{ status, attempts, next_attempt_at }] = await grants();
      expect({ status, attempts }).toEqual({ status: 'pending', attempts: tries });
      await sweep(new Date(next_attempt_at.getTime() - 1));
      expect((await grants())[0].attempts).toBe(tries);
      await sweep(next_attempt_at);
    }
    const [grant] = await grants();
    expect(grant).toMatchObject({
      status: 'dead',
      attempts: 25,
      granted: null,
      last_error: 'The project has no currency "gems".',
    });
    const [{ settled }] = await world.db.query(
      `SELECT settled_at IS NOT NULL AS settled FROM reward_grants WHERE project_id = $1`,
      [tenant.id],
    );
    expect(settled).toBe(true);
    expect(grant.next_attempt_at.getTime() - start).toBeGreaterThan(3 * 24 * HOUR_MS);
  });

  it('does not hold back the others: a batch that fails is paid one by one', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const players = await tenant.players(5);
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      for (const player of players) await world.claim(player, 'PROMO').expect(201);
    });
    expect((await grants()).map(({ status }: { status: string }) => status)).toEqual(
      Array(5).fill('pending'),
    );
    const [{ user_id: unlucky }] = await grants();
    const later = new Date(Date.now() + HOUR_MS);
    await withTrigger(
      `IF NEW.user_id = '${unlucky}' THEN RAISE EXCEPTION 'not you'; END IF; RETURN NEW`,
      async () => {
        await sweep(later);
      },
    );
    const after = await grants();
    expect(after.find((grant: { user_id: string }) => grant.user_id === unlucky)).toMatchObject({
      status: 'pending',
      attempts: 2,
      last_error: expect.stringContaining('not you'),
    });
    expect(after.filter((grant: { status: string }) => grant.status === 'granted')).toHaveLength(4);
    await sweep(new Date(later.getTime() + HOUR_MS));
    expect(await Promise.all(players.map((player) => world.balance(player, 'gems')))).toEqual([
      5, 5, 5, 5, 5,
    ]);
  });

  it('keeps its reason from the first try on', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      await world.claim(grace, 'PROMO').expect(201);
    });
    expect(await grants()).toMatchObject([{ status: 'pending', attempts: 1, last_error: 'not today' }]);
  });

  it('is counted one try by any number of sweepers', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const players = await tenant.players(10);
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      for (const player of players) await world.claim(player, 'PROMO').expect(201);
      const later = new Date(Date.now() + HOUR_MS);
      await Promise.all(Array.from({ length: 5 }, () => sweep(later)));
    });
    expect(new Set((await grants()).map(({ attempts }: { attempts: number }) => attempts))).toEqual(
      new Set([2]),
    );
  });

  it('waits without losing a try while somebody keeps its currency locked, and others are paid meanwhile', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.currency({ code: 'gold' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5, gold: 7 } });
    const players = await tenant.players(4);
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      for (const player of players) await world.claim(player, 'PROMO').expect(201);
    });
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SET LOCAL idle_in_transaction_session_timeout = 0`);
    await other.query(`SELECT FROM currencies WHERE project_id = $1 AND code = 'gems' FOR UPDATE`, [
      tenant.id,
    ]);
    const later = new Date(Date.now() + HOUR_MS);
    await sweep(later);
    await other.rollbackTransaction();
    await other.release();
    const state = (await grants()).map(
      (grant: any) => `${grant.currency_code} ${grant.status} ${grant.attempts}`,
    );
    expect(state.sort()).toEqual([...Array(4).fill('gems pending 1'), ...Array(4).fill('gold granted 2')]);
    await sweep(new Date(later.getTime() + 5_000));
    expect(await Promise.all(players.map((player) => world.balance(player, 'gems')))).toEqual([5, 5, 5, 5]);
  });

  it('is left to the transaction that holds it', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      await world.claim(grace, 'PROMO').expect(201);
    });
    const later = new Date(Date.now() + HOUR_MS);
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SELECT FROM reward_grants WHERE project_id = $1 FOR UPDATE`, [tenant.id]);
    const start = Date.now();
    expect(await sweep(later)).toBe(false);
    expect(Date.now() - start).toBeLessThan(1_000);
    expect(await world.balance(grace, 'gems')).toBe(0);
    await other.rollbackTransaction();
    await other.release();
    await sweep(later);
    expect(await world.balance(grace, 'gems')).toBe(5);
  });

  it('is not waited for when its currency is locked too', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      for (const player of [ada, grace]) await world.claim(player, 'PROMO').expect(201);
    });
    const later = new Date(Date.now() + HOUR_MS);
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SET LOCAL idle_in_transaction_session_timeout = 0`);
    await other.query(`SELECT FROM currencies WHERE project_id = $1 FOR UPDATE`, [tenant.id]);
    await other.query(`SELECT FROM reward_grants WHERE project_id = $1 AND user_id = $2 FOR UPDATE`, [
      ...[tenant.id, ada.id],
    ]);
    expect(await sweep(later)).toBe(false);
    await other.rollbackTransaction();
    await other.release();
    const postponed = (await grants()).filter(
      ({ next_attempt_at }: { next_attempt_at: Date }) => next_attempt_at > later,
    );
    expect(postponed).toMatchObject([{ user_id: grace.id, attempts: 1 }]);
  });

  it('is paid once by any number of sweepers', async () => {
    await tenant.currency({ code: 'gems', maxBalance: 1000 });
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 30 },
      rewardReferee: { gems: 5 },
    });
    const players = await tenant.players(40);
    await withTrigger(`RAISE EXCEPTION 'not today'`, async () => {
      await Promise.all(players.map((player) => world.claim(player, 'ADA').expect(201)));
    });
    const later = new Date(Date.now() + HOUR_MS);
    await Promise.all(Array.from({ length: 8 }, () => sweep(later)));
    while (await sweep(later));
    const after = await grants();
    expect(after).toHaveLength(80);
    expect(
      new Set(
        after.map(({ status, attempts }: { status: string; attempts: number }) => `${status} ${attempts}`),
      ),
    ).toEqual(new Set(['granted 2']));
    // a payment that was tried twice and undone would have used up a number
    const [{ gaps }] = await world.db.query(
      `SELECT max(seq) - min(seq) + 1 - count(*) AS gaps FROM currency_transactions WHERE project_id = $1`,
      [tenant.id],
    );
    expect(gaps).toBe(0);
    expect(await world.balance(ada, 'gems')).toBe(1000);
  });

  const withTrigger = (body: string, work: () => Promise<void>) => whilePaymentsFail(world, body, work);
});
