import { StartupError } from '../common/startup-error';
import { CONSTRAINTS, TRIGGERS, UNIQUE_INDEXES } from './guard-names';
import { queryOnce } from './query-once';

/**
 * A query for the `name` of each guard that is gone or not armed, in any connection to the database. A trigger can be
 * switched off; so can the triggers inside a foreign key, which stays listed as valid; an index can be invalid.
 */
export const MISSING_GUARDS = `
  SELECT name FROM unnest(${textArray([...TRIGGERS, ...CONSTRAINTS, ...UNIQUE_INDEXES])}) AS name
  EXCEPT SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND t.tgenabled IN ('O', 'A')
  EXCEPT SELECT c.conname FROM pg_constraint c
    WHERE c.connamespace = current_schema()::regnamespace AND c.convalidated
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))
  EXCEPT SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND i.indisunique AND i.indisvalid
  ORDER BY name`;

/**
 * Looks whether the guards that the schema was made with are still there and armed: an operator may have switched
 * one off for a repair, or a restore may have left one out.
 *
 * @throws StartupError naming those that are not
 */
export async function assertGuards(databaseUrl: string): Promise<void> {
  const missing = await queryOnce<{ name: string }>(databaseUrl, MISSING_GUARDS);
  if (missing.length === 0) return;
  throw new StartupError(
    `The database lacks guards that keep claims and balances right: ${missing.map(({ name }) => name).join(', ')}. ` +
      'Restore them as in migrations/ (a trigger that is switched off: ALTER TABLE … ENABLE TRIGGER …), then start again.',
  );
}

/** The names are our own: plain words without a quote. */
function textArray(names: string[]): string {
  return `ARRAY[${names.map((name) => `'${name}'`).join(', ')}]::text[]`;
}
