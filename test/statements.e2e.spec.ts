import { DataSource } from 'typeorm';
import { CommitUnknownError, LostLinkError } from '../src/common/database-error';
import { sendTogether, type Statement } from '../src/common/statements';
import { commitWith, inTransaction } from '../src/common/transaction';
import { dataSourceOptions } from '../src/database/data-source-options';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase } from './support/world';

/** Statements that are sent together, and what becomes of them when one fails. */

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let db: DataSource;

const open = (url: string) => new DataSource(dataSourceOptions({ url, poolSize: 1 })).initialize();
const one = <Row>(text: string, ...values: Statement['values']) => ({ text, values }) as Statement<Row>;
const write = (name: string) => one<{ name: string }>(`INSERT INTO wells VALUES ($1) RETURNING name`, name);
const failing = one(`SELECT 1 / $1::int`, 0);
const cyclic: Record<string, unknown> = {};
cyclic.itself = cyclic;
const wells = async (of = db) =>
  (await of.query<{ name: string }[]>(`SELECT name FROM wells ORDER BY name`)).map(({ name }) => name);

beforeEach(async () => {
  database = await cloneDatabase();
  db = await open(database.url);
  await db.query(`CREATE TABLE wells (name text PRIMARY KEY)`);
});

afterEach(async () => {
  await db.destroy();
  await database.drop();
});

it('are answered each with its rows, in order', async () => {
  const rows = await inTransaction(db, (queryRunner) =>
    sendTogether(queryRunner, write('a'), one<{ two: number }>(`SELECT 2 AS two`), write('b')),
  );
  expect(rows).toEqual([[{ name: 'a' }], [{ two: 2 }], [{ name: 'b' }]]);
});

it('fail with the first error, and nothing of the transaction is done', async () => {
  const work = inTransaction(db, (queryRunner) => sendTogether(queryRunner, write('a'), failing, write('b')));
  await expect(work).rejects.toMatchObject({ code: '22012' });
  expect(await wells()).toEqual([]);
});

it.each([
  ['PostgreSQL refuses', failing],
  ['pg cannot write', one(`SELECT $1::text`, { toPostgres: () => cyclic } as unknown as string)],
])('do not run after one that %s, and are prepared and run when they come again', async (_, spoiled) => {
  await db.query(`CREATE SEQUENCE runs`);
  const count = one<{ no: number }>(`SELECT nextval('runs') AS no`);
  const work = (...statements: Statement[]) =>
    inTransaction(db, (queryRunner) => sendTogether(queryRunner, ...statements));
  await expect(work(write('a'), spoiled, count, write('b'))).rejects.toThrow();
  expect(await work(count, write('c'), write('b'))).toEqual([[{ no: 1 }], [{ name: 'c' }], [{ name: 'b' }]]);
  expect(await wells()).toEqual(['b', 'c']);
});

it('outside of a transaction stand each for itself', async () => {
  const queryRunner = db.createQueryRunner();
  const sent = [failing, write('a')].map(({ text, values }) => queryRunner.query(text, values));
  const answers = await Promise.allSettled(sent);
  await queryRunner.release();
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(await wells()).toEqual(['a']);
});

describe('with the COMMIT', () => {
  it('are done when it is', async () => {
    const rows = await inTransaction(db, (queryRunner) => commitWith(queryRunner, write('a'), write('b')));
    expect(rows).toEqual([[{ name: 'a' }], [{ name: 'b' }]]);
    expect(await wells()).toEqual(['a', 'b']);
  });

  it.each([
    ['first', [failing, write('a')]],
    ['last', [write('a'), failing]],
    ['refused by a constraint', [write('a'), write('a')]],
  ])('fail as a whole when the one that fails is %s, and the connection goes on', async (_, statements) => {
    const work = inTransaction(db, async (queryRunner) => {
      await queryRunner.query(`INSERT INTO wells VALUES ('before')`);
      return commitWith(queryRunner, ...statements);
    });
    await expect(work).rejects.toMatchObject({ code: expect.stringMatching(/^(22012|23505)$/) });
    expect(await wells()).toEqual([]);
    await inTransaction(db, (queryRunner) => commitWith(queryRunner, write('c')));
    expect(await wells()).toEqual(['c']);
  });

  it('run again in a new transaction after a serialization failure', async () => {
    await db.query(`CREATE SEQUENCE tries`);
    await db.query(
      `CREATE FUNCTION fail_twice() RETURNS int LANGUAGE plpgsql AS $$
       BEGIN
         IF nextval('tries') < 3 THEN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END IF;
         RETURN 1;
       END $$`,
    );
    await inTransaction(db, (queryRunner) => commitWith(queryRunner, write('a'), one(`SELECT fail_twice()`)));
    expect(await wells()).toEqual(['a']);
  });

  it.each([
    ['arrive, but not their answer', 'forward and cut', ['a']],
    ['do not arrive', 'cut', []],
  ] as const)('leave the outcome open when they %s', async (_, verdict, made) => {
    const proxy = await TcpProxy.to(database.url);
    const cutOff = await open(proxy.url);
    try {
      proxy.onClientData = (chunk) => (chunk.includes('COMMIT') ? verdict : 'forward');
      const work = inTransaction(cutOff, (queryRunner) => commitWith(queryRunner, write('a')));
      await expect(work).rejects.toBeInstanceOf(CommitUnknownError);
      // what was cut off has ended when its backend has
      const others = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
      while ((await db.query<[]>(others)).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await wells()).toEqual(made);
    } finally {
      await cutOff.destroy();
      await proxy.down();
    }
  });

  it('are not sent at all when the connection was lost before: they would run outside of the transaction', async () => {
    const killer = await open(database.url);
    const work = inTransaction(db, async (queryRunner) => {
      const [{ pid }] = await queryRunner.query(`SELECT pg_backend_pid() AS pid`);
      await killer.query(`SELECT pg_terminate_backend($1)`, [pid]);
      while (!queryRunner.isReleased) await new Promise((resolve) => setTimeout(resolve, 5));
      return commitWith(queryRunner, write('a'));
    });
    await expect(work).rejects.toBeInstanceOf(LostLinkError);
    expect(await wells()).toEqual([]);
    await killer.destroy();
  });
});
