import type { DataSource, QueryRunner } from 'typeorm';
import type { GrantStatus, Side } from './reward-grants';

/** The statements that read `reward_grants` for an operator, newest first. */

export interface GrantFilter {
  status?: GrantStatus;
  /** Promised at this time or later, as ISO 8601. */
  from?: string;
  /** Promised before this time. */
  to?: string;
  claim_id?: string;
  app_user_id?: string;
  currency_code?: string;
}

/** One promised reward and what became of it. */
export interface GrantRow {
  id: string;
  claim_id: string;
  side: Side;
  app_user_id: string;
  currency_code: string;
  promised: number;
  granted: number | null;
  clamped: number | null;
  status: GrantStatus;
  attempts: number;
  last_error: string | null;
  next_attempt_at: Date | null;
  transaction: { id: string; balance_after: number; created_at: Date } | null;
  created_at: Date;
  settled_at: Date | null;
}

/** A row as PostgreSQL gives it: the ledger line in columns, the place in the list exact to the microsecond. */
type FlatRow = Omit<GrantRow, 'transaction'> & {
  transaction_id: string | null;
  balance_after: number;
  paid_at: Date;
  place: string;
};

/** Where a list went on to: after the row that was promised then and has this id. */
export interface Cursor {
  place: string;
  id: string;
}

const COLUMNS = `
  g.id, g.claim_id, g.side, g.user_id AS app_user_id, g.currency_code, g.amount AS promised, g.granted,
  g.amount - g.granted AS clamped, g.status, g.attempts, g.last_error,
  CASE g.status WHEN 'pending' THEN g.next_attempt_at END AS next_attempt_at, g.created_at, g.settled_at,
  t.id AS transaction_id, t.balance_after, t.created_at AS paid_at, g.created_at::text AS place`;
const LINES = `LEFT JOIN currency_transactions t ON t.project_id = g.project_id AND t.id = g.transaction_id`;
const NEWEST = 'ORDER BY g.created_at DESC, g.id DESC';
/** What is not asked for falls away when the statement is planned, so that each filter finds its index. */
const MATCH = `g.project_id = $1
  AND ($2::text IS NULL OR g.status = $2)
  AND ($3::timestamptz IS NULL OR g.created_at >= $3)
  AND ($4::timestamptz IS NULL OR g.created_at < $4)
  AND ($5::uuid IS NULL OR g.claim_id = $5)
  AND ($6::uuid IS NULL OR g.user_id = $6)
  AND ($7::text IS NULL OR g.currency_code = $7)`;

function matching(projectId: string, filter: GrantFilter): (string | null)[] {
  const { status, from, to, claim_id, app_user_id, currency_code } = filter;
  return [
    projectId,
    ...[status, from, to, claim_id, app_user_id, currency_code].map((value) => value ?? null),
  ];
}

export async function listGrants(
  dataSource: DataSource,
  projectId: string,
  filter: GrantFilter,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ rows: GrantRow[]; total: number }> {
  const match = matching(projectId, filter);
  const rows = await dataSource.query<FlatRow[]>(
    // the page first: the rows that are passed over need no ledger line
    `SELECT ${COLUMNS} FROM (SELECT * FROM reward_grants g WHERE ${MATCH} ${NEWEST} LIMIT $8 OFFSET $9) g
       ${LINES} ${NEWEST}`,
    [...match, limit, offset],
  );
  const [{ total }] = await dataSource.query<[{ total: number }]>(
    `SELECT count(*) AS total FROM reward_grants g WHERE ${MATCH}`,
    match,
  );
  return { rows: rows.map(toGrantRow), total };
}

/** The next rows of the list, however long it is: found by key, where an offset would count its way there. */
export async function grantsAfter(
  dataSource: DataSource,
  projectId: string,
  filter: GrantFilter,
  { cursor, limit }: { cursor?: Cursor; limit: number },
): Promise<{ rows: GrantRow[]; next?: Cursor }> {
  const rows = await dataSource.query<FlatRow[]>(
    `SELECT ${COLUMNS}
       FROM (SELECT * FROM reward_grants g
              WHERE ${MATCH} AND ($8::timestamptz IS NULL OR (g.created_at, g.id) < ($8, $9::uuid)) ${NEWEST} LIMIT $10) g
       ${LINES} ${NEWEST}`,
    [...matching(projectId, filter), cursor?.place ?? null, cursor?.id ?? null, limit],
  );
  const last = rows.at(-1);
  return {
    rows: rows.map(toGrantRow),
    next: rows.length === limit && last ? { place: last.place, id: last.id } : undefined,
  };
}

export async function findGrant(
  executor: DataSource | QueryRunner,
  projectId: string,
  id: string,
): Promise<GrantRow | undefined> {
  const [row] = (await executor.query(
    `SELECT ${COLUMNS} FROM reward_grants g ${LINES} WHERE g.project_id = $1 AND g.id = $2`,
    [projectId, id],
  )) as FlatRow[];
  return row && toGrantRow(row);
}

/** Those that match, oldest first. */
export async function grantIds(
  queryRunner: QueryRunner,
  projectId: string,
  filter: GrantFilter,
  limit: number,
): Promise<string[]> {
  const rows = (await queryRunner.query(
    `SELECT g.id FROM reward_grants g WHERE ${MATCH} ORDER BY g.created_at, g.id LIMIT $8`,
    [...matching(projectId, filter), limit],
  )) as { id: string }[];
  return rows.map(({ id }) => id);
}

/** Which of these ids the project has. */
export async function knownIds(
  queryRunner: QueryRunner,
  projectId: string,
  ids: string[],
): Promise<Set<string>> {
  const rows = (await queryRunner.query(
    `SELECT id FROM reward_grants WHERE project_id = $1 AND id = ANY($2)`,
    [projectId, ids],
  )) as { id: string }[];
  return new Set(rows.map(({ id }) => id));
}

function toGrantRow({ transaction_id, balance_after, paid_at, place: _, ...row }: FlatRow): GrantRow {
  const transaction =
    transaction_id === null ? null : { id: transaction_id, balance_after, created_at: paid_at };
  return { ...row, transaction };
}
