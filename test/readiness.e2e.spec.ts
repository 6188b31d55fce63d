import { setTimeout as sleep } from 'node:timers/promises';
import { DONE_MIGRATIONS } from '../src/database/migrate';
import { cloneDatabase, startWorld, useWorld, type World } from './support/world';

/** When `/health/ready` says no. A database that is away and a server that stops: `lifecycle.e2e.spec.ts`. */

const LACKS = 'The database lacks migrations or guards of this version. The log of the server names them.';
const NEWEST = '(SELECT max(timestamp) FROM migrations)';

const ready = (world: World) => world.http.get('/health/ready');

async function until(world: World, status: number): Promise<any> {
  for (const deadline = Date.now() + 25_000; ; await sleep(100)) {
    const answer = await ready(world);
    if (answer.status === status || Date.now() > deadline) return answer;
  }
}

/** Breaks the database under a running server and mends it. Not `useWorld()`: it checks the guards after each test. */
async function broken(sql: { broken: string; mended: string }, test: (world: World) => Promise<void>) {
  const database = await cloneDatabase();
  const { world, close } = await startWorld(database.url);
  await ready(world).expect(200);
  await world.db.query(sql.broken);
  await test(world);
  await world.db.query(sql.mended);
  await until(world, 200);
  await ready(world).expect(200);
  await close();
  await database.drop();
}

const SWITCHED_OFF = {
  broken: 'ALTER TABLE balances DISABLE TRIGGER balances_within_max_balance',
  mended: 'ALTER TABLE balances ENABLE TRIGGER balances_within_max_balance',
};

const FAULTS = {
  'a guard is switched off': SWITCHED_OFF,
  'a guard is gone': {
    broken: 'ALTER TABLE balances DROP CONSTRAINT balances_balance_range',
    mended:
      'ALTER TABLE balances ADD CONSTRAINT balances_balance_range CHECK (balance BETWEEN 0 AND 9007199254740991)',
  },
  'a migration has not run': {
    broken: `UPDATE migrations SET name = name || ' undone' WHERE timestamp = ${NEWEST}`,
    mended: `UPDATE migrations SET name = replace(name, ' undone', '') WHERE timestamp = ${NEWEST}`,
  },
};

/** Each waits for what the server remembers, so they wait together. */
it('is not ready while a guard is switched off or gone, or a migration has not run; and alive', async () => {
  const notReady = async ([fault, sql]: [string, { broken: string; mended: string }]) =>
    broken(sql, async (world) => {
      const { status, body, headers } = await until(world, 503);
      expect({ fault, status, error: body.error }).toEqual({
        ...{ fault, status: 503 },
        error: { code: 'SERVICE_UNAVAILABLE', message: LACKS, request_id: expect.any(String) },
      });
      expect(headers['retry-after']).toBe('1');
      await world.http.get('/health/live').expect(200);
    });
  await Promise.all(Object.entries(FAULTS).map(notReady));
});

it('serves on under a newer schema, whose guards may be others', async () => {
  const newer = `INSERT INTO migrations (timestamp, name) VALUES (9795300000000, 'Newer9795300000000')`;
  const older = `DELETE FROM migrations WHERE timestamp = 9795300000000`;
  const database = await cloneDatabase();
  const { world: before, close: closeBefore } = await startWorld(database.url);
  await before.db.query(SWITCHED_OFF.broken);
  await ready(before).expect(503);
  await before.db.query(newer);
  await until(before, 200);
  await ready(before).expect(200);
  await before.db.query(`${older}; ${SWITCHED_OFF.mended}`);
  await closeBefore();
  await database.drop();
});

describe('the schema', () => {
  const world = useWorld();

  it('is looked at once however many ask', async () => {
    let looks = 0;
    const { logger } = world.db;
    const usual = logger.logQuery.bind(logger);
    logger.logQuery = (text) => void (text === DONE_MIGRATIONS && (looks += 1));
    const answers = await Promise.all(Array.from({ length: 20 }, () => ready(world)));
    logger.logQuery = usual;
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(looks).toBe(1);
  });
});
