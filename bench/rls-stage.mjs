import { connect } from './postgres.mjs';
import { connectionFor, SHAPES } from './rls-statements.mjs';

/** The databases that `rls.mjs` measures on: the same rows in each, with and without row-level security. */

const PROJECTS = 10;
/** Of each project: people who own a code, and people who claim. */
const OWNERS = 200;
const CLAIMERS = 200;
/** So many claims are there before, or plans would be made for empty tables. */
export const CLAIMED = 2_000;
/** How the server logs in: no superuser and no owner, so that policies count. The same without them, to be fair. */
export const SERVER_ROLE = 'bench_server';
/** For work across tenants. */
export const OPERATOR_ROLE = 'bench_operator';
/** Reads everything, and becomes the server's role for its transactions: alone it may not write. */
const WRITER_ROLE = 'bench_writer';
const PASSWORD = 'bench';

/** A setting that was local to a transaction is empty after it, not unset. */
const TENANT = `nullif(current_setting('app.project_id', true), '')::uuid`;
/** What a policy compares the tenant with: evaluated once for a statement, or for every row. */
export const CONDITIONS = { once: `(SELECT ${TENANT})`, each: TENANT };

/**
 * Seeds a migrated database with projects, users, codes and sessions.
 *
 * @param credentials makes API keys and session tokens as the server does
 * @returns for each project its key, and the ids of its codes and claimers
 */
export async function seed(url, { generateKey, digestOf, signSession }) {
  const client = await connect(url);
  const projects = [];
  for (let i = 0; i < PROJECTS; i += 1) {
    const { rows } = await client.query(`INSERT INTO projects (name) VALUES ('Bench') RETURNING id`);
    const { id } = rows[0];
    const key = generateKey();
    await client.query(
      `INSERT INTO api_keys (project_id, key_type, environment, prefix, digest)
       VALUES ($1, 'client', 'production', 'bench', $2)`,
      [id, digestOf(key)],
    );
    await client.query(
      `INSERT INTO currencies (project_id, code, name) VALUES ($1, 'gems', 'Gems'), ($1, 'coins', 'Coins')`,
      [id],
    );
    const codes = await client.query(
      `WITH owner AS (INSERT INTO app_users (project_id, display_name)
                      SELECT $1, 'Owner' FROM generate_series(1, $2) RETURNING project_id, id)
       INSERT INTO referral_codes (project_id, user_id, code, reward_referrer, reward_referee)
       SELECT project_id, id, 'CODE-' || row_number() OVER (), '{"gems":50}', '{"coins":25}' FROM owner
       RETURNING code_canonical AS code`,
      [id, OWNERS],
    );
    const claimers = await client.query(
      `WITH claimer AS (INSERT INTO app_users (project_id, display_name)
                        SELECT $1, 'Claimer' FROM generate_series(1, $2) RETURNING project_id, id),
            own AS (INSERT INTO referral_codes (project_id, user_id, code)
                    SELECT project_id, id, 'OWN-' || row_number() OVER () FROM claimer)
       INSERT INTO sessions (project_id, user_id) SELECT project_id, id FROM claimer RETURNING id, user_id`,
      [id, CLAIMERS],
    );
    const signed = claimers.rows.map(async ({ id: sessionId, user_id: userId }) => ({
      id: userId,
      token: await signSession({ userId, projectId: id, anonymous: false, sessionId }),
    }));
    projects.push({
      id,
      key,
      codes: codes.rows.map(({ code }) => code),
      claimers: await Promise.all(signed),
    });
  }
  await client.query(
    `CREATE ROLE ${OPERATOR_ROLE} BYPASSRLS;
     CREATE ROLE ${SERVER_ROLE} LOGIN PASSWORD '${PASSWORD}' IN ROLE ${OPERATOR_ROLE};
     CREATE ROLE ${WRITER_ROLE} LOGIN PASSWORD '${PASSWORD}' BYPASSRLS NOINHERIT IN ROLE ${SERVER_ROLE}`,
  );
  for (const role of [SERVER_ROLE, OPERATOR_ROLE]) {
    await client.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
  }
  await client.query(
    `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${WRITER_ROLE}; GRANT UPDATE ON api_keys TO ${WRITER_ROLE}`,
  );
  const connection = connectionFor(client, false);
  for (let n = 0; n < CLAIMED; n += 1) await SHAPES.lean(connection, claimNo(n, projects));
  await client.end();
  return projects;
}

/** A copy of the seeded database, with policies unless `condition` is undefined. @returns the server's URL of it */
export async function copyOf(url, name, condition) {
  const admin = await connect(url);
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${new URL(url).pathname.slice(1)}`);
  await admin.end();
  const copy = new URL(url);
  copy.pathname = `/${name}`;
  const client = await connect(copy.href);
  if (condition !== undefined) await protect(client, condition);
  await client.query('VACUUM ANALYZE');
  await client.end();
  Object.assign(copy, { username: SERVER_ROLE, password: PASSWORD });
  if (condition !== undefined) await assertProtected(copy.href);
  return copy.href;
}

/** As the server's URL, for one that is protected in its transactions only. */
export function forWriter(url) {
  return Object.assign(new URL(url), { username: WRITER_ROLE }).href;
}

/** What is measured must be a wall: without a tenant there is nothing to be seen, with one its own rows only. */
async function assertProtected(url) {
  const client = await connect(url);
  const visible = async () =>
    (await client.query('SELECT project_id, count(*) FROM app_users GROUP BY 1')).rows;
  const before = await visible();
  const { rows } = await client.query('SELECT id FROM projects LIMIT 1');
  await client.query(`SELECT set_config('app.project_id', $1, false)`, [rows[0].id]);
  const own = await visible();
  await client.end();
  if (before.length > 0 || own.length !== 1 || own[0].project_id !== rows[0].id) {
    throw new Error('The policies do not separate the tenants');
  }
}

/** Every tenant table but the API keys, which are looked up before the tenant is known. */
async function protect(client, condition) {
  const { rows } = await client.query(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project_id'
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'api_keys'`,
  );
  for (const { name } of rows) {
    await client.query(
      `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY; ALTER TABLE ${name} FORCE ROW LEVEL SECURITY;
       CREATE POLICY ${name}_tenant ON ${name} USING (project_id = ${condition}) WITH CHECK (project_id = ${condition})`,
    );
  }
}

/** The n-th claim: no user claims a code twice, and neighbours differ in project, user and code. */
export function claimNo(n, projects) {
  const project = projects[n % projects.length];
  const turn = Math.floor(n / projects.length);
  const claimer = project.claimers[turn % CLAIMERS];
  const code = project.codes[(Math.floor(turn / CLAIMERS) + turn) % OWNERS];
  if (turn >= CLAIMERS * OWNERS) throw new Error('Every user has claimed every code: seed more');
  return { project, claimer, code };
}
