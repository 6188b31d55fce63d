import { PaymentsService } from '../src/rewards/payments.service';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryRunner } from 'typeorm';
import { tally, useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
});

async function deadlocks(): Promise<number> {
  // the statistics of idle sessions arrive late; this session's own snapshot must be fresh
  await world.db.query(`SELECT pg_stat_clear_snapshot()`);
  const [row] = await world.db.query(
    `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`,
  );
  return row.deadlocks;
}

describe('many at once', () => {
  it('100 users on max_uses 5: exactly 5 win', async () => {
    await tenant.code({ code: 'FIVE', rewardReferee: { gems: 10 }, maxUses: 5 });
    const players = await tenant.players(100);
    const responses = await Promise.all(players.map((player) => world.claim(player, 'FIVE')));
    expect(tally(responses)).toEqual({ '201': 5, '400 MAX_USES_REACHED': 95 });
    const winners = players.filter((_, i) => responses[i]?.status === 201);
    const balances = await Promise.all(winners.map((winner) => world.balance(winner, 'gems')));
    expect(balances).toEqual([10, 10, 10, 10, 10]);
  });

  it('one user, one code, 100 times: one claim, one reward', async () => {
    const [ada, grace] = (await tenant.players(2)) as [Player, Player];
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 7 },
      rewardReferee: { gems: 3 },
    });
    const responses = await Promise.all(Array.from({ length: 100 }, () => world.claim(grace, 'ADA')));
    expect(tally(responses)).toEqual({ '201': 1, '400 ALREADY_CLAIMED': 99 });
    expect([await world.balance(ada, 'gems'), await world.balance(grace, 'gems')]).toEqual([7, 3]);
    const won = responses.find(({ status }) => status === 201)?.body.data.id;
    const heard = responses
      .filter(({ status }) => status === 400)
      .map(({ body }) => body.error.details.claim.id);
    expect(new Set(heard)).toEqual(new Set([won]));
  });

  it('one idempotency key, 20 times: 20 times the same 201', async () => {
    const grace = await tenant.player();
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 3 } });
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => world.claim(grace, 'PROMO', { 'idempotency-key': 'k' })),
    );
    expect(tally(responses)).toEqual({ '201': 20 });
    expect(new Set(responses.map(({ body }) => body.data.id)).size).toBe(1);
    expect(responses.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).toHaveLength(19);
    expect(await world.balance(grace, 'gems')).toBe(3);
  });

  it.each([[undefined], [1]])(
    'one idempotency key, 10 different codes, %p claims a user: one 201, the others 422',
    async (maxClaimsPerUser) => {
      const limited = await world.tenant({ maxClaimsPerUser });
      const codes = Array.from({ length: 10 }, (_, i) => `CODE${i}`);
      for (const code of codes) await limited.code({ code });
      // for the first one a limit is news, for the others it is known
      for (const player of await limited.players(3)) {
        const responses = await Promise.all(
          codes.map((code) => world.claim(player, code, { 'idempotency-key': 'k' })),
        );
        expect(tally(responses)).toEqual({ '201': 1, '422 IDEMPOTENCY_MISMATCH': 9 });
      }
    },
  );

  it('50 first reads of my-code: one row, one 201', async () => {
    const ada = await tenant.player();
    const responses = await Promise.all(Array.from({ length: 50 }, () => world.myCode(ada)));
    expect(tally(responses)).toEqual({ '201': 1, '200': 49 });
    expect(new Set(responses.map(({ body }) => body.data.code)).size).toBe(1);
  });

  it('40 referees of one referrer: every reward lands on one balance', async () => {
    const ada = await tenant.player();
    await tenant.code({
      code: 'ADA',
      userId: ada.id,
      rewardReferrer: { gems: 7 },
      rewardReferee: { gems: 3 },
    });
    const players = await tenant.players(40);
    const responses = await Promise.all(players.map((player) => world.claim(player, 'ADA')));
    expect(tally(responses)).toEqual({ '201': 40 });
    expect(
      responses.flatMap(({ body }) => body.data.rewards.map((reward: { status: string }) => reward.status)),
    ).toEqual(Array.from({ length: 40 }, () => 'granted'));
    expect(await world.balance(ada, 'gems')).toBe(280);
  });

  it('a limit of one claim per user, 10 codes at once: one 201', async () => {
    const codes = Array.from({ length: 10 }, (_, i) => `CODE${i}`);
    for (let round = 0; round < 6; round += 1) {
      const limited = await world.tenant({ maxClaimsPerUser: 1 });
      for (const code of codes) await limited.code({ code });
      // for the first one the limit is news, for the others it is known
      for (const player of await limited.players(3)) {
        const responses = await Promise.all(codes.map((code) => world.claim(player, code)));
        expect(tally(responses)).toEqual({ '201': 1, '400 CLAIM_LIMIT_REACHED': 9 });
      }
    }
  });

  it('500 pairs claim each other, 200 claims at once: 1,000 claims and no deadlock', async () => {
    await tenant.currency({ code: 'gold' });
    const rewards = { rewardReferrer: { gems: 5, gold: 2 }, rewardReferee: { gold: 1, gems: 3 } };
    const before = await deadlocks();
    const players: Player[] = [];
    for (let round = 0; round < 5; round += 1) {
      const present = await tenant.players(200);
      const code = (i: number) => `P${round}-${i}`;
      await Promise.all(present.map(({ id }, i) => tenant.code({ code: code(i), userId: id, ...rewards })));
      const responses = await Promise.all(present.map((player, i) => world.claim(player, code(i ^ 1))));
      expect(tally(responses)).toEqual({ '201': 200 });
      players.push(...present);
    }
    await sleep(1_100);
    expect((await deadlocks()) - before).toBe(0);
    for (const player of players.filter((_, i) => i % 50 === 0)) {
      expect(await world.balance(player, 'gems')).toBe(8);
      expect(await world.balance(player, 'gold')).toBe(3);
    }
  }, 90_000);
});

describe('a claim that waits for a lock', () => {
  it.each([
    ['deactivated', `UPDATE referral_codes SET is_active = false WHERE project_id = $1`, '404 INVALID_CODE'],
    [
      'full',
      `UPDATE referral_codes SET max_uses = 1, current_uses = 1 WHERE project_id = $1`,
      '400 MAX_USES_REACHED',
    ],
    ['deleted', `UPDATE referral_codes SET deleted_at = now() WHERE project_id = $1`, '404 INVALID_CODE'],
  ])('sees the code that was %s meanwhile', async (state, sql, outcome) => {
    const [ada, grace] = (await tenant.players(2)) as [Player, Player];
    await tenant.code({ code: 'CODE' });
    const other = await holding(async (queryRunner) => {
      await queryRunner.query(sql, [tenant.id]);
      if (state !== 'full') return;
      // the use that filled the code belongs to a claim
      await queryRunner.query(
        `INSERT INTO referral_claims (project_id, id, referral_code_id, referee_id, reward_referrer, reward_referee)
         SELECT project_id, gen_random_uuid(), id, $2, '{}', '{}' FROM referral_codes WHERE project_id = $1`,
        [tenant.id, ada.id],
      );
    });
    const response = world.claim(grace, 'CODE').then((value) => value);
    await untilSomebodyWaits();
    await other.commit();
    expect(tally([await response])).toEqual({ [outcome]: 1 });
  });

  it('is paid under the maximum that was lowered meanwhile, at the first try', async () => {
    const grace = await tenant.player();
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 50 } });
    const other = await holding((queryRunner) =>
      queryRunner.query(`UPDATE currencies SET max_balance = 20 WHERE project_id = $1 AND code = 'gems'`, [
        tenant.id,
      ]),
    );
    const response = world.claim(grace, 'PROMO').then((value) => value);
    await untilSomebodyWaits();
    await other.commit();
    expect((await response).body.data.rewards).toEqual([
      { currency_code: 'gems', amount: 50, granted: 20, status: 'granted' },
    ]);
    expect(await world.balance(grace, 'gems')).toBe(20);
  });

  it('keeps the promise when the currency was deleted meanwhile', async () => {
    const grace = await tenant.player();
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 50 } });
    const other = await holding((queryRunner) =>
      queryRunner.query(`UPDATE currencies SET deleted_at = now() WHERE project_id = $1 AND code = 'gems'`, [
        tenant.id,
      ]),
    );
    const response = world.claim(grace, 'PROMO').then((value) => value);
    await untilSomebodyWaits();
    await other.commit();
    expect((await response).body.data.rewards).toEqual([
      { currency_code: 'gems', amount: 50, granted: 0, status: 'pending' },
    ]);
  });

  it('answers with a pending reward when its currency stays locked, and it is paid when the way is free', async () => {
    const grace = await tenant.player();
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 50 } });
    const other = await holding((queryRunner) =>
      queryRunner.query(`SELECT FROM currencies WHERE project_id = $1 FOR UPDATE`, [tenant.id]),
    );
    const { body } = await world.claim(grace, 'PROMO').expect(201);
    expect(body.data.rewards).toEqual([{ currency_code: 'gems', amount: 50, granted: 0, status: 'pending' }]);
    await other.commit();
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 60_000));
    expect(await world.balance(grace, 'gems')).toBe(50);
  });

  /** A transaction of somebody else's that has done `work` and not committed yet. */
  async function holding(work: (queryRunner: QueryRunner) => Promise<unknown>) {
    const queryRunner = world.db.createQueryRunner();
    await queryRunner.startTransaction();
    await work(queryRunner);
    return {
      commit: async () => {
        await queryRunner.commitTransaction();
        await queryRunner.release();
      },
    };
  }

  async function untilSomebodyWaits(): Promise<void> {
    await eventually(async () => {
      const waiting = await world.db.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(waiting).toHaveLength(1);
    });
  }

  async function eventually(check: () => Promise<void>): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await check();
      } catch (error) {
        if (tries === 100) throw error;
        await sleep(20);
      }
    }
  }
});
