import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { countOf, METRICS_TOKEN, removeDue, removedRows } from './support/housekeeping';
import { cloneDatabase, onWorld, startWorld, type World } from './support/world';

/** A run: in batches, by any number of instances, and of nothing but what may go. */

const REMOVED_FROM = [
  ...['refresh_tokens', 'sessions', 'developer_sessions', 'claim_idempotency_keys', 'integrity_runs'],
];

const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
afterEach(() => errors.mockClear());
afterAll(() => errors.mockRestore());

describe('many rows', () => {
  const SESSIONS = 1_200;

  /** All of them due, each with a refresh token, of one user. */
  async function insertSessions(world: World): Promise<void> {
    const { id: projectId } = await world.tenant();
    await world.db.query(
      `WITH u AS (INSERT INTO app_users (project_id, display_name) VALUES ($1, 'Player') RETURNING id),
            s AS (INSERT INTO sessions (project_id, user_id) SELECT $1, id FROM u, generate_series(1, ${SESSIONS}) RETURNING id)
       INSERT INTO refresh_tokens (project_id, session_id, digest, created_at, expires_at)
       SELECT $1, id, sha256(id::text::bytea), now() - interval '211 days', now() - interval '121 days' FROM s`,
      [projectId],
    );
  }

  it('go once each, whichever of several instances comes first', async () => {
    const database = await cloneDatabase();
    const instances = await Promise.all(
      [1, 2, 3].map(() => startWorld(database.url, { metricsToken: METRICS_TOKEN })),
    );
    const worlds = instances.map(({ world }) => world) as [World, World, World];
    await insertSessions(worlds[0]);
    await Promise.all(worlds.flatMap((each) => [removeDue(each), removeDue(each)]));
    for (const table of ['refresh_tokens', 'sessions']) {
      const removed = await Promise.all(worlds.map((each) => removedRows(each, table)));
      const all = removed.reduce((sum, rows) => sum + rows, 0);
      expect([table, all, await countOf(worlds[0], table)]).toEqual([table, SESSIONS, 0]);
    }
    expect(errors).not.toHaveBeenCalled();
    for (const { close } of instances) await close();
    await database.drop();
  });

  it('that belong to one session go, and the session stays', () =>
    onWorld({ metricsToken: METRICS_TOKEN }, async (world) => {
      const tenant = await world.tenant();
      const player = await tenant.player();
      await world.db.query(
        `INSERT INTO refresh_tokens (project_id, session_id, digest, created_at, used_at, expires_at)
         SELECT s.project_id, s.id, sha256(n::text::bytea), at, at, at + interval '90 days'
           FROM sessions s, generate_series(1, 1200) n, LATERAL (SELECT now() - interval '121 days' AS at) past`,
      );
      await removeDue(world);
      expect([await countOf(world, 'refresh_tokens'), await removedRows(world, 'refresh_tokens')]).toEqual([
        1, 1200,
      ]);
      await world.http.get('/v1/client/users/me').set(player.headers).expect(200);
    }));

  it('go in batches of 500, and at a shutdown no batch follows the one under way', () =>
    onWorld({}, async (world) => {
      await insertSessions(world);
      const stopping = new AbortController();
      const { logger } = world.db;
      logger.logQuery = (text) => {
        if (text.includes('DELETE FROM sessions')) stopping.abort();
      };
      for (const run of ['the one that is stopped', 'one after it']) {
        await removeDue(world, stopping.signal);
        expect([run, await countOf(world, 'refresh_tokens'), await countOf(world, 'sessions')]).toEqual([
          ...[run, 700, 700],
        ]);
      }
    }));
});

it('a table that fails is logged once a run, and holds up no other', () =>
  onWorld({}, async (world) => {
    const tenant = await world.tenant();
    await tenant.code({ code: 'PROMO' });
    await world.claim(await tenant.player(), 'PROMO', { 'idempotency-key': 'old' }).expect(201);
    await world.db.query(`UPDATE claim_idempotency_keys SET created_at = now() - interval '31 days'`);
    await world.db.query('ALTER TABLE sessions RENAME TO mislaid');
    await removeDue(world);
    const failure = 'relation "sessions" does not exist';
    expect(errors.mock.calls).toEqual([
      [`Old rows of refresh_tokens and sessions could not be removed: ${failure}`],
    ]);
    expect(await countOf(world, 'claim_idempotency_keys')).toBe(0);
    await world.db.query('ALTER TABLE mislaid RENAME TO sessions');
  }));

it('what is removed is counted at /metrics, from 0 on', () =>
  onWorld({ metricsToken: METRICS_TOKEN }, async (world) => {
    const counts = await Promise.all(REMOVED_FROM.map((table) => removedRows(world, table)));
    expect(counts).toEqual(REMOVED_FROM.map(() => 0));
  }));

describe('after ten years', () => {
  /** Something of everything that grows. */
  async function live(world: World): Promise<void> {
    const { email, password } = await world.developer();
    await world.http.post('/v1/auth/developer/login').send({ email, password }).expect(200);
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const [player, other] = [await tenant.player(), await tenant.player()];
    await world.myCode(player).expect(201);
    await world.claim(player, 'PROMO', { 'idempotency-key': 'once' }).expect(201);
    await world.http
      .post(`/v1/admin/projects/${tenant.id}/currencies/grant`)
      .set({ ...tenant.server, 'idempotency-key': 'by-hand' })
      .send({ app_user_id: other.id, currency_code: 'gems', amount: 5, reason: 'kindness' })
      .expect(201);
    await world.db.query(
      `INSERT INTO integrity_runs (due_at, finished_at, report)
       SELECT now() - n * interval '1 hour', now(), '[]' FROM generate_series(1, 2) n`,
    );
  }

  /** Moves all that happened, past the guards that forbid it. The rollups have not begun. */
  async function passTenYears(world: World): Promise<void> {
    const tables: { name: string; moved: string }[] = await world.db.query(
      `SELECT table_name AS name, string_agg(format('%1$I = %1$I - interval ''10 years''', column_name), ', ') AS moved
         FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' AND table_name <> 'analytics_progress'
        GROUP BY 1`,
    );
    const moves = tables.map(({ name, moved }) => `UPDATE ${name} SET ${moved};`).join('\n');
    await world.db.query(`BEGIN; SET LOCAL session_replication_role = replica; ${moves} COMMIT`);
  }

  async function rowsByTable(world: World): Promise<Record<string, number>> {
    const tables: { name: string }[] = await world.db.query(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    );
    const counts = tables.map(async ({ name }) => [name, await countOf(world, name)] as const);
    return Object.fromEntries(await Promise.all(counts));
  }

  it('these rows are gone, and all others are there', () =>
    onWorld({}, async (world) => {
      await live(world);
      await passTenYears(world);
      const before = await rowsByTable(world);
      expect(before).toMatchObject({
        ...{ refresh_tokens: 2, sessions: 2, developer_sessions: 1, claim_idempotency_keys: 1 },
        ...{ integrity_runs: 2, referral_claims: 1, reward_grants: 1, currency_transactions: 2 },
        ...{ admin_grants: 1, developer_audit_log: 1, personal_access_tokens: 1 },
      });
      expect(before.audit_log).toBeGreaterThan(0);
      await removeDue(world);
      const none = { refresh_tokens: 0, sessions: 0, developer_sessions: 0, claim_idempotency_keys: 0 };
      expect(await rowsByTable(world)).toEqual({ ...before, ...none, integrity_runs: 1 });
    }));

  it('nothing is gone with a retention of 0', () =>
    onWorld({ retentionS: { sessions: 0, idempotencyKeys: 0, integrityRuns: 0 } }, async (world) => {
      await live(world);
      await passTenYears(world);
      const before = await rowsByTable(world);
      await removeDue(world);
      expect(await rowsByTable(world)).toEqual(before);
    }));

  it('the server removes it unasked', () =>
    onWorld({ housekeepingIntervalMs: 100 }, async (world) => {
      await live(world);
      await passTenYears(world);
      for (let tries = 0; tries < 200 && (await countOf(world, 'claim_idempotency_keys')) > 0; tries += 1)
        await sleep(50);
      expect(await countOf(world, 'claim_idempotency_keys')).toBe(0);
    }));
});
