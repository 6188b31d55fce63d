import { StartupError } from '../common/startup-error';
import { MIGRATIONS_TABLE } from './data-source-options';
import { GUARDS } from './guard-digests';
import { queryOnce } from './query-once';

/**
 * The text of a rule, without what PostgreSQL writes another way after a dump and restore, or might in another version:
 * parentheses, casts and spaces.
 */
const normalized = (definition: string) =>
  String.raw`regexp_replace(${definition}, '::[a-z ]+(\[\])?|[()\s]', '', 'g')`;

/**
 * A query for the `name` and the `digest` of each guard that is there and armed. A trigger can be switched off; so can
 * the triggers inside a foreign key, which stays listed as valid; an index can be invalid. NOT NULL is no guard here:
 * before PostgreSQL 18 it had no name.
 */
export const ARMED_GUARDS = `
  SELECT name, left(encode(sha256(convert_to(of_table || ' ' || definition, 'UTF8')), 'hex'), 12) AS digest FROM (
    SELECT relname AS of_table, tgname AS name, ${normalized('pg_get_triggerdef(t.oid, true)')} AS definition
      FROM pg_trigger t JOIN pg_class r ON r.oid = tgrelid
      WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal AND tgenabled IN ('O', 'A')
    UNION ALL SELECT relname, conname, ${normalized('pg_get_constraintdef(c.oid, true)')}
      FROM pg_constraint c JOIN pg_class r ON r.oid = conrelid
      WHERE connamespace = current_schema()::regnamespace AND contype <> 'n' AND convalidated
        AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))
    UNION ALL SELECT r.relname, i.relname, ${normalized('pg_get_indexdef(i.oid, 0, true)')}
      FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class r ON r.oid = indrelid
      WHERE i.relnamespace = current_schema()::regnamespace AND indisunique AND indisvalid
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    UNION ALL SELECT '', proname || '()', prosrc
      FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
  ) guards WHERE of_table <> '${MIGRATIONS_TABLE}'`;

/** What stands in the way of guards that are there: a setting that disarms all of them, rules that write something else. */
const DISARMING = `
  SELECT 'session_replication_role' WHERE current_setting('session_replication_role') = 'replica'
  UNION ALL SELECT rulename FROM pg_rewrite JOIN pg_class r ON r.oid = ev_class
   WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`;

/**
 * A query for the `name` of each guard of a migrated database that is gone, not armed, or another one under the same
 * name, in any connection to the database; and of what disarms them.
 */
export const MISSING_GUARDS = `
  SELECT name FROM (
    SELECT name, digest FROM unnest(${textArray(Object.keys(GUARDS))}, ${textArray(Object.values(GUARDS))}) AS g (name, digest)
    EXCEPT ${ARMED_GUARDS}
  ) missing UNION ALL ${DISARMING} ORDER BY name`;

/**
 * Looks whether the guards that the schema was made with are still there, armed and the same: an operator may have
 * switched one off for a repair, or a restore may have left one out.
 *
 * @throws StartupError naming those that are not
 */
export async function assertGuards(databaseUrl: string): Promise<void> {
  const missing = await queryOnce<{ name: string }>(databaseUrl, MISSING_GUARDS);
  if (missing.length === 0) return;
  throw new StartupError(
    `The database lacks guards that keep claims and balances right, or has others under their names: ${missing.map(({ name }) => name).join(', ')}. ` +
      'Restore them as in migrations/ (a trigger that is switched off: ALTER TABLE … ENABLE TRIGGER …), then start again.',
  );
}

/** The names are our own: plain words without a quote. */
function textArray(names: string[]): string {
  return `ARRAY[${names.map((name) => `'${name}'`).join(', ')}]::text[]`;
}
