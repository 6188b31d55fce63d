import { inTransaction } from '../src/common/transaction';
import { LedgerService, type Credit } from '../src/currency/ledger.service';
import { useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
let ada: Player;
let grace: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  [ada, grace] = (await tenant.players(2)) as [Player, Player];
});

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
    const other = world.db.createQueryRunner();
    await other.startTransaction('REPEATABLE READ');
    const lowered = other.query(`UPDATE currencies SET max_balance = 60 WHERE id = $1`, [gems.id]);
    await expect(lowered).rejects.toThrow('READ COMMITTED transaction only');
    await other.rollbackTransaction();
    await other.release();
    await world.db.query(`UPDATE currencies SET max_balance = 60 WHERE id = $1`, [gems.id]);
    await expect(
      world.db.query(`UPDATE balances SET balance = 61 WHERE currency_id = $1`, [gems.id]),
    ).rejects.toMatchObject({
      constraint: 'balances_within_max_balance',
    });
  });
});

describe('the ledger', () => {
  it('locks balances in the order of their keys, whatever the order of the credits', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
    const [first, second] = [ada, grace].sort((a, b) => (a.id < b.id ? -1 : 1)) as [Player, Player];
    // the table holds them the other way round
    await world.claim(second, 'PROMO').expect(201);
    await world.claim(first, 'PROMO').expect(201);
    const lock = async (player: Player, wait: '' | 'NOWAIT') => {
      const queryRunner = world.db.createQueryRunner();
      await queryRunner.startTransaction();
      await queryRunner.query(`SELECT FROM balances WHERE user_id = $1 FOR UPDATE ${wait}`, [player.id]);
      return async () => {
        await queryRunner.rollbackTransaction();
        await queryRunner.release();
      };
    };
    const releaseFirst = await lock(first, '');
    const credits = [second, first].map((player): Credit => ({
      ...{ userId: player.id, currencyCode: 'gems', amount: 1, referenceId: null },
      ...{ transactionType: 'earn', source: 'event' },
    }));
    const credited = inTransaction(world.db, (queryRunner) =>
      world.app.get(LedgerService).credit(queryRunner, tenant.id, credits),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    // who waits for the first must not hold the second
    const releaseSecond = await lock(second, 'NOWAIT');
    await releaseSecond();
    await releaseFirst();
    expect((await credited).map((result) => result?.granted)).toEqual([1, 1]);
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
    { limit: '0x10' },
    { limit: '1e2' },
    { limit: '' },
    { offset: '' },
    { offset: '+5' },
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
