import { RewardsService } from '../src/rewards/rewards.service';
import { CurrencyService } from '../src/currency/currency.service';
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

const sweep = (now = new Date()) => world.app.get(RewardsService).sweep(now);

/** The promises of the test's own project. */
const grants = () =>
  world.db.query(
    `SELECT side, user_id, currency_code, amount, status, granted, attempts, last_error, next_attempt_at
       FROM reward_grants WHERE project_id = $1 ORDER BY side DESC, currency_code`,
    [tenant.id],
  );

describe('the maximum of a currency', () => {
  it.each([
    ['empty', 0, 50],
    ['with just enough room', 50, 50],
    ['one short of enough room', 51, 49],
    ['one below the maximum', 99, 1],
    ['at the maximum', 100, 0],
  ])('clamps a reward of 50 to a balance %s (%i of 100)', async (_, initialBalance, granted) => {
    await tenant.currency({ code: 'gems', initialBalance, maxBalance: 100 });
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 50 },
      rewardReferee: { gems: 50 },
    });
    const { body } = await world.claim(grace, 'ADA').expect(201);
    expect(body.data.rewards).toEqual([{ currency_code: 'gems', amount: 50, granted, status: 'granted' }]);
    for (const player of [ada, grace]) {
      expect(await world.balance(player, 'gems')).toBe(initialBalance + granted);
      const [line, opening] = await world.transactions(player);
      expect(line).toMatchObject({
        amount: granted,
        requested_amount: 50,
        balance_after: initialBalance + granted,
        reference_id: body.data.id,
      });
      if (initialBalance === 0) expect(opening).toBeUndefined();
      else
        expect(opening).toMatchObject({
          amount: initialBalance,
          transaction_type: 'grant',
          source: 'system',
          reference_id: null,
        });
    }
  });

  it('carries the largest amount exactly', async () => {
    await tenant.currency({ code: 'gems', initialBalance: 1 });
    await tenant.code({ code: 'MAX', rewardReferee: { gems: 9007199254740991 } });
    await world.claim(grace, 'MAX').expect(201);
    expect(await world.balance(grace, 'gems')).toBe(9007199254740991);
    expect((await world.transactions(grace))[0].amount).toBe(9007199254740990);
  });

  it('cannot be lowered below a balance, and a balance cannot pass it, whoever asks', async () => {
    const gems = await tenant.currency({ code: 'gems', maxBalance: 100 });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 60 } });
    await world.claim(grace, 'PROMO').expect(201);
    await expect(
      world.db.query(`UPDATE currencies SET max_balance = 59 WHERE id = $1`, [gems.id]),
    ).rejects.toMatchObject({
      constraint: 'currencies_max_balance_covers_balances',
    });
    await world.db.query(`UPDATE currencies SET max_balance = 60 WHERE id = $1`, [gems.id]);
    await expect(
      world.db.query(`UPDATE balances SET balance = 61 WHERE currency_id = $1`, [gems.id]),
    ).rejects.toMatchObject({
      constraint: 'balances_within_max_balance',
    });
  });
});

describe('balances and history', () => {
  it('shows every currency, with the initial balance where nothing has moved', async () => {
    await tenant.currency({ code: 'coins', name: 'Coins', initialBalance: 100 });
    await tenant.currency({ code: 'gems', name: 'Gems', isPremium: true });
    const { body } = await world.http.get('/v1/client/currencies').set(grace.headers).expect(200);
    expect(body).toEqual({
      data: [
        {
          currency_code: 'coins',
          name: 'Coins',
          is_premium: false,
          balance: 100,
          lifetime_earned: 0,
          lifetime_spent: 0,
        },
        {
          currency_code: 'gems',
          name: 'Gems',
          is_premium: true,
          balance: 0,
          lifetime_earned: 0,
          lifetime_spent: 0,
        },
      ],
    });
    expect(await world.transactions(grace)).toEqual([]);
  });

  it('pages the history newest first, whole or of one currency', async () => {
    await tenant.currency({ code: 'coins', initialBalance: 100 });
    await tenant.currency({ code: 'gems' });
    for (let i = 1; i <= 5; i += 1) {
      await tenant.code({ code: `PROMO${i}`, rewardReferee: i % 2 ? { gems: i } : { coins: i } });
      await world.claim(grace, `PROMO${i}`).expect(201);
    }
    const amounts = async (query: Record<string, string | number>) => {
      const { body } = await world.http
        .get('/client/currencies/transactions')
        .query(query)
        .set(grace.headers)
        .expect(200);
      return { ...body, data: body.data.map((line: { amount: number }) => line.amount) };
    };
    expect(await amounts({})).toEqual({ data: [5, 4, 3, 2, 100, 1], total: 6, limit: 50, offset: 0 });
    expect(await amounts({ limit: 2, offset: 1 })).toEqual({ data: [4, 3], total: 6, limit: 2, offset: 1 });
    expect(await amounts({ currency_code: 'coins' })).toEqual({
      data: [4, 2, 100],
      total: 3,
      limit: 50,
      offset: 0,
    });
    expect(await amounts({ currency_code: 'nothing' })).toEqual({ data: [], total: 0, limit: 50, offset: 0 });
    expect(await amounts({ offset: 6 })).toEqual({ data: [], total: 6, limit: 50, offset: 6 });
  });

  it.each([
    { limit: 0 },
    { limit: 201 },
    { limit: 1.5 },
    { limit: 'ten' },
    { offset: -1 },
    { offset: '1e400' },
    { currency_code: '' },
    { page: 1 },
  ])('refuses the query %j', async (query) => {
    const { body } = await world.http
      .get('/client/currencies/transactions')
      .query(query)
      .set(grace.headers)
      .expect(400);
    expect(body.error.code).toBe('INVALID_INPUT');
    expect(body.error.details[0].field).toBe(Object.keys(query)[0]);
  });

  it('says 500 FETCH_FAILED when the history cannot be read', async () => {
    await world.db.query(`ALTER TABLE currency_transactions RENAME TO away`);
    try {
      const { body } = await world.http.get('/client/currencies/transactions').set(grace.headers).expect(500);
      expect(body.error).toEqual({
        code: 'FETCH_FAILED',
        message: expect.any(String),
        request_id: expect.any(String),
      });
    } finally {
      await world.db.query(`ALTER TABLE away RENAME TO currency_transactions`);
    }
  });

  it.each([
    'UPDATE currency_transactions SET amount = 1',
    'DELETE FROM currency_transactions',
    'TRUNCATE currency_transactions CASCADE',
    'DELETE FROM referral_claims',
  ])('never changes: %s is refused', async (sql) => {
    await expect(world.db.query(sql)).rejects.toThrow('append-only');
  });
});

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
    await world.app.get(CurrencyService).delete(tenant.id, 'gems');

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
    await world.app.get(CurrencyService).delete(tenant.id, 'gems');
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
      attempts: 1,
      last_error: expect.stringContaining('not you'),
    });
    expect(after.filter((grant: { status: string }) => grant.status === 'granted')).toHaveLength(4);
    await sweep(new Date(later.getTime() + HOUR_MS));
    expect(await Promise.all(players.map((player) => world.balance(player, 'gems')))).toEqual([
      5, 5, 5, 5, 5,
    ]);
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
      after.filter(
        (grant: { status: string; attempts: number }) => grant.status !== 'granted' || grant.attempts !== 1,
      ),
    ).toEqual([]);
    expect(await world.balance(ada, 'gems')).toBe(1000);
  });

  async function withTrigger(body: string, work: () => Promise<void>): Promise<void> {
    await world.db.query(
      `CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$`,
    );
    await world.db.query(
      `CREATE TRIGGER sabotage BEFORE INSERT ON currency_transactions FOR EACH ROW EXECUTE FUNCTION sabotage()`,
    );
    try {
      await work();
    } finally {
      await world.db.query(`DROP FUNCTION sabotage CASCADE`);
    }
  }
});
