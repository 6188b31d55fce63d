import { connect } from './postgres.mjs';
import { startServer, stop } from './programs.mjs';
import { addUsers, copyTemplate } from './stage.mjs';

/** What is measured side by side: a program on a database of its own. */

export const FLOOR = 'floor';
const FILES = { [FLOOR]: 'bench/floor.mjs' };
export const PRODUCT = 'dist/src/main.js';

/** So many wrong codes of one user or address that none of them is turned away. */
const UNLIMITED = '1000000';

/** A side that is up. `name` is the floor, or the HTTP adapter of the product; `how` as of `startProgram`. */
export async function openSide(name, { admin, url, crowd }, how) {
  const databaseUrl = await copyTemplate(admin, url, `bench_${name}`);
  const client = await connect(databaseUrl);
  const program = await startProgram(name, databaseUrl, crowd, how);
  return {
    ...{ name, databaseUrl, client, crowd, ...program },
    fresh: { next: crowd.fresh, end: crowd.fresh },
  };
}

/**
 * Another process of this side, on its database by another way.
 *
 * @param how `env` of this process alone, `nodeOptions`, and whether it `isAsked`
 */
export function startProgram(name, databaseUrl, { secret }, { env, ...how } = {}) {
  const settings = {
    ...{ DATABASE_URL: databaseUrl, SESSION_SECRET: secret, HTTP_ADAPTER: FILES[name] ? undefined : name },
    ...{ REQUESTS_PER_ADDRESS: UNLIMITED, REQUESTS_PER_USER: UNLIMITED, REQUESTS_PER_KEY: UNLIMITED },
    ...{ GUESSES_PER_USER: UNLIMITED, GUESSES_PER_ADDRESS: UNLIMITED, ...env },
  };
  return startServer(FILES[name] ?? PRODUCT, settings, how);
}

/** Makes users until so many have done nothing yet. */
export async function ensureFresh({ client, crowd, fresh }, count) {
  const missing = count - (fresh.end - fresh.next);
  if (missing <= 0) return;
  await addUsers(client, crowd.projectId, { from: fresh.end, count: missing });
  fresh.end += missing;
  await client.query('VACUUM ANALYZE app_users, sessions');
}

/** Once the program has stopped, every row must be as it must be, and every reward paid. */
export async function closeSide({ name, client, child }, invariants) {
  await stop(child);
  for (const { number, name: invariant, sql } of invariants) {
    const { rows } = await client.query(sql, [null]);
    if (rows.length > 0)
      throw new Error(`${name}: ${rows.length} rows break invariant ${number}, ${invariant}`);
  }
  const { rows } = await client.query(
    `SELECT count(*)::int AS claims, (SELECT count(*)::int FROM reward_grants WHERE status <> 'granted') AS unpaid
       FROM referral_claims`,
  );
  await client.end();
  return rows[0];
}
