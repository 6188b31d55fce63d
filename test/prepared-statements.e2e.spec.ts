import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, type QueryRunner } from 'typeorm';
import { inTransaction } from '../src/common/transaction';
import { dataSourceOptions } from '../src/database/data-source-options';
import { MAX_PREPARED } from '../src/database/prepared-statements';
import { PaymentsService } from '../src/rewards/payments.service';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase, onWorld, tally, type Tenant, type World } from './support/world';

/** What is prepared on a connection, and what becomes of it when a migration makes it stale. */

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let db: DataSource;

const POOL_SIZE = 5;

const open = async (settings: { url?: string; poolSize?: number; preparedStatements?: boolean } = {}) =>
  new DataSource(dataSourceOptions({ url: database.url, poolSize: 1, ...settings })).initialize();

const read = (on: DataSource | QueryRunner) => on.query(`SELECT * FROM wells WHERE name = $1`, ['a']);

beforeEach(async () => {
  database = await cloneDatabase();
  db = await open();
  await db.query(`CREATE TABLE wells (name text)`);
  await db.query(`INSERT INTO wells VALUES ('a')`);
});

afterEach(async () => {
  await db.destroy();
  await database.drop();
});

describe('statements with values', () => {
  const prepared = async (of: DataSource) =>
    (await of.query<{ statement: string }[]>(`SELECT statement FROM pg_prepared_statements`)).map(
      // without the comment that tells generations apart
      ({ statement }) => statement.replace(/^\/\* \w+ \d+ \*\/ /, ''),
    );

  it('are prepared once on each connection', async () => {
    for (const name of ['b', 'c', 'd']) await db.query(`INSERT INTO wells VALUES ($1)`, [name]);
    await db.query(`SELECT name FROM wells`);
    expect(await prepared(db)).toEqual([`INSERT INTO wells VALUES ($1)`]);
  });

  it('have their rows described once, until a migration gives them others', async () => {
    const queryRunner = db.createQueryRunner();
    const { connection } = (await queryRunner.connect()) as { connection: EventEmitter };
    const names = () => queryRunner.query(`SELECT name FROM wells WHERE $1::int = 1`, [1]);
    let described = 0;
    connection.on('rowDescription', () => (described += 1));
    for (const rows of [1, 2, 3]) {
      expect(await names()).toEqual(Array.from({ length: rows }, () => ({ name: 'a' })));
      await queryRunner.query(`INSERT INTO wells VALUES ('a')`);
    }
    expect(described).toBe(1);
    await queryRunner.query(`DELETE FROM wells`);
    expect(await names()).toEqual([]);
    await queryRunner.query(`ALTER TABLE wells ALTER COLUMN name TYPE int USING 7`);
    await queryRunner.query(`INSERT INTO wells VALUES (7)`);
    expect(await names()).toEqual([{ name: 7 }]);
    expect(described).toBe(2);
    await queryRunner.release();
  });

  it('that were to be prepared with one that failed are closed before they are prepared, since a pooler may know them', async () => {
    const proxy = await TcpProxy.to(database.url);
    const link = await open({ url: proxy.url });
    const closed: string[] = [];
    proxy.onClientData = (chunk) => {
      closed.push(...(chunk.toString('latin1').match(/C[^]{4}Samba_\w+(?=\0)/g) ?? []));
      return 'forward';
    };
    try {
      const failing = inTransaction(link, (queryRunner) =>
        Promise.all([queryRunner.query(`SELECT 1 / $1::int`, [0]), read(queryRunner)]),
      );
      await expect(failing).rejects.toMatchObject({ code: '22012' });
      expect(closed).toEqual([]);
      for (let time = 0; time < 2; time += 1) expect(await read(link)).toEqual([{ name: 'a' }]);
      expect(closed).toHaveLength(1);
    } finally {
      await link.destroy();
      await proxy.down();
    }
  });

  it('are not, if so set', async () => {
    const plain = await open({ preparedStatements: false });
    await plain.query(`INSERT INTO wells VALUES ($1)`, ['b']);
    expect(await prepared(plain)).toEqual([]);
    await plain.destroy();
  });

  it('are closed when too many others came after them, and prepared again when they come back', async () => {
    const text = (no: number) => `SELECT ${no} + $1::int AS sum`;
    const ask = (no: number) => db.query<[{ sum: number }]>(text(no), [1]);
    for (let no = 0; no < MAX_PREPARED + 50; no += 1) {
      expect(await ask(no)).toEqual([{ sum: no + 1 }]);
      // the first is in use all the time
      await ask(0);
    }
    const kept = [0, ...Array.from({ length: MAX_PREPARED - 1 }, (_, i) => i + 51)].map(text);
    expect((await prepared(db)).sort()).toEqual(kept.sort());
    expect(await ask(1)).toEqual([{ sum: 2 }]);
    expect(await prepared(db)).toHaveLength(MAX_PREPARED);
    expect(await prepared(db)).toContain(text(1));
  });
});

describe('a stale statement', () => {
  const migrate = () => db.query(`ALTER TABLE wells ADD COLUMN depth int`);
  const migrated = [{ name: 'a', depth: null }];

  it.each([
    ['returns other columns than before', migrate, migrated],
    ['is not known any more', () => db.query(`DEALLOCATE ALL`), [{ name: 'a' }]],
  ])('that %s is sent again, and nobody hears of it', async (_, spoil, rows) => {
    await read(db);
    const pid = () => db.query(`SELECT pg_backend_pid() AS pid`);
    const before = await pid();
    await spoil();
    expect(await read(db)).toEqual(rows);
    expect(await pid()).toEqual(before);
  });

  it('that writes writes once', async () => {
    const write = () => db.query(`INSERT INTO wells (name) VALUES ($1) RETURNING *`, ['b']);
    await write();
    await migrate();
    expect(await write()).toEqual([{ name: 'b', depth: null }]);
    expect(await db.query(`SELECT count(*) FROM wells WHERE name = 'b'`)).toEqual([{ count: 2 }]);
  });

  describe('on every connection of a pool', () => {
    let pool: DataSource;
    let tries: number;
    let before: number | undefined;

    beforeEach(async () => {
      pool = await open({ poolSize: POOL_SIZE });
      [before] = await generations();
      await migrate();
      tries = 0;
    });
    afterEach(() => pool.destroy());

    /** All connections of the pool at once. */
    async function onEach<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T[]> {
      const runners = Array.from({ length: POOL_SIZE }, () => pool.createQueryRunner());
      await Promise.all(runners.map((runner) => runner.connect()));
      const done = await Promise.all(runners.map(work));
      await Promise.all(runners.map((runner) => runner.release()));
      return done;
    }

    const transact = (everybody = Promise.resolve()) =>
      inTransaction(pool, async (queryRunner) => {
        await queryRunner.query(`INSERT INTO wells (name) VALUES ('b')`);
        tries += 1;
        await everybody;
        return read(queryRunner);
      });
    const written = async () => (await pool.query(`SELECT count(*) FROM wells WHERE name = 'b'`))[0].count;

    it('costs the first transaction one more try, and those after it none, whatever connection they get', async () => {
      expect(await transact()).toEqual(migrated);
      expect(tries).toBe(2);
      const all = await onEach(async (queryRunner) => {
        await queryRunner.startTransaction();
        const rows = await read(queryRunner);
        await queryRunner.commitTransaction();
        return rows;
      });
      expect(all).toEqual(Array(POOL_SIZE).fill(migrated));
      expect(await written()).toBe(1);
    });

    /** How often everything was prepared again, as the names on each connection say after a read. */
    const generations = () =>
      onEach(async (queryRunner) => {
        await read(queryRunner);
        const [{ name }] = await queryRunner.query(`SELECT name FROM pg_prepared_statements`);
        return Number(/^amba_(\d+)_/.exec(name)?.[1]);
      });

    it('costs transactions that meet it at once one more try each, and all is prepared again once', async () => {
      let begin = (): void => undefined;
      const everybody = new Promise<void>((resolve) => (begin = resolve));
      const all = Promise.all(Array.from({ length: POOL_SIZE }, () => transact(everybody)));
      while (tries < POOL_SIZE) await sleep(5);
      begin();
      expect(await all).toEqual(Array(POOL_SIZE).fill(migrated));
      expect(tries).toBe(2 * POOL_SIZE);
      expect(await written()).toBe(POOL_SIZE);
      expect(await generations()).toEqual(Array(POOL_SIZE).fill((before ?? NaN) + 1));
    });
  });

  it('is not taken for one that PostgreSQL does not support', async () => {
    let tries = 0;
    const work = inTransaction(db, (queryRunner) => {
      tries += 1;
      return queryRunner.query(`SELECT count(*) FROM wells WHERE name = $1 FOR UPDATE`, ['a']);
    });
    await expect(work).rejects.toMatchObject({ code: '0A000' });
    expect(tries).toBe(1);
  });
});

describe('a migration under a server that is warm', () => {
  const PLAYERS = 4 * POOL_SIZE;

  it.each([
    ['looks at the credentials', 'ALTER TABLE api_keys ALTER COLUMN prefix TYPE varchar(100)'],
    ['locks the code', 'ALTER TABLE referral_codes ALTER COLUMN current_uses TYPE bigint'],
    ['stores the claim', 'ALTER TABLE referral_claims ALTER COLUMN claimed_at TYPE timestamptz(3)'],
    ['pays', 'ALTER TABLE reward_grants ALTER COLUMN attempts TYPE bigint'],
    ['reads the limit', 'ALTER TABLE projects ALTER COLUMN max_claims_per_user TYPE bigint'],
    ['reads the key', 'ALTER TABLE claim_idempotency_keys ALTER COLUMN request_digest TYPE text'],
    ['locks the balances', 'ALTER TABLE balances ALTER COLUMN last_entry_no TYPE integer'],
    ['locks the currencies', 'ALTER TABLE currencies ALTER COLUMN code TYPE varchar(100)'],
    ['lists balances', 'ALTER TABLE currencies ALTER COLUMN name TYPE varchar(100)'],
  ])('is noticed by none of its users, though it changes what the statement returns that %s', (_, ddl) =>
    onWorld({ databasePoolSize: POOL_SIZE }, async (world) => {
      const tenant = await world.tenant();
      await tenant.currency({ code: 'gems' });
      await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
      await claimAndRead(world, tenant);
      await world.db.query(ddl);
      await claimAndRead(world, tenant);
    }),
  );

  /** So many at once that all connections have a part in it. */
  async function claimAndRead(world: World, tenant: Tenant): Promise<void> {
    const players = await tenant.players(PLAYERS);
    const claims = await Promise.all(players.map((player) => world.claim(player, 'PROMO')));
    expect(tally(claims)).toEqual({ '201': PLAYERS });
    // those whose payment took longer than a claim waits for it
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 3_600_000));
    expect(await world.db.query(`SELECT DISTINCT status, attempts FROM reward_grants`)).toEqual([
      { status: 'granted', attempts: 1 },
    ]);
    const balances = await Promise.all(players.map((player) => world.balance(player, 'gems')));
    expect(balances).toEqual(Array(PLAYERS).fill(5));
  }
});
