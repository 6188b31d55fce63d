import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inTransaction } from '../src/common/transaction';
import { nextSlice } from '../src/analytics/rollup-statements';
import { RollupsService } from '../src/analytics/rollups.service';
import { countByHand, insertPast, moveInTime, type Past } from './support/history';
import { cloneDatabase, startWorld, tally, useWorld, type Tenant, type World } from './support/world';

const world = useWorld();

const HOUR_MS = 3_600_000;
const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);
const daysAgo = (days: number) => dayOf(Date.now() - days * 24 * HOUR_MS);

const get = (tenant: Tenant, query: Record<string, string | number> = {}, on: World = world) =>
  on.http
    .get(`/v1/admin/projects/${tenant.id}/analytics`)
    .set({ authorization: `Bearer ${tenant.serverKey}` })
    .query(query);

async function report(tenant: Tenant, query: Record<string, string | number> = {}) {
  const { definitions, ...numbers } = (await get(tenant, query).expect(200)).body.data;
  expect(definitions).toEqual({ conversion: expect.any(String), k_factor: expect.any(String) });
  return numbers;
}

async function rollUp(until = new Date()): Promise<number> {
  let slices = 0;
  while (await world.app.get(RollupsService).runOnce(until)) slices += 1;
  return slices;
}

async function closedUntil(tenant: Tenant): Promise<Date | number> {
  const [row] = await world.db.query(`SELECT closed_until FROM analytics_progress WHERE project_id = $1`, [
    tenant.id,
  ]);
  return row.closed_until;
}

/** The same numbers in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const code = (userId: string | null, createdAt: string) => {
  const id = randomUUID();
  return { id, user_id: userId, code: id.slice(0, 13), created_at: createdAt };
};

const claim = ({ id, user_id }: { id: string; user_id: string | null }, refereeId: string, at: string) => ({
  ...{ id: randomUUID(), referral_code_id: id, referrer_id: user_id },
  ...{ referee_id: refereeId, claimed_at: at },
});

/** Weeks of codes and claims with the minutes around midnight well filled, up to this hour. */
function makePast(seed: number, days: number): Past {
  const roll = dice(seed);
  const users = Array.from({ length: 60 }, () => randomUUID());
  const time = (daysBack: number) => {
    const hour = String(roll(3) === 0 ? [0, 23][roll(2)] : roll(24)).padStart(2, '0');
    const rest = ['00:00.000000', '59:59.999999', '30:00.000001'][roll(3)];
    const at = `${daysAgo(daysBack)}T${hour}:${rest}Z`;
    return Date.parse(at) < Date.now() ? at : `${daysAgo(daysBack)}T00:00:00.000000Z`;
  };
  const codes = [
    ...users.slice(0, 25).map((user) => code(user, time(days - roll(3)))),
    ...Array.from({ length: 3 }, () => code(null, time(days - roll(3)))),
    ...users.slice(25, 30).map((user) => code(user, time(roll(days - 3)))),
  ];
  const taken = new Set<string>();
  const claims = Array.from({ length: 400 }, () => {
    // a few codes are claimed often, and nobody claims for ten days in the middle
    const chosen = codes[roll(roll(28) + 1)]!;
    const referee = users[roll(users.length)]!;
    const daysBack = roll(days - 4);
    const key = `${chosen.id}/${referee}`;
    if (chosen.user_id === referee || taken.has(key) || (daysBack > 14 && daysBack < 25)) return undefined;
    taken.add(key);
    return claim(chosen, referee, time(daysBack));
  }).filter((row) => row !== undefined);
  return { users, codes, claims };
}

describe('GET /admin/projects/:projectId/analytics', () => {
  it('gives the numbers that a count by hand gives, before, during and after the rollup', async () => {
    const tenants = [await world.tenant(), await world.tenant()];
    for (const [seed, tenant] of tenants.entries())
      await insertPast(world.db, tenant.id, makePast(seed + 1, 45));
    const roll = dice(7);
    const periods = Array.from({ length: 12 }, () => [roll(50), roll(50)].sort((a, b) => b - a));
    periods.push([45, 0], [0, 0], [1, 0], [20, 18], [366 - 1, 0], [200, 100], [0, -5]);

    const check = async () => {
      for (const tenant of tenants) {
        for (const [first, last] of periods) {
          const [from, to] = [daysAgo(first ?? 0), daysAgo(last ?? 0)];
          const top = 1 + roll(12);
          expect(await report(tenant, { from, to, top })).toEqual(
            await countByHand(world.db, tenant.id, { from, to, top }),
          );
        }
      }
    };
    expect(await closedUntil(tenants[0]!)).toBe(-Infinity);
    await check();
    // in the middle of a day
    const middle = Date.parse(`${daysAgo(10)}T09:20:00Z`);
    expect(await rollUp(new Date(middle))).toBeGreaterThan(20);
    expect(await closedUntil(tenants[0]!)).toEqual(new Date(`${daysAgo(10)}T09:00:00Z`));
    await check();
    await rollUp();
    expect(Date.now() - Number(await closedUntil(tenants[0]!))).toBeLessThan(2 * HOUR_MS);
    await check();
    expect(await rollUp()).toBe(0);
  });

  it('answers for the last 30 days and the 10 top referrers when nothing is asked', async () => {
    const tenant = await world.tenant();
    await insertPast(world.db, tenant.id, makePast(3, 45));
    const numbers = await report(tenant);
    expect(numbers).toEqual(await countByHand(world.db, tenant.id, { from: daysAgo(29), to: daysAgo(0) }));
    expect(numbers.top_referrers).toHaveLength(10);
    expect((await report(tenant, { to: daysAgo(9) })).period).toEqual({ from: daysAgo(38), to: daysAgo(9) });
    expect((await report(tenant, { from: daysAgo(3) })).period).toEqual({ from: daysAgo(3), to: daysAgo(0) });
  });

  it('has zeros and no ratios for a project in which nothing happened, before and after the rollup', async () => {
    const tenant = await world.tenant();
    const empty = {
      period: { from: '2024-02-28', to: '2024-03-01' },
      totals: {
        ...{ codes_made: 0, user_codes_made: 0, claims: 0, user_code_claims: 0, unique_referrers: 0 },
        ...{ users_with_code: 0, users_with_claim: 0, conversion: null, k_factor: null },
      },
      rewards: [],
      top_referrers: [],
      daily: ['2024-02-28', '2024-02-29', '2024-03-01'].map((day) => ({
        ...{ day, codes_made: 0, claims: 0, unique_referrers: 0 },
      })),
    };
    expect(await report(tenant, { from: '2024-02-28', to: '2024-03-01' })).toEqual(empty);
    await rollUp();
    expect(await report(tenant, { from: '2024-02-28', to: '2024-03-01' })).toEqual(empty);
  });

  it('counts a referrer once, however many days and hours she refers on, and a day from midnight to midnight UTC', async () => {
    const tenant = await world.tenant();
    const [ada = '', ...others] = Array.from({ length: 6 }, () => randomUUID());
    const own = code(ada, '2024-05-01T10:00:00Z');
    const times = [
      ...['2024-05-01T23:59:59.999999Z', '2024-05-02T00:00:00Z', '2024-05-02T23:59:59.999999Z'],
      ...['2024-05-03T00:00:00Z', `${daysAgo(0)}T00:00:00Z`],
    ];
    const claims = others.map((referee, i) => claim(own, referee, times[i] ?? ''));
    await insertPast(world.db, tenant.id, { users: [ada, ...others], codes: [own], claims });

    const totals = { claims: 2, unique_referrers: 1, users_with_code: 1, users_with_claim: 1, k_factor: 2 };
    for (const until of [new Date(0), new Date('2024-05-02T12:15:00Z'), new Date()]) {
      await rollUp(until);
      const second = await report(tenant, { from: '2024-05-02', to: '2024-05-02' });
      expect(second).toMatchObject({
        totals,
        top_referrers: [{ app_user_id: ada, claims: 2 }],
        daily: [{ claims: 2, unique_referrers: 1 }],
      });
      const all = await report(tenant, { from: '2024-05-01', to: '2024-05-03' });
      expect(all).toMatchObject({ totals: { ...totals, claims: 4, k_factor: 4 } });
      expect(all.daily.map((row: { claims: number }) => row.claims)).toEqual([1, 2, 1]);
    }
  });

  it('orders equals by who referred first', async () => {
    const tenant = await world.tenant();
    const users = Array.from({ length: 5 }, () => randomUUID());
    const codes = users.slice(0, 4).map((user) => code(user, '2024-05-01T00:00:00Z'));
    const times = [
      '2024-05-04T00:00:00Z',
      '2024-05-02T00:00:00Z',
      '2024-05-03T00:00:00Z',
      '2024-05-02T00:00:00Z',
    ];
    const claims = codes.map((own, i) => claim(own, users[4] ?? '', times[i] ?? ''));
    await insertPast(world.db, tenant.id, { users, codes, claims });
    const [first = '', second = ''] = [users[1] ?? '', users[3] ?? ''].sort();
    for (const until of [new Date(0), new Date('2024-05-03T12:00:00Z'), new Date()]) {
      await rollUp(until);
      const { top_referrers } = await report(tenant, { from: '2024-05-01', to: '2024-05-04', top: 3 });
      const ids = top_referrers.map((row: { app_user_id: string }) => row.app_user_id);
      expect(ids).toEqual([first, second, users[2]]);
    }
  });

  it('counts rewards with what their maximum cut off, by currency and day of payment', async () => {
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems', maxBalance: 120 });
    await tenant.currency({ code: 'coins', initialBalance: 5 });
    await tenant.currency({ code: 'unused' });
    const owner = await tenant.player();
    await tenant.code({
      ...{ code: 'REWARDED', userId: owner.id },
      ...{ rewardReferrer: { gems: 50 }, rewardReferee: { gems: 25, coins: 200 } },
    });
    const claimAll = async (count: number) => {
      const players = await tenant.players(count);
      expect(tally(await Promise.all(players.map((player) => world.claim(player, 'REWARDED'))))).toEqual({
        201: count,
      });
    };
    await claimAll(3);
    await moveInTime(world.db, tenant.id, -40);
    await claimAll(2);

    for (const until of [new Date(0), new Date()]) {
      await rollUp(until);
      const old = await report(tenant, { from: daysAgo(41), to: daysAgo(39) });
      expect(old.rewards).toEqual([
        ...[{ currency_code: 'coins', granted_count: 3, clamped_count: 0 }].map((row) => ({
          ...{ ...row, promised: 600, granted: 600, clamped: 0 },
        })),
        {
          ...{ currency_code: 'gems', granted_count: 6, clamped_count: 1 },
          ...{ promised: 225, granted: 195, clamped: 30 },
        },
      ]);
      const all = await report(tenant, { from: daysAgo(41) });
      expect(all).toEqual(await countByHand(world.db, tenant.id, { from: daysAgo(41), to: daysAgo(0) }));
      expect(all.rewards[1]).toMatchObject({ granted_count: 10, clamped_count: 3, clamped: 130 });
    }
  });

  it('gives the largest exact number where a sum is beyond it', async () => {
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'HUGE', rewardReferee: { gems: Number.MAX_SAFE_INTEGER } });
    for (const player of await tenant.players(2)) await world.claim(player, 'HUGE').expect(201);
    await moveInTime(world.db, tenant.id, -3);
    for (const player of await tenant.players(2)) await world.claim(player, 'HUGE').expect(201);
    for (const until of [new Date(0), new Date()]) {
      await rollUp(until);
      expect((await report(tenant)).rewards).toEqual([
        {
          ...{ currency_code: 'gems', granted_count: 4, clamped_count: 0 },
          ...{ promised: Number.MAX_SAFE_INTEGER, granted: Number.MAX_SAFE_INTEGER, clamped: 0 },
        },
      ]);
    }
  });

  it.each([
    ['from', { from: '2024-02-30' }],
    ['from', { from: '2023-02-29' }],
    ['from', { from: '2024-13-01' }],
    ['from', { from: '1999-12-31' }],
    ['from', { from: '0000-01-01' }],
    ['from', { from: '2024-01-01T00:00:00Z' }],
    ['from', { from: '' }],
    ['to', { to: 'today' }],
    ['to', { to: '2024-00-10' }],
    ['to', { to: '+02024-01-01' }],
    ['from', { from: '2024-03-02', to: '2024-03-01' }],
    ['from', { from: '2999-12-31' }],
    ['from', { from: '2023-12-31', to: '2024-12-31' }],
    ['top', { top: 0 }],
    ['top', { top: 101 }],
    ['top', { top: '1e1' }],
    ['since', { since: '2024-01-01' }],
  ])('refuses a bad %s: %j', async (field, query) => {
    const { body } = await get(await world.tenant(), query as Record<string, string>).expect(400);
    expect(body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field }] });
  });

  it('takes a year of 366 days, and days at both ends of the calendar', async () => {
    const tenant = await world.tenant();
    expect((await report(tenant, { from: '2024-01-01', to: '2024-12-31' })).daily).toHaveLength(366);
    expect((await report(tenant, { to: '2000-01-01' })).period.from).toBe('1999-12-03');
    expect((await report(tenant, { from: '2999-12-31', to: '2999-12-31' })).daily).toHaveLength(1);
  });
});

it('says 503 with Retry-After while there is too much to count in time', async () => {
  const tenant = await world.tenant();
  await world.db.query(
    `ALTER TABLE analytics_days RENAME TO away; CREATE VIEW analytics_days AS SELECT away.* FROM pg_sleep(9), away`,
  );
  try {
    const answer = await get(tenant).expect(503).expect('retry-after', '30');
    expect(answer.body.error.code).toBe('SERVICE_UNAVAILABLE');
  } finally {
    await world.db.query(`DROP VIEW analytics_days; ALTER TABLE away RENAME TO analytics_days`);
  }
});

describe('the rollup', () => {
  it('adds each hour once when many work at it, while every answer stays the same', async () => {
    const tenants = [await world.tenant(), await world.tenant()];
    for (const [seed, tenant] of tenants.entries())
      await insertPast(world.db, tenant.id, makePast(seed + 11, 45));
    const [from, to] = [daysAgo(45), daysAgo(0)];
    const expected = await Promise.all(tenants.map(({ id }) => countByHand(world.db, id, { from, to })));

    let working = true;
    const workers = Promise.all(Array.from({ length: 4 }, () => rollUp())).finally(() => (working = false));
    const readers = Promise.all(
      tenants.map(async (tenant, i) => {
        while (working) expect(await report(tenant, { from, to })).toEqual(expected[i]);
      }),
    );
    await Promise.all([workers, readers]);
    for (const [i, tenant] of tenants.entries()) {
      expect(await report(tenant, { from, to })).toEqual(expected[i]);
    }
  });

  it('leaves an hour open for a quarter of an hour after its end, by the clock of the database too', async () => {
    const tenant = await world.tenant();
    await rollUp(new Date('2024-05-02T12:14:59Z'));
    expect(await closedUntil(tenant)).toEqual(new Date('2024-05-02T11:00:00Z'));
    await rollUp(new Date('2024-05-02T12:15:00Z'));
    expect(await closedUntil(tenant)).toEqual(new Date('2024-05-02T12:00:00Z'));
    // an instance whose clock is a day ahead
    await rollUp(new Date(Date.now() + 24 * HOUR_MS));
    expect(Number(await closedUntil(tenant))).toBeLessThanOrEqual(Date.now() - 15 * 60_000);
  });

  it('lets the other projects go first when one cannot be rolled up, and tries that one again', async () => {
    const [broken, sound] = [await world.tenant(), await world.tenant()];
    for (const tenant of [broken, sound]) await tenant.code({ code: 'OLD' });
    await world.db.query(
      `UPDATE referral_codes SET created_at = '2024-05-01Z' WHERE project_id IN ($1, $2)`,
      [broken.id, sound.id],
    );
    await world.db.query(
      `ALTER TABLE analytics_days ADD CONSTRAINT analytics_days_away CHECK (project_id <> '${broken.id}') NOT VALID`,
    );
    const now = Date.now();
    const tries = [];
    for (let i = 0; i < 6; i += 1) {
      tries.push(
        await world.app
          .get(RollupsService)
          .runOnce(new Date(now))
          .catch(() => 'failed'),
      );
    }
    expect(tries.filter((outcome) => outcome === 'failed')).toHaveLength(1);
    expect([await closedUntil(broken), await closedUntil(sound)]).toEqual([-Infinity, expect.any(Date)]);

    await world.db.query(`ALTER TABLE analytics_days DROP CONSTRAINT analytics_days_away`);
    await rollUp(new Date(now));
    expect(await closedUntil(broken)).toBe(-Infinity);
    await rollUp(new Date(now + 60_000));
    expect(await closedUntil(broken)).toEqual(expect.any(Date));
  });

  it('cuts a busy day at an hour', async () => {
    const tenant = await world.tenant();
    const users = Array.from({ length: 6 }, () => randomUUID());
    const promo = code(null, '2024-05-02T08:00:00Z');
    const claims = users.map((user, i) => claim(promo, user, `2024-05-02T1${i}:30:00Z`));
    await insertPast(world.db, tenant.id, { users, codes: [promo], claims });
    const project = { projectId: tenant.id, closedUntil: '-infinity', horizon: '2024-05-09T00:00:00Z' };
    const ends = await inTransaction(world.db, async (queryRunner) => [
      (await nextSlice(queryRunner, project, 2))?.end,
      (await nextSlice(queryRunner, project, 6))?.end,
      (await nextSlice(queryRunner, { ...project, horizon: '2024-05-02T11:00:00Z' }, 2))?.end,
    ]);
    expect(ends.map((end) => new Date(end ?? '').toISOString().slice(5, 16))).toEqual([
      '05-02T13:00',
      '05-03T00:00',
      '05-02T11:00',
    ]);
  });

  it('is made anew by the statements of docs/architecture.md', async () => {
    const tenant = await world.tenant();
    const users = Array.from({ length: 3 }, () => randomUUID());
    const own = code(users[0] ?? '', '2024-05-01T00:00:00Z');
    const claims = [claim(own, users[1] ?? '', '2024-05-02T00:00:00Z')];
    await insertPast(world.db, tenant.id, { users, codes: [own], claims });
    await rollUp();
    const late = { users: [], codes: [], claims: [claim(own, users[2] ?? '', '2024-05-01T12:00:00Z')] };
    await insertPast(world.db, tenant.id, late);
    await world.db.query(`UPDATE referral_codes SET current_uses = 2 WHERE id = $1`, [own.id]);

    const period = { from: '2024-05-01', to: '2024-05-02' };
    expect(await report(tenant, period)).toMatchObject({ totals: { claims: 1 } });
    const docs = readFileSync(join(__dirname, '../docs/architecture.md'), 'utf8');
    const [, anew = ''] = /```sql\n([^]*?)```/.exec(docs) ?? [];
    await world.db.query(anew.replaceAll(':project', `'${tenant.id}'`));
    for (const until of [new Date(0), new Date()]) {
      await rollUp(until);
      expect(await report(tenant, period)).toEqual(await countByHand(world.db, tenant.id, period));
    }
  });

  it('runs by itself in every instance that sweeps', async () => {
    const database = await cloneDatabase();
    const { world: busy, close } = await startWorld(database.url, { sweepIntervalMs: 20 });
    const tenant = await busy.tenant();
    await insertPast(busy.db, tenant.id, makePast(5, 30));
    for (let days = 0; days === 0;) {
      [{ days }] = await busy.db.query(
        `SELECT count(*) AS days FROM analytics_progress WHERE closed_until > now() - interval '2 hours'`,
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { body } = await get(tenant, {}, busy).expect(200);
    expect(body.data).toMatchObject(
      await countByHand(busy.db, tenant.id, { from: daysAgo(29), to: daysAgo(0) }),
    );
    await close();
    await database.drop();
  });
});
