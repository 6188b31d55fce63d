import { randomUUID } from 'node:crypto';
import { rewardRoutes, seedGrants } from './support/grants';
import { useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
const { get, list } = rewardRoutes(world, () => tenant);

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems', maxBalance: 60 });
});

const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);
const listed = async (query: object) => ids((await list(query).expect(200)).body.data);

describe('the list of promised rewards', () => {
  it('shows what became of each', async () => {
    const [ada, grace] = (await tenant.players(2)) as [Player, Player];
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 40 } });
    await tenant.code({ code: 'ADA', userId: ada.id, rewardReferee: { gems: 50 } });
    const first = (await world.claim(grace, 'PROMO').expect(201)).body.data;
    const second = (await world.claim(grace, 'ADA').expect(201)).body.data;
    const { body } = await list().expect(200);
    const row = (claim: { id: string }, promised: number, granted: number) => ({
      ...{ id: expect.any(String), claim_id: claim.id, side: 'referee', app_user_id: grace.id },
      ...{ currency_code: 'gems', promised, granted, clamped: promised - granted, status: 'granted' },
      ...{ attempts: 1, last_error: null, next_attempt_at: null },
    });
    const lines = await world.transactions(grace);
    const line = (i: number) => ({
      ...{ id: lines[i].id, balance_after: lines[i].balance_after, created_at: lines[i].created_at },
    });
    const times = { created_at: expect.any(String), settled_at: expect.any(String) };
    expect(body).toEqual({
      data: [
        { ...row(second, 50, 20), transaction: line(0), ...times },
        { ...row(first, 40, 40), transaction: line(1), ...times },
      ],
      ...{ total: 2, limit: 50, offset: 0 },
    });
    const one = (await get(`reward-grants/${body.data[0].id}`).expect(200)).body.data;
    expect(one).toEqual({ ...body.data[0], events: [] });
    const upper = await get(`reward-grants/${body.data[0].id.toUpperCase()}`).expect(200);
    expect(upper.body.data).toEqual(one);
  });

  it('is filtered by status, time, claim, user and currency, and by all of them', async () => {
    await tenant.currency({ code: 'gold' });
    const noon = '2026-03-01T12:00:00.000Z';
    const pending = await seedGrants(world, tenant, { status: 'pending', count: 2, newest: noon });
    const [dead] = await seedGrants(world, tenant, { status: 'dead', newest: '2026-03-02T12:00:00Z' });
    const [gold] = await seedGrants(world, tenant, {
      ...{ status: 'cancelled', currency: 'gold', newest: '2026-03-03T12:00:00Z' },
    });
    await seedGrants(world, await other(), { status: 'dead' });

    expect(await listed({})).toEqual([gold, dead, ...pending]);
    expect(await listed({ status: 'pending' })).toEqual(pending);
    expect(await listed({ status: 'dead' })).toEqual([dead]);
    expect(await listed({ status: 'granted' })).toEqual([]);
    expect(await listed({ currency_code: 'gold' })).toEqual([gold]);
    const { claim_id, app_user_id, next_attempt_at } = (await get(`reward-grants/${pending[1]}`)).body.data;
    expect(next_attempt_at).toEqual(expect.any(String));
    expect(await listed({ claim_id })).toEqual([pending[1]]);
    expect(await listed({ app_user_id })).toEqual([pending[1]]);
    expect(await listed({ claim_id: randomUUID() })).toEqual([]);
    // from this time on, and before that one
    expect(await listed({ from: noon })).toEqual([gold, dead, pending[0]]);
    expect(await listed({ to: noon })).toEqual([pending[1]]);
    expect(await listed({ from: noon, to: '2026-03-03T13:00:00+01:00' })).toEqual([dead, pending[0]]);
    const all = { status: 'pending', from: noon, to: '2026-03-02T00:00Z', currency_code: 'gems' };
    expect(await listed(all)).toEqual([pending[0]]);
    expect(await listed({ ...all, app_user_id })).toEqual([]);
  });

  it('is paged, newest first, and by id where the moment is the same', async () => {
    const newest = '2026-03-01T12:00:00Z';
    const seeded = await Promise.all(
      Array.from({ length: 5 }, async () => (await seedGrants(world, tenant, { status: 'dead', newest }))[0]),
    );
    const order = seeded.sort().reverse();
    const page = async (query: object) => {
      const { data, ...window } = (await list(query).expect(200)).body;
      return { ids: ids(data), ...window };
    };
    const window = { total: 5, limit: 2 };
    expect(await page({ limit: 2 })).toEqual({ ids: order.slice(0, 2), ...window, offset: 0 });
    expect(await page({ limit: 2, offset: 2 })).toEqual({ ids: order.slice(2, 4), ...window, offset: 2 });
    expect(await page({ limit: 2, offset: 4 })).toEqual({ ids: order.slice(4), ...window, offset: 4 });
    expect(await page({ limit: 2, offset: 9 })).toEqual({ ids: [], ...window, offset: 9 });
  });

  it.each<[string, unknown]>([
    ['status', 'lost'],
    ['status', ['dead', 'pending']],
    ['from', 'yesterday'],
    ['from', '2026-03-01'],
    ['from', '2026-03-01T12:00:00'],
    ['from', '2026-02-30T12:00:00Z'],
    ['from', '0000-03-01T12:00:00Z'],
    ['to', '2026-03-01T12:00:00+20:00'],
    ['to', '2026-03-01T12:00:00 01:00'],
    ['to', ''],
    ['claim_id', 'x'],
    ['app_user_id', '42'],
    ['currency_code', ''],
    ['limit', 201],
    ['offset', -1],
    ['page', 1],
  ])('refuses %s=%j', async (field, value) => {
    for (const path of ['reward-grants']) {
      const { body } = await get(path)
        .query({ [field]: value })
        .expect(400);
      expect(body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field }] });
    }
  });

  it.each(['reward-grants'])('%s is of this project only', async (path) => {
    const { body } = await get(path, (await other()).serverKey).expect(403);
    expect(body.error.code).toBe('PROJECT_FORBIDDEN');
  });
});

async function other(): Promise<Tenant> {
  const made = await world.tenant();
  await made.currency({ code: 'gems' });
  return made;
}
