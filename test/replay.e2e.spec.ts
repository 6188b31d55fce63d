import { randomUUID } from 'node:crypto';
import { PaymentsService } from '../src/rewards/payments.service';
import { rewardRoutes, seedGrants } from './support/grants';
import { tally, useWorld, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
const { get, list, post } = rewardRoutes(world, () => tenant);

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
});

/** The database counts microseconds: what it made due within this millisecond is due in the next. */
const sweep = () => world.app.get(PaymentsService).payDue(new Date(Date.now() + 1));

const one = async (status: 'pending' | 'dead' | 'cancelled', lastError?: string) =>
  (await seedGrants(world, tenant, { status, lastError }))[0] as string;

/** A promise that was paid at once. */
const granted = async () => {
  const id = await one('pending');
  await sweep();
  return id;
};

const balanceOf = async (grantId: string) => {
  const [row] = await world.db.query(
    `SELECT b.balance FROM reward_grants g JOIN balances b ON b.project_id = g.project_id AND b.user_id = g.user_id WHERE g.id = $1`,
    [grantId],
  );
  return row?.balance ?? 0;
};

const lines = async () => {
  const [{ count }] = await world.db.query(
    `SELECT count(*) FROM currency_transactions WHERE project_id = $1`,
    [tenant.id],
  );
  return count;
};

const eventsOf = async (id: string) => (await get(`reward-grants/${id}`).expect(200)).body.data.events;

describe('a replay of two', () => {
  it('locks rewards in the order of their ids, so that two cannot wait for each other', async () => {
    const seeded = await seedGrants(world, tenant, { count: 2, status: 'dead' });
    const [first, second] = seeded.sort() as [string, string];
    // the table holds them the other way round, and is read as it stands while it is this small: the first test
    await world.db.query(`UPDATE reward_grants SET attempts = 24 WHERE id = $1`, [first]);
    await world.db.query(`ANALYZE reward_grants`);
    const lock = async (id: string, wait: '' | 'NOWAIT') => {
      const queryRunner = world.db.createQueryRunner();
      await queryRunner.startTransaction();
      await queryRunner.query(`SELECT FROM reward_grants WHERE id = $1 FOR UPDATE ${wait}`, [id]);
      return async () => {
        await queryRunner.rollbackTransaction();
        await queryRunner.release();
      };
    };
    const releaseFirst = await lock(first, '');
    const answer = post('replay', { ids: [second, first] }).then((replayed) => replayed);
    await waitUntilBlocked(1);
    // who waits for the first must not hold the second
    await (
      await lock(second, 'NOWAIT')
    )();
    await releaseFirst();
    expect((await answer).body.data.replayed).toBe(2);
  });
});

describe('a replay', () => {
  it.each(['dead', 'cancelled'] as const)('pays a %s reward, once, and says who did it', async (status) => {
    const id = await one(status, 'no luck');
    const { body } = await post(`${id}/replay`).set('x-request-id', 'req-1').expect(200);
    expect(body.data).toEqual({
      ...{ id, claim_id: expect.any(String), side: 'referee', app_user_id: expect.any(String) },
      ...{ currency_code: 'gems', promised: 5, granted: 5, clamped: 0, status: 'granted' },
      ...{ attempts: 1, last_error: null, next_attempt_at: null },
      transaction: { id: expect.any(String), balance_after: 5, created_at: expect.any(String) },
      ...{ created_at: expect.any(String), settled_at: expect.any(String) },
    });
    expect(await eventsOf(id)).toEqual([
      {
        ...{ id: expect.any(String), actor_kind: 'server_key', actor_id: expect.any(String) },
        ...{ actor_name: tenant.serverKey.slice(0, 16), address: '127.0.0.1', request_id: 'req-1' },
        ...{ action: 'reward_grant.replay', target_id: id },
        before: { status, attempts: status === 'dead' ? 25 : 0, last_error: 'no luck' },
        after: { status: 'pending', attempts: 0, last_error: null },
        created_at: expect.any(String),
      },
    ]);
    expect([await balanceOf(id), await lines()]).toEqual([5, 1]);
    const again = await post(`${id}/replay`).expect(409);
    expect(again.body.error.code).toBe('NOT_REPLAYABLE');
  });

  it.each(['pending', 'granted'] as const)(
    'of a %s reward is refused and leaves no trace',
    async (status) => {
      const id = status === 'pending' ? await one('pending') : await granted();
      const { body: before } = await get(`reward-grants/${id}`);
      expect((await post(`${id}/replay`).expect(409)).body.error.code).toBe('NOT_REPLAYABLE');
      expect((await get(`reward-grants/${id}`)).body).toEqual(before);
    },
  );

  it('that cannot be paid now stays pending, with its reason, and is swept', async () => {
    const id = await one('dead');
    await tenant.deleteCurrency('gems');
    const { body } = await post(`${id}/replay`).expect(200);
    expect(body.data).toMatchObject({
      ...{ status: 'pending', attempts: 1, last_error: 'The project has no currency "gems".' },
      ...{ granted: null, settled_at: null, next_attempt_at: expect.any(String) },
    });
    await tenant.currency({ code: 'gems' });
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 60_000));
    expect(await balanceOf(id)).toBe(5);
  });

  it('answers after a second at most, while somebody keeps the currency locked', async () => {
    const id = await one('dead');
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SELECT FROM currencies WHERE project_id = $1 FOR UPDATE`, [tenant.id]);
    const start = Date.now();
    const { body } = await post(`${id}/replay`).expect(200);
    expect(Date.now() - start).toBeLessThan(1_800);
    expect(body.data).toMatchObject({ status: 'pending', attempts: 0, last_error: null });
    await other.rollbackTransaction();
    await other.release();
    for (let tries = 0; tries < 50 && (await balanceOf(id)) === 0; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await balanceOf(id)).toBe(5);
  });

  it('of the last of ten at once: one 200, nine 409, one payment', async () => {
    const id = await one('dead');
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(`${id}/replay`)));
    expect(tally(answers)).toEqual({ '200': 1, '409 NOT_REPLAYABLE': 9 });
    expect([await balanceOf(id), await lines(), (await eventsOf(id)).length]).toEqual([5, 1, 1]);
  });

  it('is refused to other projects, and of their rewards', async () => {
    const id = await one('dead');
    const other = await world.tenant();
    for (const path of [`${id}/replay`, 'replay']) {
      const { body } = await post(path, { ids: [id] }, other.serverKey).expect(403);
      expect(body.error.code).toBe('PROJECT_FORBIDDEN');
    }
    const theirs = rewardRoutes(world, () => other);
    for (const unknown of [id, randomUUID(), 'no-id']) {
      expect((await theirs.post(`${unknown}/replay`).expect(404)).body.error.code).toBe('NOT_FOUND');
      await theirs.post(`${unknown}/cancel`, { reason: 'x' }).expect(404);
      await theirs.get(`reward-grants/${unknown}`).expect(404);
    }
    const { body } = await theirs.post('replay', { ids: [id] }).expect(200);
    expect(body.data).toEqual({ replayed: 0, refused: [{ id, reason: 'not_found' }], has_more: false });
    expect(await eventsOf(id)).toEqual([]);
  });
});

describe('a replay of many', () => {
  it('by id pays those that can be, names the others, and writes a line for each', async () => {
    const dead = await seedGrants(world, tenant, { count: 3, status: 'dead' });
    const cancelled = await one('cancelled');
    const [pending, paid, unknown] = [await one('pending'), await granted(), randomUUID()];
    // `granted` swept the pending one too
    const ids = [...dead, cancelled.toUpperCase(), cancelled, pending, paid, unknown];
    const { body } = await post('replay', { ids }).expect(200);
    expect(body.data).toEqual({
      replayed: 4,
      refused: [
        { id: pending, reason: 'not_replayable' },
        { id: paid, reason: 'not_replayable' },
        { id: unknown, reason: 'not_found' },
      ],
      has_more: false,
    });
    for (const id of [...dead, cancelled]) {
      expect(await balanceOf(id)).toBe(5);
      expect(await eventsOf(id)).toMatchObject([{ action: 'reward_grant.replay', target_id: id }]);
    }
  });

  it('by status and time takes the oldest thousand, and says that there are more', async () => {
    const newest = '2026-03-01T12:00:00.000Z';
    await seedGrants(world, tenant, { count: 1_002, status: 'dead', newest });
    const kept = await one('cancelled');
    const [outside] = await seedGrants(world, tenant, { status: 'dead', newest: '2026-03-02T00:00:00Z' });
    const range = { status: 'dead', from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z' };
    const { body } = await post('replay', range).expect(200);
    expect(body.data).toEqual({ replayed: 1_000, refused: [], has_more: true });
    const left = await list({ status: 'dead' }).expect(200);
    expect(left.body.data.map(({ created_at }: { created_at: string }) => created_at)).toEqual([
      ...['2026-03-02T00:00:00.000Z', newest, '2026-03-01T11:59:59.000Z'],
    ]);
    const rest = await post('replay', range).expect(200);
    expect(rest.body.data).toEqual({ replayed: 2, refused: [], has_more: false });
    while (await sweep());
    expect((await list({ status: 'granted' })).body.total).toBe(1_002);
    expect((await get(`reward-grants/${outside}`)).body.data.status).toBe('dead');
    expect((await get(`reward-grants/${kept}`)).body.data.status).toBe('cancelled');
  });

  it('at once, ten times over the same, replays and pays each once', async () => {
    const ids = await seedGrants(world, tenant, { count: 100, status: 'dead' });
    const orders = Array.from({ length: 10 }, (_, i) => (i % 2 ? ids : [...ids].reverse()));
    const answers = await Promise.all(orders.map((order) => post('replay', { ids: order })));
    expect(tally(answers)).toEqual({ '200': 10 });
    const counts = answers.map(({ body }) => body.data.replayed + body.data.refused.length);
    expect(counts).toEqual(Array(10).fill(100));
    expect(answers.reduce((total, { body }) => total + body.data.replayed, 0)).toBe(100);
    while (await sweep());
    expect(await lines()).toBe(100);
  });

  it('one that cannot be paid does not hold back the others', async () => {
    await tenant.currency({ code: 'gold' });
    const [lost] = await seedGrants(world, tenant, { status: 'dead', currency: 'gold' });
    const others = await seedGrants(world, tenant, { count: 3, status: 'dead' });
    await tenant.deleteCurrency('gold');
    await post('replay', { ids: [lost, ...others] }).expect(200);
    const statuses = (await list()).body.data.map((row: any) => `${row.currency_code} ${row.status}`);
    expect(statuses.sort()).toEqual([...Array(3).fill('gems granted'), 'gold pending']);
  });

  it.each<[string, object, string]>([
    ['nothing', {}, 'status'],
    ['a time alone', { from: '2026-03-01T00:00:00Z' }, 'status'],
    ['a status that needs none', { status: 'pending' }, 'status'],
    ['no status', { status: null }, 'status'],
    ['no time', { status: 'dead', to: 'tomorrow' }, 'to'],
    ['no ids', { ids: [] }, 'ids'],
    ['what is no id', { ids: ['x'] }, 'ids'],
    ['what is no list', { ids: 'x' }, 'ids'],
    ['both', { ids: [randomUUID()], status: 'dead' }, 'ids'],
    ['too many ids', { ids: Array.from({ length: 401 }, () => randomUUID().slice(0, 32)) }, 'ids'],
    ['what it does not know', { all: true }, 'all'],
  ])('refuses %s', async (_, body, field) => {
    const answer = await post('replay', body).expect(400);
    expect(answer.body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field }] });
  });

  it('takes as many ids as it says', async () => {
    const ids = Array.from({ length: 400 }, () => randomUUID());
    expect((await post('replay', { ids }).expect(200)).body.data.refused).toHaveLength(400);
  });
});

describe('a cancellation', () => {
  it.each(['pending', 'dead'] as const)('ends a %s reward with its reason', async (status) => {
    const id = await one(status, 'no luck');
    const { body } = await post(`${id}/cancel`, { reason: 'Fraud: ten accounts' }).expect(200);
    expect(body.data).toMatchObject({
      ...{ id, status: 'cancelled', last_error: 'Fraud: ten accounts', granted: null, clamped: null },
      ...{ transaction: null, next_attempt_at: null, settled_at: expect.any(String) },
    });
    const attempts = status === 'dead' ? 25 : 0;
    expect(await eventsOf(id)).toMatchObject([
      {
        ...{ actor_kind: 'server_key', action: 'reward_grant.cancel', target_id: id },
        before: { status, attempts, last_error: 'no luck' },
        after: { status: 'cancelled', attempts, last_error: 'Fraud: ten accounts' },
      },
    ]);
    await sweep();
    expect(await balanceOf(id)).toBe(0);
  });

  it.each(['granted', 'cancelled'] as const)('of a %s reward is refused', async (status) => {
    const id = status === 'granted' ? await granted() : await one('cancelled');
    const { body: before } = await get(`reward-grants/${id}`);
    const { body } = await post(`${id}/cancel`, { reason: 'Fraud' }).expect(409);
    expect(body.error.code).toBe('NOT_CANCELLABLE');
    expect((await get(`reward-grants/${id}`)).body).toEqual(before);
  });

  it('is undone by a replay, which pays once; the log tells the story, newest first', async () => {
    const id = await one('pending');
    await post(`${id}/cancel`, { reason: 'Fraud?' }).expect(200);
    await post(`${id}/replay`).expect(200);
    await sweep();
    expect([await balanceOf(id), await lines()]).toEqual([5, 1]);
    const actions = (await eventsOf(id)).map(({ action }: { action: string }) => action);
    expect(actions).toEqual(['reward_grant.replay', 'reward_grant.cancel']);
  });

  it.each<[string, object]>([
    ['none', {}],
    ['an empty one', { reason: '' }],
    ['an invisible one', { reason: ' \u200b' }],
    ['a long one', { reason: 'x'.repeat(501) }],
    ['two lines', { reason: 'a\nb' }],
    ['a number', { reason: 5 }],
  ])('needs a reason: refuses %s', async (_, body) => {
    const answer = await post(`${await one('dead')}/cancel`, body).expect(400);
    expect(answer.body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field: 'reason' }] });
  });

  it('waits for a payment that is under way, and then sees it', async () => {
    const id = await one('pending');
    const held = world.db.createQueryRunner();
    await held.startTransaction();
    await held.query(`LOCK TABLE currencies IN ACCESS EXCLUSIVE MODE`);
    const paying = sweep();
    await waitUntilBlocked(1);
    const cancelled = post(`${id}/cancel`, { reason: 'Too late' }).then((answer) => answer);
    await waitUntilBlocked(2);
    await held.rollbackTransaction();
    await held.release();
    await paying;
    expect(tally([await cancelled])).toEqual({ '409 NOT_CANCELLABLE': 1 });
    expect(await balanceOf(id)).toBe(5);
  });

  it('racing the sweeper: exactly one wins, fifty times', async () => {
    const ids = await seedGrants(world, tenant, { count: 50, status: 'pending' });
    const outcomes: Record<string, number> = {};
    for (const [i, id] of ids.entries()) {
      // each in its own moment, or the sweeper would have paid all at once
      await world.db.query(
        `UPDATE reward_grants SET next_attempt_at = CASE WHEN id = $2 THEN now() - interval '1 second' ELSE now() + interval '1 hour' END
          WHERE project_id = $1 AND status = 'pending'`,
        [tenant.id, id],
      );
      const race = [
        () => post(`${id}/cancel`, { reason: 'Race' }).then((answer) => answer),
        () => sweep().then(() => undefined),
      ];
      const [answer] = (await Promise.all((i % 2 ? race : race.reverse()).map((run) => run()))).filter(
        Boolean,
      );
      const { status } = (await get(`reward-grants/${id}`)).body.data;
      const outcome = `${answer?.status} ${status} ${await balanceOf(id)}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    const { '200 cancelled 0': won = 0, '409 granted 5': lost = 0, ...others } = outcomes;
    expect([won + lost, others]).toEqual([50, {}]);
  });
});

/** Until so many of the application's connections wait for a lock. */
async function waitUntilBlocked(count: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const [{ blocked }] = await world.db.query(
      `SELECT count(*) AS blocked FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (blocked >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('Nobody waits');
}
