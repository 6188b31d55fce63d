import { randomUUID } from 'node:crypto';
import { TcpProxy } from './support/tcp-proxy';
import {
  cloneDatabase,
  startWorld,
  tally,
  useWorld,
  type Player,
  type Tenant,
  type World,
} from './support/world';

const world = useWorld();
const MAX = Number.MAX_SAFE_INTEGER;

let tenant: Tenant;
let ada: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  ada = await tenant.player();
});

const currencies = (path = '') => `/v1/admin/projects/${tenant.id}/currencies${path}`;
const post = (body: object) => world.http.post(currencies()).set(tenant.server).send(body);
const patch = (id: string, body: object) =>
  world.http
    .patch(currencies(`/${id}`))
    .set(tenant.server)
    .send(body);
const remove = (id: string) => world.http.delete(currencies(`/${id}`)).set(tenant.server);
const make = async (body: object) =>
  (await post({ name: 'Gems', code: 'gems', ...body }).expect(201)).body.data;
const grant = (body: object, key?: string, on: World = world) =>
  on.http
    .post(currencies('/grant'))
    .set({ ...tenant.server, ...(key && { 'idempotency-key': key }) })
    .send({ app_user_id: ada.id, currency_code: 'gems', ...body });
const history = (userId: string, query = '') =>
  world.http.get(currencies(`/transactions/${userId}${query}`)).set(tenant.server);
const auditLog = async (query: string) => {
  const log = world.http.get(`/v1/admin/projects/${tenant.id}/audit-log${query}`).set(tenant.server);
  return (await log.expect(200)).body;
};

describe('a currency', () => {
  it('is defined as it was asked for, and users see it', async () => {
    const values = {
      ...{ code: 'gems', name: 'Gems', description: 'Shiny', is_premium: true },
      ...{ initial_balance: 5, max_balance: 100 },
    };
    const made = await make(values);
    expect(made).toEqual({
      ...values,
      ...{ id: expect.any(String), created_at: expect.any(String), updated_at: expect.any(String) },
    });
    expect(await world.balance(ada, 'gems')).toBe(5);
    const { body } = await world.http.get(currencies()).set(tenant.server).expect(200);
    expect(body).toEqual({ data: [made], total: 1, limit: 50, offset: 0 });
    expect((await auditLog(`?target_id=${made.id}`)).data).toMatchObject([
      { action: 'currency.create', actor_kind: 'server_key', before: null, after: made },
    ]);
  });

  it('has no limit unless one is given', async () => {
    expect(await make({})).toMatchObject({
      ...{ description: null, is_premium: false, initial_balance: 0, max_balance: null },
    });
    expect(await make({ code: 'gold', max_balance: null })).toMatchObject({ max_balance: null });
    expect(await make({ code: 'big', max_balance: MAX - 1 })).toMatchObject({ max_balance: MAX - 1 });
  });

  it.each<[object, string]>([
    [{ code: '1up' }, 'code'],
    [{ code: 'x'.repeat(33) }, 'code'],
    [{ code: 'gems\n' }, 'code'],
    [{ code: 5 }, 'code'],
    [{ name: '' }, 'name'],
    [{ name: '\u200b' }, 'name'],
    [{ description: 'x'.repeat(501) }, 'description'],
    [{ is_premium: 'no' }, 'is_premium'],
    [{ initial_balance: -1 }, 'initial_balance'],
    [{ initial_balance: 1.5 }, 'initial_balance'],
    [{ initial_balance: '5' }, 'initial_balance'],
    [{ initial_balance: 6, max_balance: 5 }, 'initial_balance'],
    [{ max_balance: 0 }, 'max_balance'],
    [{ max_balance: true }, 'max_balance'],
    [{ id: randomUUID() }, 'id'],
  ])('is not defined by %j', async (body, field) => {
    const answer = await post({ code: 'gems', name: 'Gems', ...body }).expect(400);
    expect(answer.body.error).toMatchObject({ code: 'INVALID_INPUT', details: [{ field }] });
  });

  it('is defined once, of 20 requests at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post({ code: 'gems', name: 'Gems' })));
    expect(tally(answers)).toEqual({ '201': 1, '409 CURRENCY_EXISTS': 19 });
  });

  it('changes what is named; its code is for good', async () => {
    const made = await make({ max_balance: 10 });
    const { body } = await patch(made.id, { name: 'Jewels', max_balance: null, is_premium: true }).expect(
      200,
    );
    expect(body.data).toEqual({
      ...made,
      ...{ name: 'Jewels', max_balance: null, is_premium: true, updated_at: expect.any(String) },
    });
    expect(tally([await patch(made.id, { code: 'jewels' })])).toEqual({ '400 INVALID_INPUT': 1 });
    const [line] = (await auditLog('?action=currency.update')).data;
    expect([line.before, line.after]).toEqual([made, body.data]);
  });

  it('refuses an initial balance above the maximum, whichever of the two is changed', async () => {
    const { id } = await make({ initial_balance: 5, max_balance: 10 });
    for (const body of [{ initial_balance: 11 }, { max_balance: 4 }]) {
      const answer = await patch(id, body).expect(400);
      expect(answer.body.error.details).toMatchObject([{ field: 'initial_balance' }]);
    }
    await patch(id, { initial_balance: 11, max_balance: 11 }).expect(200);
  });

  it('refuses a maximum below existing balances, and says how many users stand above it', async () => {
    const { id } = await make({ max_balance: 100 });
    for (const [player, amount] of [
      [ada, 50],
      [await tenant.player(), 60],
      [await tenant.player(), 70],
    ] as const)
      await grant({ app_user_id: player.id, amount }).expect(201);
    const { body } = await patch(id, { max_balance: 55 }).expect(409);
    expect(body.error).toMatchObject({
      code: 'MAX_BALANCE_TOO_LOW',
      details: { users_above: 2, highest_balance: 70 },
    });
    await patch(id, { max_balance: 70 }).expect(200);
    await expect(
      world.db.query('UPDATE currencies SET max_balance = 69 WHERE id = $1', [id]),
    ).rejects.toMatchObject({
      constraint: 'currencies_max_balance_covers_balances',
    });
  });

  it('whose maximum is lowered amid 40 grants never has a balance above it', async () => {
    const { id } = await make({ max_balance: 1000 });
    const players = await tenant.players(10);
    const grants = Array.from({ length: 40 }, (_, i) =>
      grant({ app_user_id: players[i % 10]?.id, amount: 10 + i }),
    );
    const changes = [20, 40, 60, 80].map((max_balance) => patch(id, { max_balance }));
    const answers = [await Promise.all(grants), await Promise.all(changes)];
    expect(tally(answers[0] ?? [])).toEqual({ '201': 40 });
    for (const { status } of answers[1] ?? []) expect([200, 409]).toContain(status);
  });

  it('is hidden when it is deleted; balances and history stay and come back with it', async () => {
    const { id } = await make({ max_balance: 100 });
    await grant({ amount: 40 }).expect(201);
    expect((await remove(id).expect(200)).body.data).toMatchObject({ id, code: 'gems' });
    expect((await world.http.get(currencies()).set(tenant.server)).body.total).toBe(0);
    expect((await world.http.get('/v1/client/currencies').set(ada.headers)).body.data).toEqual([]);
    expect(tally([await grant({ amount: 1 }), await remove(id), await patch(id, { name: 'Back' })])).toEqual({
      '404 NOT_FOUND': 3,
    });
    const low = await post({ code: 'gems', name: 'Gems', max_balance: 30 }).expect(409);
    expect(low.body.error).toMatchObject({
      code: 'MAX_BALANCE_TOO_LOW',
      details: { users_above: 1, highest_balance: 40 },
    });
    const back = await make({ name: 'Jewels' });
    expect(back).toMatchObject({ id, name: 'Jewels', max_balance: 100 });
    expect(Date.parse(back.updated_at)).toBeGreaterThan(Date.parse(back.created_at));
    expect(await world.balance(ada, 'gems')).toBe(40);
  });

  it('of another project is 404 and stays as it is', async () => {
    const other = await world.tenant();
    const { id } = await other.currency({ code: 'gems' });
    for (const name of [id, randomUUID(), 'no-uuid'])
      expect(tally([await patch(name, { name: 'Mine' }), await remove(name)])).toEqual({
        '404 NOT_FOUND': 2,
      });
    const [row] = await world.db.query('SELECT name, deleted_at FROM currencies WHERE id = $1', [id]);
    expect(row).toEqual({ name: 'gems', deleted_at: null });
  });
});

describe('a grant by hand', () => {
  it('writes one line, clamped to the maximum, with its reason', async () => {
    await make({ max_balance: 100, initial_balance: 30 });
    const first = await grant({ amount: 50, reason: 'Sorry' }).expect(201);
    expect(first.body.data).toEqual({
      ...{
        id: expect.any(String),
        app_user_id: ada.id,
        currency_code: 'gems',
        amount: 50,
        requested_amount: 50,
      },
      ...{ balance_after: 80, transaction_type: 'grant', source: 'admin', reference_id: expect.any(String) },
      ...{ created_at: expect.any(String), reason: 'Sorry' },
    });
    const second = await grant({ amount: 50 }).expect(201);
    expect(second.body.data).toMatchObject({
      amount: 20,
      requested_amount: 50,
      balance_after: 100,
      reason: null,
    });
    expect((await grant({ amount: 1 }).expect(201)).body.data).toMatchObject({
      amount: 0,
      balance_after: 100,
    });
    expect(await world.balance(ada, 'gems')).toBe(100);
    const { data } = (await history(ada.id).expect(200)).body;
    expect(data.map((row: any) => [row.source, row.amount, row.reason])).toEqual([
      ['admin', 0, null],
      ['admin', 20, null],
      ['admin', 50, 'Sorry'],
      ['system', 30, null],
    ]);
    expect(await world.transactions(ada, { limit: 1, offset: 2 })).toEqual([
      Object.fromEntries(Object.entries(first.body.data as object).filter(([name]) => name !== 'reason')),
    ]);
    const log = (await auditLog('?action=currency.grant')).data;
    expect(log.map((line: any) => line.after.amount)).toEqual([0, 20, 50]);
    expect(log[2]).toMatchObject({ target_id: first.body.data.reference_id, after: first.body.data });
  });

  it.each<[object, string, string]>([
    [{ amount: 0 }, '400 INVALID_INPUT', 'amount'],
    [{ amount: -5 }, '400 INVALID_INPUT', 'amount'],
    [{ amount: 1.5 }, '400 INVALID_INPUT', 'amount'],
    [{ amount: '100' }, '400 INVALID_INPUT', 'amount'],
    [{}, '400 INVALID_INPUT', 'amount'],
    [{ amount: 1, reason: '' }, '400 INVALID_INPUT', 'reason'],
    [{ amount: 1, reason: 'x'.repeat(501) }, '400 INVALID_INPUT', 'reason'],
    [{ amount: 1, source: 'referral' }, '400 INVALID_INPUT', 'source'],
    [{ amount: 1, app_user_id: 'ada' }, '400 INVALID_INPUT', 'app_user_id'],
    [{ amount: 1, app_user_id: randomUUID() }, '404 NOT_FOUND', ''],
    [{ amount: 1, currency_code: 'gold' }, '404 NOT_FOUND', ''],
  ])('is refused for %j and moves nothing', async (body, outcome, field) => {
    await make({});
    const answer = await grant(body);
    expect(tally([answer])).toEqual({ [outcome]: 1 });
    if (field) expect(answer.body.error.details).toMatchObject([{ field }]);
    expect(await world.balance(ada, 'gems')).toBe(0);
  });

  it.each(['9007199254740992', '1e400'])('of %s, which JSON cannot carry, is refused', async (amount) => {
    await make({});
    const body = `{"app_user_id":"${ada.id}","currency_code":"gems","amount":${amount}}`;
    const answer = await world.http
      .post(currencies('/grant'))
      .set({ ...tenant.server, 'content-type': 'application/json' })
      .send(body);
    expect(tally([answer])).toEqual({ '400 INVALID_INPUT': 1 });
  });

  it('fills a balance up to 2^53 - 1 and not beyond', async () => {
    await make({});
    await grant({ amount: MAX }).expect(201);
    expect((await grant({ amount: MAX }).expect(201)).body.data).toMatchObject({
      amount: 0,
      balance_after: MAX,
    });
  });

  it('to a user of another project is 404', async () => {
    await make({});
    const stranger = await (await world.tenant()).player();
    expect(
      tally([
        await grant({ app_user_id: stranger.id, amount: 1 }),
        await history(stranger.id),
        await history('me'),
      ]),
    ).toEqual({ '404 NOT_FOUND': 3 });
  });

  it('of 50 at once adds up, each line clamped', async () => {
    await make({ max_balance: 120 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => grant({ amount: 3 })));
    expect(tally(answers)).toEqual({ '201': 50 });
    expect(await world.balance(ada, 'gems')).toBe(120);
    const amounts = answers.map(({ body }) => body.data.amount).sort((a, b) => b - a);
    expect(amounts).toEqual([...Array<number>(40).fill(3), ...Array<number>(10).fill(0)]);
  });
});

it('says 500 FETCH_FAILED when the history of a user cannot be read', async () => {
  await world.db.query(`ALTER TABLE currency_transactions RENAME TO away`);
  try {
    expect(tally([await history(ada.id)])).toEqual({ '500 FETCH_FAILED': 1 });
  } finally {
    await world.db.query(`ALTER TABLE away RENAME TO currency_transactions`);
  }
});

describe('the Idempotency-Key of a grant', () => {
  it('gives the same answer again, marked, and grants once, of 20 at once and later', async () => {
    await make({});
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => grant({ amount: 7, reason: 'Once' }, 'key-1')),
    );
    answers.push(await grant({ amount: 7, reason: 'Once' }, 'key-1'));
    expect(tally(answers)).toEqual({ '201': 21 });
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).toHaveLength(20);
    expect(await world.balance(ada, 'gems')).toBe(7);
    expect((await auditLog('?action=currency.grant')).total).toBe(1);
  });

  it('is refused with any other request, and belongs to one project', async () => {
    await make({});
    await tenant.currency({ code: 'gold' });
    const grace = await tenant.player();
    await grant({ amount: 7 }, 'key-1').expect(201);
    const others = [{ amount: 8 }, { app_user_id: grace.id }, { currency_code: 'gold' }, { reason: 'Other' }];
    for (const other of others)
      expect(tally([await grant({ amount: 7, ...other }, 'key-1')])).toEqual({
        '422 IDEMPOTENCY_MISMATCH': 1,
      });
    expect(await world.balance(ada, 'gems')).toBe(7);
    tenant = await world.tenant();
    ada = await tenant.player();
    await make({});
    expect((await grant({ amount: 9 }, 'key-1').expect(201)).body.data.amount).toBe(9);
  });

  it('of a refused grant is still free', async () => {
    await make({});
    expect(tally([await grant({ amount: 1, currency_code: 'gold' }, 'key-1')])).toEqual({
      '404 NOT_FOUND': 1,
    });
    await grant({ amount: 1 }, 'key-1').expect(201);
  });

  it.each(['x'.repeat(256), 'two words', 'näh'])('that is malformed is refused', async (key) => {
    await make({});
    const answer = await grant({ amount: 1 }, Buffer.from(key).toString('latin1')).expect(400);
    expect(answer.body.error.details).toMatchObject([{ field: 'Idempotency-Key' }]);
  });
});

describe('a grant whose COMMIT loses the link', () => {
  it.each([
    ['before the server heard it', 'request' as const],
    ['after the server did it', 'answer' as const],
  ])('%s is granted once, with and without a key', async (_, lose) => {
    await make({});
    for (const key of [undefined, `key-${lose}`]) {
      const before = await world.balance(ada, 'gems');
      const proxy = await TcpProxy.to(databaseOf(world));
      const { world: other, close } = await startWorld(proxy.url);
      let lost = false;
      const cutOnce = (isIt: boolean) => {
        if (lost || !isIt) return 'forward' as const;
        lost = true;
        return 'cut' as const;
      };
      if (lose === 'request') proxy.onClientData = (chunk) => cutOnce(chunk.includes('COMMIT'));
      else proxy.onServerData = (chunk) => cutOnce(chunk.includes('COMMIT'));
      await grant({ amount: 5 }, key, other).expect(201);
      expect(lost).toBe(true);
      expect((await world.balance(ada, 'gems')) - before).toBe(5);
      await close();
      await proxy.down();
    }
  });
});

/** The address of the world's own database. */
function databaseOf(target: World): string {
  return (target.db.options as { url: string }).url;
}

it('waits for a claim that holds the currency no longer than the lock timeout, and then says 503', async () => {
  const database = await cloneDatabase();
  const { world: own, close } = await startWorld(database.url);
  const app = await own.tenant();
  const { id } = await app.currency({ code: 'gems' });
  const blocker = own.db.createQueryRunner();
  await blocker.startTransaction();
  await blocker.query('SELECT FROM currencies WHERE id = $1 FOR SHARE', [id]);
  const answer = await own.http
    .patch(`/v1/admin/projects/${app.id}/currencies/${id}`)
    .set(app.server)
    .send({ name: 'Later' });
  await blocker.rollbackTransaction();
  await blocker.release();
  expect(tally([answer])).toEqual({ '503 SERVICE_UNAVAILABLE': 1 });
  expect(answer.headers['retry-after']).toBe('1');
  await close();
  await database.drop();
});
