import { Client } from 'pg';
import { migrations } from '../migrations';
import { ConcurrentIndexes } from '../migrations/concurrent-indexes';
import { openDatabase } from '../src/database/database';
import { migrate } from '../src/database/migrate';
import { expectInvariants } from './support/invariants';
import { isPgBouncerInstalled, keepsPreparedStatements, PgBouncer } from './support/pgbouncer';
import { cloneDatabase, startWorld, tally, type Player } from './support/world';

/** Behind PgBouncer in transaction mode, which lends a connection for one transaction at a time. */

type Settings = Record<string, string | number>;

const IGNORING: Settings = { ignore_startup_parameters: 'options' };

class ClaimTimes9795300000001 extends ConcurrentIndexes {
  protected readonly indexes = { claim_times: 'ON referral_claims (claimed_at)' };
}

let closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** A database, by way of a PgBouncer and without. */
async function behindPooler(settings: Settings, { empty = false } = {}) {
  const database = await cloneDatabase({ empty });
  closing.push(database.discard);
  await run(database.url, `ALTER ROLE CURRENT_USER IN DATABASE ${database.name} RESET ALL`);
  const pooler = await PgBouncer.before(database.url, settings);
  closing.push(() => pooler.close());
  return { pooled: pooler.urlOf(database.url), direct: database.url };
}

/** The pooler may still lend a connection that `run` has just ended: that is tried again. */
const open = (databaseUrl: string) =>
  openDatabase(
    { databaseUrl, dataDir: '/nowhere', databaseWaitS: 10 },
    { role: 'server', log: () => undefined },
  );

const nameOf = (url: string) => new URL(url).pathname.slice(1);

/** What an operator does who is told to run this. */
async function run(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  // as RECONNECT does: what the pooler holds was opened before
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  await client.end();
}

/** The statements that a start tells to run. */
async function advice(url: string): Promise<string> {
  const error = (await open(url).catch((reason: unknown) => reason)) as Error;
  expect(error.message).toMatch(/^Connections to the database do not have the settings/);
  return (error.message.match(/ALTER ROLE [^;]*;/g) ?? []).join('\n');
}

(isPgBouncerInstalled ? describe : describe.skip)('PgBouncer (skipped where it is not installed)', () => {
  it('that refuses what a connection asks for ends the start, which says what it has to ignore', async () => {
    const { pooled } = await behindPooler({});
    await expect(open(pooled)).rejects.toThrow(
      'Let it ignore that, in pgbouncer.ini: ignore_startup_parameters = options.',
    );
  });

  it('that ignores it ends the start too, until the role has the settings; then the schema is made through it', async () => {
    const { pooled, direct } = await behindPooler(IGNORING, { empty: true });
    const statements = await advice(pooled);
    expect(statements.split('\n').map((line) => line.replace(/.* SET /, ''))).toEqual([
      `statement_timeout = '3s';`,
      `lock_timeout = '2s';`,
      `idle_in_transaction_session_timeout = '4s';`,
    ]);
    await run(direct, statements);
    const { migrated } = await open(pooled);
    expect(migrated).toHaveLength(migrations.length);
  });

  it('races are decided as they are without it, on fewer connections than the server has', async () => {
    const { pooled, direct } = await behindPooler({ ...IGNORING, default_pool_size: 3 });
    await run(direct, await advice(pooled));
    await open(pooled);
    const { world, close } = await startWorld(pooled, {
      preparedStatements: keepsPreparedStatements,
      databasePoolSize: 20,
    });
    closing.push(close);
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems', maxBalance: 70 });
    await tenant.code({ code: 'WELCOME', rewardReferrer: { gems: 10 }, rewardReferee: { gems: 5 } });
    const [owner, ...claimers] = (await tenant.players(31)) as [Player, ...Player[]];
    const { body } = await world.myCode(owner).expect(201);
    await world.db.query('UPDATE referral_codes SET max_uses = 20 WHERE id = $1', [body.data.id]);
    const twice = [...claimers, ...claimers];
    const answers = await Promise.all(twice.map((claimer) => world.claim(claimer, body.data.code)));
    expect(tally(answers)).toMatchObject({ '201': 20 });
    expect(await world.balance(owner, 'gems')).toBe(70);
    expect(await world.db.query(`SELECT FROM reward_grants WHERE status <> 'granted'`)).toEqual([]);
    await expectInvariants(world.db);
  });

  it('an index that takes longer than the role may is built past it', async () => {
    const { pooled, direct } = await behindPooler(IGNORING);
    await run(
      direct,
      `ALTER ROLE CURRENT_USER IN DATABASE ${nameOf(direct)} SET statement_timeout = '300ms'`,
    );
    const reader = new Client({ connectionString: direct });
    await reader.connect();
    closing.push(() => reader.end());
    // which every build waits for
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM projects');
    const newer = { migrations: [...migrations, ClaimTimes9795300000001] };
    await expect(migrate(pooled, newer)).rejects.toThrow(
      'The migration ClaimTimes9795300000001 takes longer than statement_timeout lets it, which a pooler keeps it from lifting. Run npm run migrate',
    );
    await reader.query('COMMIT');
    expect(await migrate(direct, newer)).toEqual([ClaimTimes9795300000001.name]);
  });
});

it('a migration waits for its turn as long as it takes, whatever its role is limited to', async () => {
  const database = await cloneDatabase({ empty: true });
  closing.push(database.discard);
  await run(
    database.url,
    ['statement_timeout', 'lock_timeout']
      .map((name) => `ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET ${name} = '300ms';`)
      .join(''),
  );
  const other = new Client({ connectionString: database.url });
  await other.connect();
  await other.query(`SET statement_timeout = 0; SELECT pg_advisory_lock(4826310957)`);
  const migrating = migrate(database.url);
  await other.query(`SELECT pg_sleep(1); SELECT pg_advisory_unlock(4826310957)`);
  await other.end();
  expect(await migrating).toHaveLength(migrations.length);
});
