import { connect, urlOfDatabase } from './postgres.mjs';
import { CLAIM } from './floor-statements.mjs';
import { codeOf, CODE_PREFIX, FIRST_READER, idOf, idSql, OWNERS, READERS } from './crowd.mjs';

/** The databases of a measurement: each side has its own, with the same rows. */

const TEMPLATE = 'bench_seed';
/** Made for one request each. */
const FIRST_FRESH = 10_000;
/** Of a referrer and of who claims. */
const REWARDS = `'{"gems":50}', '{"coins":25}'`;
/** So many claims have each reader's code: what a history is read from. */
const CLAIMS_PER_READER = 20;

/**
 * A migrated and seeded database to copy.
 *
 * @param product what the built application migrates and makes keys with
 * @returns what the users' requests carry (`crowd.mjs`), and the number of the first user who did nothing yet
 */
export async function makeTemplate(admin, url, { migrate, generateApiKey, digestOf, secret }) {
  await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  const templateUrl = urlOfDatabase(url, TEMPLATE);
  await migrate(templateUrl);
  const client = await connect(templateUrl);
  const key = generateApiKey('client', 'production');
  const digest = digestOf(key);
  const projectId = await seedProject(client, { key, digest });
  await seedCodes(client, projectId);
  const claims = READERS * CLAIMS_PER_READER;
  await addUsers(client, projectId, { from: FIRST_FRESH, count: claims });
  await seedClaims(client, { projectId, digest, claims });
  await client.end();
  return { projectId, key, secret, fresh: FIRST_FRESH + claims };
}

/** @returns the URL of a copy of the template */
export async function copyTemplate(admin, url, name) {
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  const copy = urlOfDatabase(url, name);
  const client = await connect(copy);
  await client.query('VACUUM ANALYZE');
  await client.end();
  return copy;
}

/** Users with a session each, who have done nothing yet. */
export async function addUsers(client, projectId, { from, count }) {
  await client.query(
    `INSERT INTO app_users (project_id, id, display_name)
     SELECT $1, ${idSql('user', 'n')}, 'Player ' || n FROM generate_series($2::int, $3::int) n`,
    [projectId, from, from + count - 1],
  );
  await client.query(
    `INSERT INTO sessions (project_id, id, user_id)
     SELECT $1, ${idSql('session', 'n')}, ${idSql('user', 'n')} FROM generate_series($2::int, $3::int) n`,
    [projectId, from, from + count - 1],
  );
}

async function seedProject(client, { key, digest }) {
  const { rows } = await client.query(`INSERT INTO projects (name) VALUES ('Bench') RETURNING id`);
  const projectId = rows[0].id;
  await client.query(
    `INSERT INTO api_keys (project_id, key_type, environment, prefix, digest)
     VALUES ($1, 'client', 'production', $2, $3)`,
    [projectId, key.slice(0, 12), digest],
  );
  await client.query(
    `INSERT INTO currencies (project_id, code, name, is_premium)
     VALUES ($1, 'gems', 'Gems', true), ($1, 'coins', 'Coins', false)`,
    [projectId],
  );
  return projectId;
}

/** A template whose rewards new codes take, and the codes of the owners. Both sides of a claim are paid. */
async function seedCodes(client, projectId) {
  await addUsers(client, projectId, { from: 0, count: OWNERS });
  const insert = `INSERT INTO referral_codes (project_id, user_id, code, reward_referrer, reward_referee)`;
  await client.query(`${insert} VALUES ($1, NULL, 'WELCOME', ${REWARDS})`, [projectId]);
  await client.query(
    `${insert} SELECT $1, ${idSql('user', 'n')}, '${CODE_PREFIX}' || n, ${REWARDS} FROM generate_series(0, $2::int) n`,
    [projectId, OWNERS - 1],
  );
}

/** Every code has been claimed; those of the readers often. With the floor's statement, which is the fastest. */
async function seedClaims(client, { projectId, digest, claims }) {
  await client.query('ANALYZE');
  await client.query('BEGIN');
  for (let i = 0; i < claims; i += 1) {
    const user = FIRST_FRESH + i;
    const owner = i < FIRST_READER ? i : FIRST_READER + (i % READERS);
    const { rows } = await client.query({
      name: 'claim',
      text: CLAIM,
      values: [
        ...[digest, projectId, idOf('session', user), idOf('user', user)],
        codeOf(owner).replace('-', ''),
      ],
    });
    if (rows[0]?.refusal !== null) throw new Error(`Claim ${i} was refused: ${rows[0]?.refusal}`);
  }
  await client.query('COMMIT');
}
