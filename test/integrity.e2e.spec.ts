import { inTransaction } from '../src/common/transaction';
import { MISSING_GUARDS } from '../src/database/guards';
import { allowLongStatements } from '../src/database/long-statements';
import { DIGESTS } from '../src/integrity/identity.invariants';
import { INVARIANTS } from '../src/integrity/invariants';
import { EDGES } from '../src/integrity/schema.invariants';
import { SignInService } from '../src/users/sign-in.service';
import { dropGuard, SABOTAGES } from './support/sabotage';
import { buildScene, type Scene } from './support/scene';
import { cloneDatabase, startWorld, tally, type TestDatabase, type World } from './support/world';

/** Not `useWorld()`: here invariants are broken on purpose, each in a copy of one healthy database. */
let healthy: TestDatabase;
let scene: Scene;

beforeAll(async () => {
  healthy = await cloneDatabase();
  const { world, close } = await startWorld(healthy.url);
  scene = await buildScene(world);
  await close();
});
afterAll(() => healthy.drop());

let world: World;
let end: () => Promise<void>;

beforeEach(async () => {
  const database = await cloneDatabase({ of: healthy.name });
  const started = await startWorld(database.url, { databasePoolSize: 4 });
  world = started.world;
  end = async () => {
    await started.close();
    await database.discard();
  };
});
afterEach(() => end());

interface Report {
  ok: boolean;
  checked_at: string;
  invariants: { name: string; number: number; ok: boolean; broken_rows: number; rows: object[] }[];
}

const ask = ({ projectId, serverKey }: { projectId: string; serverKey: string } = scene) =>
  world.http
    .get(`/v1/admin/projects/${projectId}/integrity`)
    .set({ authorization: `Bearer ${serverKey}` })
    .expect(200);
const integrity = async (of?: { projectId: string; serverKey: string }): Promise<Report> =>
  (await ask(of)).body.data;
const broken = ({ invariants }: Report) => invariants.filter(({ ok }) => !ok).map(({ name }) => name);

describe('GET /admin/projects/:projectId/integrity', () => {
  it('lists all 24 invariants, and they hold whatever has happened in the project', async () => {
    const report = await integrity();
    expect(broken(report)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.invariants.map(({ number }) => number)).toEqual(
      Array.from({ length: 24 }, (_, i) => i + 1),
    );
    expect(new Set(report.invariants.map(({ name }) => name)).size).toBe(24);
    for (const { name, broken_rows, rows } of report.invariants) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect([broken_rows, rows]).toEqual([0, []]);
    }
    expect(Math.abs(Date.now() - Date.parse(report.checked_at))).toBeLessThan(60_000);
    const [found] = await world.db.query(
      `SELECT count(*) FILTER (WHERE granted < amount) AS clamped, count(*) FILTER (WHERE status = 'pending') AS pending,
              count(*) FILTER (WHERE status = 'dead') AS dead FROM reward_grants WHERE project_id = $1`,
      [scene.projectId],
    );
    expect(found).toEqual({ clamped: 1, pending: 1, dead: 1 });
  });

  it('counts all broken rows and shows 100 of them', async () => {
    await world.db.query(`ALTER TABLE sessions DROP CONSTRAINT sessions_user_fkey`);
    await world.db.query(
      `INSERT INTO sessions (project_id, user_id) SELECT $1, gen_random_uuid() FROM generate_series(1, 150)`,
      [scene.projectId],
    );
    const found = (await integrity()).invariants.find(({ ok }) => !ok);
    expect(found).toMatchObject({ name: 'tenants_apart', broken_rows: 150 });
    expect(found?.rows).toHaveLength(100);
  });

  it('reports a number that no JSON integer can hold, and does not fail over it', async () => {
    await world.db.query(`ALTER TABLE balances DROP CONSTRAINT balances_lifetime_earned_range`);
    await world.db.query(`UPDATE balances SET lifetime_earned = 9223372036854775807 WHERE user_id = $1`, [
      scene.eve.id,
    ]);
    expect(broken(await integrity())).toEqual(['balance_is_ledger_sum', 'guards_armed']);
  });
});

it('a setting that switches off every guard at once is one that is missed', async () => {
  const missing = await inTransaction(world.db, async (queryRunner) => {
    await queryRunner.query(`SET LOCAL session_replication_role = replica`);
    return queryRunner.query(MISSING_GUARDS);
  });
  expect(missing).toEqual([{ name: 'session_replication_role' }]);
});

describe('sabotage is caught', () => {
  it('of every invariant', () => {
    const tested = new Set(SABOTAGES.map(({ breaks }) => breaks));
    expect([...tested].sort()).toEqual(INVARIANTS.map(({ name }) => name).sort());
  });

  it.each(SABOTAGES.map((sabotage) => [sabotage.breaks, sabotage.how, sabotage] as const))(
    '%s: %s',
    async (name, _, { without = [], bend, rows, also: others = [] }) => {
      // a guard that had to go first is missed as well
      const also = [...new Set(without.length > 0 ? [...others, 'guards_armed'] : others)].filter(
        (each) => each !== name,
      );
      expect(broken(await integrity())).toEqual([]);
      for (const sql of [...without.map(dropGuard), ...bend(scene)]) await world.db.query(sql);

      const response = await ask();
      const report: Report = response.body.data;
      expect(report.ok).toBe(false);
      expect(broken(report).sort()).toEqual([name, ...also].sort());
      const found = report.invariants.find((invariant) => invariant.name === name);
      const expected = rows(scene);
      expect(found?.broken_rows).toBe(expected.length);
      expect(found?.rows).toEqual(
        expect.arrayContaining(
          expected.map((row) => expect.objectContaining({ project_id: scene.projectId, ...row })),
        ),
      );
      expect(response.text).not.toMatch(/correct horse|amb_dev_ck|key-1/);
      expect(broken(await integrity(scene.other))).toEqual(
        [name, ...also].filter((each) => each === 'guards_armed'),
      );
    },
  );
});

describe('the lists of the invariants name', () => {
  it('every column that refers to a row of a tenant', async () => {
    const columns = await world.db.query(
      `SELECT DISTINCT r.relname || '.' || a.attname AS name FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
         JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (c.conkey)
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND a.attname NOT IN ('project_id', 'day')
          AND EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = r.oid AND p.attname = 'project_id')`,
    );
    const known = EDGES.map(({ table, column }) => `${table}.${column}`);
    expect(known).toEqual(expect.arrayContaining(columns.map(({ name }: { name: string }) => name)));
  });

  it('every column of bytes, which are digests, but for packed numbers', async () => {
    const columns = await world.db.query(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'bytea'
          AND table_name <> 'analytics_day_referrers' ORDER BY 1`,
    );
    const known = DIGESTS.map(({ table, column }) => ({ name: `${table}.${column}` }));
    expect([...known, { name: 'personal_access_tokens.digest' }]).toEqual(expect.arrayContaining(columns));
  });
});

describe('under traffic', () => {
  it('claims that are made meanwhile break nothing', async () => {
    const users: { id: string }[] = await world.db.query(
      `INSERT INTO app_users (project_id, display_name) SELECT $1, 'Player' FROM generate_series(1, 50) RETURNING id`,
      [scene.projectId],
    );
    const players = await Promise.all(users.map(({ id }) => signIn(id)));
    const claims = Promise.all(players.map((player) => world.claim(player, 'ADA')));
    const reports: Report[] = [];
    while (reports.length < 10) reports.push(await integrity());
    expect(reports.flatMap(broken)).toEqual([]);
    expect(tally(await claims)).toEqual({ '201': 50 });
    expect(broken(await integrity())).toEqual([]);
  });

  /** Without REPEATABLE READ most of the reports contradict themselves. */
  it('two invariants that see the same fault agree, although it comes and goes', async () => {
    let isOver = false;
    const flicker = (async () => {
      while (!isOver) {
        await world.db.query(
          `UPDATE balances SET balance = CASE balance WHEN 9 THEN 10 ELSE 9 END WHERE user_id = $1 AND balance IN (9, 10)`,
          [scene.eve.id],
        );
      }
    })();
    const seen = [];
    for (let i = 0; i < 40; i += 1) seen.push(broken(await integrity()).join());
    isOver = true;
    await flicker;
    expect([...new Set(seen)].sort()).toEqual(['', 'balance_is_ledger_sum,control_totals_agree']);
  });

  it('however many ask, one connection is busy; who asks later is told of a later moment', async () => {
    const blocker = world.db.createQueryRunner();
    await blocker.startTransaction();
    await blocker.query('LOCK TABLE claim_idempotency_keys IN ACCESS EXCLUSIVE MODE');
    const early = integrity();
    await until(async () => (await checksUnderWay()) === 1);
    await world.db.query(
      `UPDATE referral_codes SET current_uses = 3 WHERE project_id = $1 AND code = 'ADA'`,
      [scene.projectId],
    );
    const late = Promise.all(
      Array.from({ length: 20 }, (_, i) => integrity(i % 2 === 0 ? scene : scene.other)),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await checksUnderWay()).toBe(1);
    const busy = await world.http.get('/v1/client/currencies').set(scene.ada.headers).expect(200);
    expect(busy.body.data).toHaveLength(2);
    await blocker.rollbackTransaction();
    await blocker.release();

    expect((await early).ok).toBe(true);
    const reports = await late;
    expect(reports.map(broken)).toEqual(reports.map((_, i) => (i % 2 === 0 ? ['uses_counted'] : [])));
    expect(new Set(reports.map(({ checked_at }) => checked_at)).size).toBe(2);
  });

  it('a check that fails does not stand in the way of the next one', async () => {
    await world.db.query('ALTER TABLE claim_idempotency_keys RENAME TO away');
    const { projectId, serverKey } = scene;
    const response = await world.http
      .get(`/v1/admin/projects/${projectId}/integrity`)
      .set({ authorization: `Bearer ${serverKey}` });
    expect(tally([response])).toEqual({ '500 INTERNAL_ERROR': 1 });
    await world.db.query('ALTER TABLE away RENAME TO claim_idempotency_keys');
    expect((await integrity()).ok).toBe(true);
  });

  it('a statement may outlast the limits of all others, in its own transaction only', async () => {
    const sleep = (seconds: number, timeoutMs: number) =>
      inTransaction(world.db, async (queryRunner) => {
        const statement = await allowLongStatements(queryRunner, timeoutMs);
        return statement('SELECT $1::float8 AS slept FROM pg_sleep($1)', [seconds]);
      });
    expect(await sleep(5.5, 10_000)).toEqual([{ slept: 5.5 }]);
    await expect(sleep(2, 500)).rejects.toMatchObject({ code: '57014' });
    const limits = await Promise.all(
      Array.from({ length: 4 }, () => world.db.query('SHOW statement_timeout')),
    );
    expect(new Set(limits.map(([{ statement_timeout }]) => statement_timeout))).toEqual(new Set(['3s']));
  });
});

async function signIn(userId: string) {
  const { tokens } = await world.app.get(SignInService).known(scene.projectId, userId);
  return {
    id: userId,
    headers: { 'x-api-key': scene.clientKey, authorization: `Bearer ${tokens.sessionToken}` },
  };
}

async function checksUnderWay(): Promise<number> {
  const [{ count }] = await world.db.query(
    `SELECT count(*) AS count FROM pg_stat_activity
      WHERE datname = current_database() AND xact_start IS NOT NULL AND query LIKE 'SELECT count(*) OVER () AS total%' AND pid <> pg_backend_pid()`,
  );
  return count;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
