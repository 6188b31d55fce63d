import { request, type IncomingMessage } from 'node:http';
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
    ['to', ' '],
    ['claim_id', 'x'],
    ['app_user_id', '42'],
    ['currency_code', 'x'.repeat(33)],
    ['limit', 201],
    ['offset', -1],
    ['page', 1],
  ])('refuses %s=%j', async (field, value) => {
    for (const path of ['reward-grants', 'reward-grants.csv']) {
      const { body } = await get(path)
        .query({ [field]: value })
        .expect(400);
      expect(body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field }] });
    }
  });

  it('takes a filter without a value for none, as an empty field of a form sends it', async () => {
    const fields = ['status', 'from', 'to', 'claim_id', 'app_user_id', 'currency_code'];
    const all = (await get('reward-grants').expect(200)).body;
    const search = fields.map((field) => `${field}=`).join('&');
    expect((await get(`reward-grants?${search}`).expect(200)).body).toEqual(all);
  });

  it.each(['reward-grants', 'reward-grants.csv'])('%s is of this project only', async (path) => {
    const { body } = await get(path, (await other()).serverKey).expect(403);
    expect(body.error.code).toBe('PROJECT_FORBIDDEN');
  });
});

describe('the CSV', () => {
  const HEADER =
    'id,claim_id,side,app_user_id,currency_code,promised,granted,clamped,status,attempts,last_error,' +
    'next_attempt_at,created_at,settled_at,transaction_id,transaction_balance_after,transaction_created_at';

  it('has a line for each, with the ledger line', async () => {
    const player = await tenant.player();
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 70 } });
    await world.claim(player, 'PROMO').expect(201);
    await seedGrants(world, tenant, { status: 'dead', lastError: 'no luck', newest: '2026-03-01T12:00:00Z' });
    const answer = await get('reward-grants.csv').expect(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="reward-grants.csv"',
    });
    const [paid, dead] = (await list()).body.data;
    const { id, claim_id, created_at, settled_at, transaction } = paid;
    const line = `${transaction.id},${transaction.balance_after},${transaction.created_at}`;
    expect(answer.text).toBe(
      [
        HEADER,
        `${id},${claim_id},referee,${player.id},gems,70,60,10,granted,1,,,${created_at},${settled_at},${line}`,
        `${dead.id},${dead.claim_id},referee,${dead.app_user_id},gems,5,,,dead,25,no luck,,2026-03-01T12:00:00.000Z,${dead.settled_at},,,`,
        '',
      ].join('\r\n'),
    );
  });

  it('is a header without rewards, and takes the filters', async () => {
    expect((await get('reward-grants.csv').expect(200)).text).toBe(`${HEADER}\r\n`);
    await seedGrants(world, tenant, { status: 'dead' });
    expect((await get('reward-grants.csv?status=pending').expect(200)).text).toBe(`${HEADER}\r\n`);
    expect((await get('reward-grants.csv?status=dead').expect(200)).text.split('\r\n')).toHaveLength(3);
  });

  it.each([
    ['a, b', '"a, b"'],
    ['say "no"', '"say ""no"""'],
    ['one\ntwo', '"one\ntwo"'],
    ['one\r\ntwo', '"one\r\ntwo"'],
    ['Zürich — 東京', 'Zürich — 東京'],
    ['=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    ['1=1', '1=1'],
  ])('writes the reason %j as %j', async (lastError, cell) => {
    await seedGrants(world, tenant, { status: 'dead', lastError });
    const { text } = await get('reward-grants.csv').expect(200);
    expect(text).toContain(`,dead,25,${cell},,`);
  });

  it('has all of three thousand, each once, newest first, also where moments are the same', async () => {
    const newest = '2026-03-01T12:00:00.000001Z';
    const seeded = await seedGrants(world, tenant, { status: 'dead', count: 3_000, newest });
    await world.db.query(
      `UPDATE reward_grants SET created_at = date_trunc('hour', created_at) + interval '1 microsecond' WHERE project_id = $1`,
      [tenant.id],
    );
    const { text } = await get('reward-grants.csv').expect(200);
    const lines = text.trimEnd().split('\r\n').slice(1);
    const order = await world.db.query(
      `SELECT id FROM reward_grants WHERE project_id = $1 ORDER BY created_at DESC, id DESC`,
      [tenant.id],
    );
    expect(lines.map((line) => line.split(',')[0])).toEqual(ids(order));
    expect(order).toHaveLength(seeded.length);
  });

  describe('that is long', () => {
    /** 30 MB, more than the sockets take in: who writes it must wait for who reads it. */
    beforeEach(async () => {
      await seedGrants(world, tenant, { status: 'dead', count: 3_000, lastError: 'x'.repeat(10_000) });
    });
    const BATCHES = 6;

    const open = () =>
      new Promise<IncomingMessage>((resolve, reject) => {
        request(`${world.url}/v1/admin/projects/${tenant.id}/reward-grants.csv`, {
          headers: { authorization: `Bearer ${tenant.serverKey}` },
          agent: false,
        })
          .on('response', resolve)
          .on('error', reject)
          .end();
      });
    const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
    const batchesRead = (query: jest.SpyInstance) =>
      query.mock.calls.filter(([sql]) => String(sql).includes('(g.created_at, g.id) <')).length;

    it('is read no faster than it is taken, and no further once nobody takes it', async () => {
      const query = jest.spyOn(world.db, 'query');
      try {
        const answer = await open();
        await pause();
        const before = batchesRead(query);
        expect(before).toBeLessThan(BATCHES);
        await pause();
        expect(batchesRead(query)).toBe(before);
        answer.destroy();
        await pause();
        expect(batchesRead(query)).toBe(before);
      } finally {
        query.mockRestore();
      }
    });

    it('breaks off when it cannot be read on, rather than end as if it were whole', async () => {
      const answer = await open();
      await pause();
      await world.db.query(`ALTER TABLE reward_grants RENAME TO away`);
      try {
        const read = async () => {
          for await (const chunk of answer) void chunk;
        };
        await expect(read()).rejects.toThrow('aborted');
        expect(answer.complete).toBe(false);
      } finally {
        await world.db.query(`ALTER TABLE away RENAME TO reward_grants`);
      }
    });
  });

  it('is an error as any other when not even its beginning can be read', async () => {
    await world.db.query(`ALTER TABLE reward_grants RENAME TO away`);
    try {
      const { body } = await get('reward-grants.csv').expect(500).expect('content-type', /json/);
      expect(body.error.code).toBe('INTERNAL_ERROR');
    } finally {
      await world.db.query(`ALTER TABLE away RENAME TO reward_grants`);
    }
  });
});

async function other(): Promise<Tenant> {
  const made = await world.tenant();
  await made.currency({ code: 'gems' });
  return made;
}
