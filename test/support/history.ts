import type { DataSource } from 'typeorm';

/** Inserts a past that the routes cannot make, since they only know the present, and reads it back to be counted. */

interface PastCode {
  id: string;
  user_id: string | null;
  code: string;
  created_at: string;
}

interface PastClaim {
  id: string;
  referral_code_id: string;
  referrer_id: string | null;
  referee_id: string;
  claimed_at: string;
}

export interface Past {
  users: string[];
  codes: PastCode[];
  claims: PastClaim[];
}

/** Consistent with every invariant: uses are counted, and no claim owes a reward. */
export async function insertPast(db: DataSource, projectId: string, past: Past): Promise<void> {
  const insert = (table: string, columns: string, rows: object[]) =>
    db.query(
      `INSERT INTO ${table} (project_id, ${columns}) SELECT $1, ${columns} FROM json_populate_recordset(NULL::${table}, $2)`,
      [projectId, JSON.stringify(rows)],
    );
  await insert(
    'app_users',
    'id, external_id, display_name, created_at, updated_at, first_seen_at, last_seen_at, properties',
    past.users.map((id) => ({
      ...{ id, external_id: id, display_name: 'Player', properties: {} },
      ...{
        created_at: '2020-01-01Z',
        updated_at: '2020-01-01Z',
        first_seen_at: '2020-01-01Z',
        last_seen_at: '2020-01-01Z',
      },
    })),
  );
  const uses = (id: string) => past.claims.filter((claim) => claim.referral_code_id === id).length;
  const rewards = { reward_referrer: {}, reward_referee: {} };
  await insert(
    'referral_codes',
    'id, user_id, code, created_at, current_uses, reward_referrer, reward_referee',
    past.codes.map((code) => ({ ...code, ...rewards, current_uses: uses(code.id) })),
  );
  await insert(
    'referral_claims',
    'id, referral_code_id, referrer_id, referee_id, claimed_at, reward_referrer, reward_referee',
    past.claims.map((claim) => ({ ...claim, ...rewards })),
  );
}

/** Moves all claims and payments of a project by so many days, past the guards that forbid it. */
export async function moveInTime(db: DataSource, projectId: string, days: number): Promise<void> {
  for (const [table, column] of [
    ['referral_claims', 'claimed_at'],
    ['currency_transactions', 'created_at'],
  ]) {
    await db.query(
      `BEGIN;
       ALTER TABLE ${table} DISABLE TRIGGER ${table}_append_only;
       UPDATE ${table} SET ${column} = ${column} + interval '${days} days' WHERE project_id = '${projectId}';
       ALTER TABLE ${table} ENABLE TRIGGER ${table}_append_only;
       COMMIT`,
    );
  }
}

/** What the analytics route must answer, counted one by one. */
export async function countByHand(
  db: DataSource,
  projectId: string,
  { from, to, top = 10 }: { from: string; to: string; top?: number },
) {
  const day = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day`;
  const codes = await db.query(
    `SELECT user_id, ${day('created_at')} FROM referral_codes WHERE project_id = $1`,
    [projectId],
  );
  const claims = await db.query(
    `SELECT referrer_id, ${day('claimed_at')} FROM referral_claims WHERE project_id = $1 ORDER BY claimed_at, referrer_id`,
    [projectId],
  );
  const paid = await db.query(
    `SELECT code, requested, amount, ${day('t.created_at')} FROM currency_transactions t
       JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
      WHERE t.project_id = $1 AND source = 'referral' ORDER BY code`,
    [projectId],
  );
  type Row = Record<string, any>;
  const within = (rows: Row[]) => rows.filter((row) => row.day >= from && row.day <= to);
  const until = (rows: Row[]) => rows.filter((row) => row.day <= to);
  const referrers = (rows: Row[]): string[] => [
    ...new Set(rows.map((row) => row.referrer_id).filter((id) => id)),
  ];
  const owned = (rows: Row[]) => rows.filter((row) => row.user_id);
  const claimed = (id: string) => within(claims).filter((claim) => claim.referrer_id === id).length;
  const usersWithCode = owned(until(codes)).length;
  const userCodeClaims = within(claims).filter((claim) => claim.referrer_id).length;
  const days: string[] = [];
  for (let at = new Date(`${from}T12:00:00Z`); at.toISOString().slice(0, 10) <= to;) {
    days.push(at.toISOString().slice(0, 10));
    at = new Date(at.getTime() + 86_400_000);
  }
  const sum = (rows: Row[], value: (row: Row) => number) =>
    rows.reduce((total, row) => total + value(row), 0);
  return {
    period: { from, to },
    totals: {
      codes_made: within(codes).length,
      user_codes_made: owned(within(codes)).length,
      claims: within(claims).length,
      user_code_claims: userCodeClaims,
      unique_referrers: referrers(within(claims)).length,
      users_with_code: usersWithCode,
      users_with_claim: referrers(until(claims)).length,
      conversion: usersWithCode ? referrers(until(claims)).length / usersWithCode : null,
      k_factor: usersWithCode ? userCodeClaims / usersWithCode : null,
    },
    rewards: [...new Set<string>(within(paid).map((line) => line.code))].map((code) => {
      const lines = within(paid).filter((line) => line.code === code);
      return {
        currency_code: code,
        granted_count: lines.length,
        clamped_count: lines.filter((line) => line.amount < line.requested).length,
        promised: sum(lines, (line) => line.requested),
        granted: sum(lines, (line) => line.amount),
        clamped: sum(lines, (line) => line.requested - line.amount),
      };
    }),
    // the sort keeps the order of first claims among equals
    top_referrers: referrers(claims)
      .filter((id) => claimed(id) > 0)
      .sort((a, b) => claimed(b) - claimed(a))
      .slice(0, top)
      .map((id) => ({ app_user_id: id, claims: claimed(id) })),
    daily: days.map((day) => ({
      day,
      codes_made: codes.filter((code: Row) => code.day === day).length,
      claims: claims.filter((claim: Row) => claim.day === day).length,
      unique_referrers: referrers(claims.filter((claim: Row) => claim.day === day)).length,
    })),
  };
}
