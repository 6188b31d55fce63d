import type { DataSource, QueryRunner } from 'typeorm';
import { inTransaction } from '../src/common/transaction';
import { Footprints, isDependent, union } from './support/footprint';
import { everyOrder } from './support/interleave';
import { openSessions, type Sessions } from './support/stepped-session';
import { useWorld } from './support/world';

/** The stepper itself, on tables of its own: that it runs every order, and none twice. */
let sessions: Sessions;
// before the world, whose database they use, is gone
afterAll(() => sessions.close());
const world = useWorld();

beforeAll(async () => {
  await world.db.query(`
    CREATE TABLE wells (id int PRIMARY KEY, level int NOT NULL);
    CREATE TABLE ponds (id int PRIMARY KEY, level int NOT NULL);
    INSERT INTO wells SELECT n, 0 FROM generate_series(1, 9) AS n;
    INSERT INTO ponds SELECT n, 0 FROM generate_series(1, 9) AS n`);
  sessions = await openSessions(world);
});
beforeEach(() => world.db.query(`UPDATE wells SET level = 0; UPDATE ponds SET level = 0`));

type Work = (db: DataSource) => Promise<unknown>;

/** @returns how many orders had which outcome */
async function explore(
  works: [Work, Work],
  outcome: () => Promise<string>,
  which: { exhaustive?: boolean } = {},
) {
  const explorer = { sessions: sessions.both, observer: world.db, ...which };
  const [left, right] = sessions.both;
  return everyOrder(explorer, async () => {
    await world.db.query(`UPDATE wells SET level = 0`);
    return {
      operations: [() => works[0](left.world.db), () => works[1](right.world.db)],
      check: () => outcome(),
    };
  });
}

const statements = (count: number, sql: string) => async (db: DataSource) => {
  for (let n = 0; n < count; n += 1) await db.query(sql);
};
const raise = (table: string, id: number) => `UPDATE ${table} SET level = level + 1 WHERE id = ${id}`;
const levelOf = async (id: number) => {
  const [row] = await world.db.query<[{ level: number }]>(`SELECT level FROM wells WHERE id = ${id}`);
  return String(row.level);
};

it('three statements and three on one table: all 20 orders', async () => {
  const three = statements(3, raise('wells', 1));
  const explored = await explore([three, three], () => levelOf(1));
  expect(explored).toEqual({ schedules: 20, repeated: 0, deadlocks: 0, outcomes: { '6': 20 } });
});

it('on two tables: all orders are one, unless all are asked for', async () => {
  const works: [Work, Work] = [statements(3, raise('wells', 1)), statements(2, raise('ponds', 1))];
  const outcome = () => Promise.resolve('done');
  expect(await explore(works, outcome)).toMatchObject({ schedules: 1 });
  expect(await explore(works, outcome, { exhaustive: true })).toMatchObject({ schedules: 10 });
});

/** Reads, and writes what it read and one more. */
const readAndWrite = (lock: string) => (db: DataSource) =>
  inTransaction(db, async (queryRunner: QueryRunner) => {
    const [{ level }] = (await queryRunner.query(`SELECT level FROM wells WHERE id = 1 ${lock}`)) as [
      { level: number },
    ];
    await queryRunner.query(`UPDATE wells SET level = $1 WHERE id = 1`, [level + 1]);
  });

it.each([
  ['without a lock: an update is lost in some order', '', ['1', '2']],
  ['with a lock: in none', 'FOR UPDATE', ['2']],
])('read and write, %s', async (_, lock, outcomes) => {
  const work = readAndWrite(lock);
  const reduced = await explore([work, work], () => levelOf(1));
  const all = await explore([work, work], () => levelOf(1), { exhaustive: true });
  expect(Object.keys(reduced.outcomes)).toEqual(expect.arrayContaining(outcomes));
  expect(new Set(Object.keys(all.outcomes))).toEqual(new Set(Object.keys(reduced.outcomes)));
  expect(reduced.schedules).toBeLessThanOrEqual(all.schedules);
});

it('two that wait for one another: PostgreSQL ends one, and its work is done anew', async () => {
  const raiseBoth = (ids: number[]) => (db: DataSource) =>
    inTransaction(db, async (queryRunner: QueryRunner) => {
      for (const id of ids) await queryRunner.query(raise('wells', id));
    });
  const explored = await explore(
    [raiseBoth([1, 2]), raiseBoth([2, 1])],
    async () => `${await levelOf(1)}, ${await levelOf(2)}`,
  );
  expect(explored.outcomes).toEqual({ '2, 2': explored.schedules });
  expect(explored.deadlocks).toBeGreaterThan(0);
}, 60_000);

it('an order that is wrong is told statement by statement', async () => {
  const work = readAndWrite('');
  const run = explore([work, work], async () => {
    expect(await levelOf(1)).toBe('2');
    return 'right';
  });
  const told = await run.catch((error: Error) => error.message);
  expect(told).toMatch(/left +SELECT … FROM wells[^]*right +SELECT … FROM wells[^]*COMMIT[^]*COMMIT/);
});

it('statements are known by their tables, foreign keys, triggers and unique keys', async () => {
  const footprints = await Footprints.of(world.db);
  const commits = (...texts: string[]) => {
    const ends = texts.map((text) => footprints.of(text)).reduce(union);
    return { ...footprints.of('COMMIT'), ends };
  };
  const depend = (a: string, b: string) => isDependent(footprints.of(a), footprints.of(b));
  const insertClaim = `INSERT INTO "referral_claims"("project_id", "referral_code_id", "referee_id") VALUES ($1, $2, $3)`;
  const lockUser = `SELECT 1 FROM "app_users" FOR UPDATE`;
  const takeTurn = `SELECT FROM app_users FOR NO KEY UPDATE`;
  expect(depend(insertClaim, insertClaim)).toBe(true);
  expect(depend(insertClaim, lockUser)).toBe(true);
  // a foreign key and a lock that leaves keys alone do not meet
  expect(depend(insertClaim, takeTurn)).toBe(false);
  expect(depend(takeTurn, takeTurn)).toBe(true);
  expect(
    depend(
      `SELECT FROM projects p JOIN app_users u ON true FOR UPDATE OF u`,
      `SELECT FROM projects FOR UPDATE`,
    ),
  ).toBe(false);
  expect(depend(takeTurn, `UPDATE app_users SET disabled_at = now()`)).toBe(true);
  expect(depend(insertClaim, `SELECT 1 FROM referral_claims FOR UPDATE SKIP LOCKED`)).toBe(false);
  expect(depend(`UPDATE balances SET balance = 1`, `UPDATE currencies SET max_balance = 1`)).toBe(true);
  expect(depend(lockUser, `SELECT 1 FROM app_users`)).toBe(false);
  expect(isDependent(commits(insertClaim), footprints.of(`SELECT 1 FROM referral_claims`))).toBe(true);
  expect(isDependent(commits(insertClaim), footprints.of(`SELECT 1 FROM balances`))).toBe(false);
});
