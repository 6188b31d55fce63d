import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Fills a project with as many users, codes and claims as are asked for, and three times as many ledger lines. */

/** The users of a grown project have the numbers from here on (`crowd.mjs`); the first is the one whose code a tenth claimed. */
export const FIRST_GROWN = 100_000_000;
/** Those who claimed and whose rewards are due. */
const FIRST_CLAIMER = 200_000_000;

/** As `idSql` of `crowd.mjs`. */
const ID_OF = `
  CREATE OR REPLACE FUNCTION pg_temp.id_of(kind text, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT overlay(overlay(md5(kind || ' ' || n) placing '4' from 13) placing '8' from 17)::uuid
  $$`;

/**
 * @param client a connection of its own
 * @param project `projectId`, with the currencies gems and coins, and how many `users`: even, and 20 at least
 * @param tell is told of each step before it begins
 */
export async function grow(client, { projectId, users }, tell = () => undefined) {
  const given = `growth AS SELECT '${projectId}'::uuid AS project_id, ${users} AS users, ${FIRST_GROWN} AS first`;
  await run(client, { file: 'growth.sql', given, made: 'growth, grown, claimed' }, tell);
  tell('statistics');
  await client.query('VACUUM ANALYZE');
}

/**
 * Makes claims in a grown project that are still to be paid, now. Leaves the statistics as they are: the first to know of a
 * backlog is who works it off.
 *
 * @param project as for `grow`, and how many `claims`, each of which owes two rewards
 */
export async function owe(client, { projectId, users, claims }, tell = () => undefined) {
  const given = `backlog AS SELECT '${projectId}'::uuid AS project_id, ${users} AS users, ${FIRST_GROWN} AS first,
                                   ${claims} AS claims, ${FIRST_CLAIMER} AS first_claimer`;
  await run(client, { file: 'backlog.sql', given, made: 'backlog, owed' }, tell);
}

async function run(client, { file, given, made }, tell) {
  // foreign keys are checked by the invariants afterwards, all at once; CHECKs and unique keys are as ever
  await client.query('SET session_replication_role = replica');
  await client.query(ID_OF);
  await client.query(`CREATE TEMP TABLE ${given}`);
  for (const step of stepsOf(file)) {
    tell(step.slice('-- '.length, step.indexOf('\n')));
    await client.query(step);
  }
  await client.query(`DROP TABLE ${made}`);
  await client.query('SET session_replication_role = origin');
}

/** `-- name`, alone on its line, begins a step; what stands before the first is about all of them. */
function stepsOf(file) {
  const [, ...steps] = readFileSync(join(import.meta.dirname, file), 'utf8').split(/^(?=-- [a-z ]+$)/m);
  return steps;
}
