import { isDatabaseUnavailable } from '../src/common/database-error';
import { sharedRead } from '../src/database/shared-read';
import { startProxiedWorld } from './support/proxied-world';
import type { TcpProxy } from './support/tcp-proxy';
import type { Player, Tenant, World } from './support/world';

/** Reads that are asked for at the same time and share a packet: each gets its own answer, also when another fails. */

let world: World;
let proxy: TcpProxy;
let close: () => Promise<void>;
/** Packets that left for the database. */
let packets: number;

beforeAll(async () => {
  ({ world, proxy, close } = await startProxiedWorld());
});

afterAll(() => close());

beforeEach(async () => {
  // every connection of the pool has prepared it
  await Promise.all(Array.from({ length: 100 }, (_, i) => quotient(i)));
  packets = 0;
  proxy.onClientData = () => {
    packets += 1;
    return 'forward';
  };
});

afterEach(() => {
  proxy.onClientData = () => 'forward';
});

const read = (text: string, values: any[]) => sharedRead(world.db, text, values);
/** Fails for a divisor of 0. */
const quotient = (divisor: any) => read('SELECT 100 / $1::int AS quotient', [divisor + 1]);

/** Rows, or the SQLSTATE or message of what it failed with. */
async function outcomes(reads: Promise<unknown>[]): Promise<unknown[]> {
  const answers = await Promise.allSettled(reads);
  return answers.map((answer) =>
    answer.status === 'fulfilled' ? answer.value : (answer.reason.code ?? answer.reason.message),
  );
}

it('up to eight share a packet', async () => {
  expect(await outcomes([0, 1, 3, 4, 9].map(quotient))).toEqual(
    [100, 50, 25, 20, 10].map((value) => [{ quotient: value }]),
  );
  expect(packets).toBe(1);
  await Promise.all(Array.from({ length: 17 }, () => quotient(0)));
  expect(packets).toBe(1 + 3);
});

it('those of another turn have a packet of their own, and wait for nobody', async () => {
  const slow = read('SELECT 1 AS one FROM pg_sleep($1)', [0.5]);
  await new Promise(setImmediate);
  const order: string[] = [];
  await Promise.all([slow.then(() => order.push('slow')), quotient(0).then(() => order.push('quick'))]);
  expect(order).toEqual(['quick', 'slow']);
});

it('one that fails fails alone', async () => {
  expect(await outcomes([0, -1, 1, -1, 3].map(quotient))).toEqual([
    [{ quotient: 100 }],
    '22012',
    [{ quotient: 50 }],
    '22012',
    [{ quotient: 25 }],
  ]);
});

it('one that cannot be written fails alone', async () => {
  const unwritable = {
    toPostgres: () => {
      throw new Error('no way to write this');
    },
  };
  expect(await outcomes([quotient(0), read('SELECT $1::text', [unwritable]), quotient(1)])).toEqual([
    [{ quotient: 100 }],
    'no way to write this',
    [{ quotient: 50 }],
  ]);
});

it('a migration that makes one of them stale is noticed by nobody', async () => {
  await world.db.query('CREATE TABLE wells (name text)');
  const wells = () => read('SELECT * FROM wells WHERE $1::int = 1', [1]);
  await Promise.all(Array.from({ length: 100 }, wells));
  await world.db.query('ALTER TABLE wells ADD COLUMN depth int');
  await world.db.query(`INSERT INTO wells VALUES ('a', 7)`);
  const migrated = [{ name: 'a', depth: 7 }];
  expect(await outcomes([quotient(0), wells(), quotient(1), wells()])).toEqual([
    [{ quotient: 100 }],
    migrated,
    [{ quotient: 50 }],
    migrated,
  ]);
});

it('with a link that is lost each is sent again alone, and fails when that is lost too', async () => {
  proxy.onClientData = () => {
    packets += 1;
    return packets === 1 ? 'cut' : 'forward';
  };
  expect(await outcomes([0, 1, 3].map(quotient))).toEqual(
    [100, 50, 25].map((value) => [{ quotient: value }]),
  );
  proxy.onClientData = () => 'cut';
  const lost = await Promise.allSettled([0, 1, 3].map(quotient));
  const unavailable = lost.map(
    (answer) => answer.status === 'rejected' && isDatabaseUnavailable(answer.reason),
  );
  expect(unavailable).toEqual([true, true, true]);
});

it('several that are slow are not taken for a dead link', async () => {
  const slow = () => read('SELECT 1 AS one FROM pg_sleep($1)', [2.6]);
  expect(await outcomes([slow(), slow()])).toEqual([[{ one: 1 }], [{ one: 1 }]]);
}, 20_000);

it('one whose packet is in the way of a migration is sent again alone', async () => {
  await world.db.query('CREATE TABLE springs (name text)');
  await world.db.query('CREATE TABLE brooks (name text)');
  const flowing = (table: string) => read(`SELECT name FROM ${table} WHERE $1::int = 1`, [1]);
  await outcomes([flowing('springs'), flowing('brooks')]);
  const migration = world.db.createQueryRunner();
  await migration.startTransaction();
  await migration.query('ALTER TABLE brooks ADD COLUMN depth int');
  const reading = outcomes([flowing('springs'), flowing('brooks')]);
  await untilOneWaits();
  await migration.query('ALTER TABLE springs ADD COLUMN depth int');
  await migration.commitTransaction();
  await migration.release();
  expect(await reading).toEqual([[], []]);
});

/** The packet has read the springs, and waits for the brooks. */
async function untilOneWaits(): Promise<void> {
  const sql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await world.db.query<object[]>(sql)).length === 0) await new Promise(setImmediate);
}

describe('of many requests at once', () => {
  let tenants: Tenant[];
  let players: Player[];

  beforeEach(async () => {
    tenants = [await world.tenant(), await world.tenant()];
    for (const tenant of tenants) await tenant.currency({ code: 'gems' });
    players = (await Promise.all(tenants.map((tenant) => tenant.players(20)))).flat();
    await Promise.all(players.map((player) => world.myCode(player).expect(201)));
  });

  it('each hears of its own user', async () => {
    const codes = await Promise.all(players.map((player) => world.myCode(player).expect(200)));
    expect(codes.map(({ body }) => body.data.app_user_id)).toEqual(players.map(({ id }) => id));
  });

  it('those who are shut out are, and nobody else', async () => {
    const [shutOut, ...others] = players as [Player, ...Player[]];
    const { id, server } = tenants[0] as Tenant;
    await world.http.post(`/v1/admin/projects/${id}/users/${shutOut.id}/disable`).set(server).expect(200);
    const stranger = { headers: { ...shutOut.headers, 'x-api-key': 'amba_ck_nobody' } } as Player;
    const elsewhere = { headers: { ...shutOut.headers, 'x-api-key': tenants[1]?.clientKey } } as Player;
    const asked = [...others.slice(0, 10), shutOut, stranger, elsewhere, ...others.slice(10)];
    const answers = await Promise.all(asked.map((player) => world.myCode(player)));
    expect(
      answers.map(({ status, body }) => (status === 200 ? body.data.app_user_id : body.error.code)),
    ).toEqual([
      ...others.slice(0, 10).map(({ id }) => id),
      ...['INVALID_TOKEN', 'INVALID_API_KEY', 'INVALID_TOKEN'],
      ...others.slice(10).map(({ id }) => id),
    ]);
  });
});
