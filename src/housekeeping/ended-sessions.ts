import type { DataSource, QueryRunner } from 'typeorm';
import { inTransaction } from '../common/transaction';
import { BATCH_ROWS, type Removal } from './removal';

/** `keptS` after a token is no good any more: neither itself, nor a session token that was handed out with it. */
interface Lifetime {
  keptS: number;
  sessionTtlS: number;
}

/** A token that has expired is refused without a look at its use: that it was used need not be known any longer. */
const IS_OVER = `t.expires_at < now() - make_interval(secs => $1) AND t.created_at < now() - make_interval(secs => $2)`;

/** Everything about a session is decided under the lock on its row; one that is being refreshed is left alone. */
const LOCK = `
  SELECT s.project_id, s.id, s.ctid::text AS place
    FROM refresh_tokens t JOIN sessions s ON s.project_id = t.project_id AND s.id = t.session_id
   WHERE ${IS_OVER} ORDER BY t.expires_at LIMIT ${BATCH_ROWS} FOR UPDATE OF s SKIP LOCKED`;

interface LockedSession {
  project_id: string;
  id: string;
  /** Of its row, which cannot move while it is locked. */
  place: string;
}

/**
 * What is looked up one by one is written so (LATERAL, OFFSET 0): the planner would rather read a table whole. A child that
 * goes, too, is left out of the UPDATE: of two changes to one row in one statement, PostgreSQL promises neither.
 */
const REMOVE_TOKENS = `
  WITH over AS MATERIALIZED (
    SELECT t.*
      FROM unnest($3::uuid[], $4::uuid[]) s (project_id, id) CROSS JOIN LATERAL (
             SELECT t.ctid AS place, t.project_id, t.id FROM refresh_tokens t
              WHERE t.project_id = s.project_id AND t.session_id = s.id AND ${IS_OVER} LIMIT ${BATCH_ROWS}) t
     LIMIT ${BATCH_ROWS}),
  children AS (
    SELECT c.place
      FROM over o CROSS JOIN LATERAL (
             SELECT c.ctid AS place FROM refresh_tokens c
              WHERE c.project_id = o.project_id AND c.parent_id = o.id LIMIT 1) c),
  orphaned AS (
    UPDATE refresh_tokens SET parent_id = NULL
     WHERE ctid = ANY (ARRAY(SELECT place FROM children EXCEPT SELECT place FROM over)))
  DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(SELECT place FROM over))`;

const REMOVE_SESSIONS = `
  DELETE FROM sessions s
   WHERE s.ctid = ANY ($1::tid[])
     AND NOT EXISTS (SELECT FROM refresh_tokens t WHERE t.project_id = s.project_id AND t.session_id = s.id OFFSET 0)`;

/** Sessions of users: a token goes when it is over, the session with its last one, revoked or not. */
export function endedSessions({ keptS, sessionTtlS }: Lifetime): Removal {
  const times = [keptS, keptS + sessionTtlS];
  return {
    tables: ['refresh_tokens', 'sessions'],
    removeBatch: (dataSource: DataSource) =>
      inTransaction(dataSource, async (queryRunner) => {
        const sessions = await lock(queryRunner, times);
        const keys = [sessions.map((session) => session.project_id), sessions.map((session) => session.id)];
        const places = sessions.map((session) => session.place);
        // a statement sees what was committed before it, and these find families that nobody else changes any more
        const removedTokens = await remove(queryRunner, REMOVE_TOKENS, [...times, ...keys]);
        const removedSessions = await remove(queryRunner, REMOVE_SESSIONS, [places]);
        return { refresh_tokens: removedTokens, sessions: removedSessions };
      }),
  };
}

/** Each session once, though several of its tokens may be over. */
async function lock(queryRunner: QueryRunner, times: number[]): Promise<LockedSession[]> {
  const rows = (await queryRunner.query(LOCK, times)) as LockedSession[];
  return [...new Map(rows.map((row) => [row.place, row])).values()];
}

async function remove(queryRunner: QueryRunner, statement: string, values: unknown[]): Promise<number> {
  const [, removed] = (await queryRunner.query(statement, values)) as [object[], number];
  return removed;
}
