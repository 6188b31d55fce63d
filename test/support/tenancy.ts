/**
 * Tables that belong to no tenant: the tenants themselves, the developers who own them, the records of migrations and of
 * checks, and who has asked how often.
 */
export const GLOBAL_TABLES = [
  ...['projects', 'migrations', 'integrity_runs', 'rate_limits'],
  ...['developers', 'developer_sessions', 'personal_access_tokens', 'developer_audit_log'],
];

/** Ids in tenant tables that are no foreign key, with what they name. */
const FREE_IDS = [
  'currency_transactions.reference_id', // a claim or an admin grant, by the line's source
  'audit_log.actor_id', // a developer, token or key; kept when that is gone
];

/**
 * What in the catalog lets two tenants meet, a sentence each; empty when nothing does. Every table counts as a tenant's
 * that is not listed as global, so that a new one is held to the rules without being named anywhere.
 */
export async function tenancyFaults(db: { query(sql: string, values: unknown[]): Promise<unknown> }) {
  const rows = (await db.query(FAULTS, [GLOBAL_TABLES, FREE_IDS])) as { fault: string }[];
  return rows.map(({ fault }) => fault);
}

const FAULTS = `
WITH tables AS (
  SELECT c.oid, c.relname AS name, c.relname = ANY ($1) AS is_global
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f')),
columns AS (
  SELECT t.oid AS table_oid, t.name AS table_name, t.is_global, a.attname AS name, a.attnum AS no,
         a.atttypid = 'uuid'::regtype AS is_uuid, a.attnotnull AS is_not_null
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped),
foreign_keys AS (
  SELECT c.conname AS name, c.conkey, c.convalidated, c.conrelid, s.is_global, t.is_global AS is_target_global,
         EXISTS (SELECT FROM unnest(c.conkey, c.confkey) AS pair (own, target)
                   JOIN columns o ON o.table_oid = c.conrelid AND o.no = pair.own
                   JOIN columns f ON f.table_oid = c.confrelid AND f.no = pair.target
                  WHERE o.name = 'project_id' AND f.name = CASE t.name WHEN 'projects' THEN 'id' ELSE 'project_id' END
         ) AS carries_tenant
    FROM pg_constraint c JOIN tables s ON s.oid = c.conrelid JOIN tables t ON t.oid = c.confrelid WHERE c.contype = 'f')

SELECT name || ' has no project_id uuid NOT NULL' AS fault FROM tables t WHERE NOT is_global AND NOT EXISTS (
  SELECT FROM columns c WHERE c.table_oid = t.oid AND c.name = 'project_id' AND c.is_uuid AND c.is_not_null)
UNION ALL
SELECT name || ' has no primary key' FROM tables t WHERE NOT is_global
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
UNION ALL
SELECT i.indexrelid::regclass || ' does not begin with project_id' FROM pg_index i JOIN tables t ON t.oid = i.indrelid
 WHERE NOT t.is_global AND (i.indisunique OR i.indisexclusion)
   AND NOT EXISTS (SELECT FROM columns c WHERE c.table_oid = t.oid AND c.no = i.indkey[0] AND c.name = 'project_id')
UNION ALL
SELECT name || ' does not carry project_id on both sides' FROM foreign_keys
 WHERE NOT (is_global AND is_target_global) AND NOT carries_tenant
UNION ALL
SELECT name || ' is not validated' FROM foreign_keys WHERE NOT convalidated
UNION ALL
SELECT c.table_name || '.' || c.name || ' is in no foreign key' FROM columns c
 WHERE NOT c.is_global AND c.is_uuid AND c.name <> 'id' AND c.table_name || '.' || c.name <> ALL ($2)
   AND NOT EXISTS (SELECT FROM foreign_keys f WHERE f.conrelid = c.table_oid AND c.no = ANY (f.conkey))
UNION ALL
SELECT table_name || ' is listed as global and has a project_id' FROM columns WHERE is_global AND name = 'project_id'
UNION ALL
SELECT c.oid::regclass || ' lies outside of the schema public' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('public', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')
ORDER BY 1`;
