import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { CommitUnknownError, isDatabaseUnavailable } from '../src/common/database-error';
import { send, sendTogether, type Statement } from '../src/common/statements';
import { commitWith, inTransaction } from '../src/common/transaction';
import { dataSourceOptions } from '../src/database/data-source-options';
import { allowLongStatements } from '../src/database/long-statements';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase } from './support/world';

/** A link on which nothing comes any more while an answer is due, and what only looks like one. */

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let proxy: TcpProxy;
const opened: DataSource[] = [];

beforeEach(async () => {
  database = await cloneDatabase();
  proxy = await TcpProxy.to(database.url);
  const db = await open(database.url, 0);
  await db.query(`CREATE TABLE doors AS SELECT no FROM generate_series(1, 3) AS no`);
});

afterEach(async () => {
  for (const db of opened.splice(0)) await db.destroy();
  await proxy.down();
  await database.drop();
});

async function open(url: string, silenceTimeoutMs: number): Promise<DataSource> {
  const options = dataSourceOptions({ url, poolSize: 1 });
  const db = new DataSource({ ...options, extra: { ...options.extra, silenceTimeoutMs } });
  opened.push(db);
  return db.initialize();
}

const one = <Row>(text: string, ...values: Statement['values']) => ({ text, values }) as Statement<Row>;

describe('is given up', () => {
  let db: DataSource;

  beforeEach(async () => {
    db = await open(proxy.url, 300);
  });

  /** The connection of the next statement is a new one. */
  const expectAlive = async () => {
    proxy.onServerData = () => 'forward';
    expect(await db.query(`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  };

  it('in the middle of a flight: all who still wait hear of it', async () => {
    let isGone = false;
    proxy.onServerData = (chunk) => {
      if (isGone) return 'swallow';
      isGone = chunk.includes('answered');
      return 'forward';
    };
    const heard = await inTransaction(db, async (queryRunner) => {
      const sent = await send(queryRunner, [
        one(`SELECT 'answered' AS one FROM doors WHERE no = 1 FOR UPDATE`),
        one(`SELECT pg_sleep(2)`),
        one(`SELECT 'never sent'`),
      ]);
      const answers = await Promise.allSettled(sent);
      throw Object.assign(new Error('rolled back'), { answers });
    }).catch(({ answers }: { answers: unknown }) => answers);
    const lost = { status: 'rejected', reason: { message: 'Query read timeout' } };
    expect(heard).toMatchObject([
      { status: 'fulfilled', value: { rows: [{ one: 'answered' }] } },
      lost,
      lost,
    ]);
    await expectAlive();
  });

  it.each([
    ['on its own', () => inTransaction(db, (queryRunner) => queryRunner.query(`SELECT 1`))],
    ['with others', () => inTransaction(db, (queryRunner) => commitWith(queryRunner, one(`SELECT 1`)))],
  ])('after a COMMIT %s, whose outcome is unknown', async (_, transact) => {
    proxy.onClientData = (chunk) => {
      if (chunk.includes('COMMIT')) proxy.onServerData = () => 'swallow';
      return 'forward';
    };
    const error: unknown = await transact().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommitUnknownError);
    expect(isDatabaseUnavailable(error)).toBe(true);
    proxy.onClientData = () => 'forward';
    await expectAlive();
  });
});

describe('is not', () => {
  it('waits for locks that follow one another in a flight, however long they are together', async () => {
    const [db, holder] = [await open(database.url, 2_000), await open(database.url, 0)];
    await holder.query(`SELECT pg_advisory_lock(key) FROM generate_series(1, 3) AS key`);
    const begin = performance.now();
    const flight = inTransaction(db, (queryRunner) =>
      sendTogether(
        queryRunner,
        ...[1, 2, 3].map((no) =>
          one(
            `SELECT no AS got FROM doors, pg_advisory_xact_lock($1::int) WHERE no = $1 FOR UPDATE OF doors`,
            no,
          ),
        ),
      ),
    );
    while ((await holder.query<[]>(`SELECT FROM pg_locks WHERE NOT granted`)).length === 0) await sleep(5);
    await holder.query(
      `DO $$ BEGIN FOR key IN 1..3 LOOP PERFORM pg_sleep(0.8); PERFORM pg_advisory_unlock(key); END LOOP; END $$`,
    );
    expect(await flight).toEqual([[{ got: 1 }], [{ got: 2 }], [{ got: 3 }]]);
    expect(performance.now() - begin).toBeGreaterThan(2_000);
  });

  it('one that is idle, nor one that is used again at the very moment', async () => {
    const db = await open(database.url, 100);
    const pid = () => db.query(`SELECT pg_backend_pid() AS pid`);
    const first = await pid();
    for (let i = 0; i < 5; i += 1) {
      await sleep(100);
      expect(await pid()).toEqual(first);
    }
  });

  it('one whose first answer came while this process stood still', async () => {
    const db = await open(database.url, 1_000);
    const flight = inTransaction(db, async (queryRunner) => {
      const sent = await send(queryRunner, [
        one(`SELECT 1 AS one FROM doors WHERE no = 1 FOR UPDATE`),
        one(`SELECT 2 AS two FROM pg_sleep(2)`),
      ]);
      // when the statements have left, before anything can be read
      process.nextTick(() => standStill(1_500));
      return Promise.all(sent);
    });
    expect(await flight).toMatchObject([{ rows: [{ one: 1 }] }, { rows: [{ two: 2 }] }]);
  });

  it('a long statement, in its own transaction only', async () => {
    const db = await open(database.url, 300);
    const slept = await inTransaction(db, async (queryRunner) => {
      const statement = await allowLongStatements(queryRunner, 10_000);
      return statement('SELECT $1::float8 AS slept FROM pg_sleep($1)', [1]);
    });
    expect(slept).toEqual([{ slept: 1 }]);
    await expect(db.query('SELECT pg_sleep(2)')).rejects.toThrow('Query read timeout');
  });
});

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
