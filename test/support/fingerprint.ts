import type { DataSource } from 'typeorm';

/** Everything that is stored, in one value; but for when a key was last used, which every request may note. */
export async function fingerprint(db: DataSource): Promise<string> {
  const tables = await db.query(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
  );
  const digests = tables.map(
    ({ name }: { name: string }) =>
      `SELECT '${name}' AS name, md5(coalesce(string_agg(r, '' ORDER BY r), '')) AS digest
         FROM (SELECT (to_jsonb(t) - 'last_used_at')::text AS r FROM ${name} t) rows`,
  );
  const rows = await db.query(digests.join(' UNION ALL '));
  return JSON.stringify(rows);
}
