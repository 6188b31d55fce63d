import pg from 'pg';
import { withTemporaryFolder } from './folder.mjs';

/** What a claim waits for on a server that may lose its power. */
const DURABLE = ['fsync', 'synchronous_commit', 'full_page_writes'];

/**
 * Runs a measurement on an embedded PostgreSQL in a temporary folder that waits for the disk as in production, and
 * removes both.
 *
 * @param EmbeddedPostgres of the built application
 */
export async function withDurablePostgres(EmbeddedPostgres, measure) {
  await withTemporaryFolder(async (folder, atEnd) => {
    const postgres = await EmbeddedPostgres.open(folder, 'server', { throwaway: true });
    atEnd(() => postgres.close());
    const admin = await connect(postgres.url);
    try {
      await setDurable(admin, true);
      await measure(postgres.url, admin);
    } finally {
      await admin.end();
    }
  });
}

export async function connect(url) {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The same server, another database. */
export function urlOfDatabase(url, name) {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** A throw-away database does not wait for the disk: it is told to, and asked until it does. Nor need it while it is filled. */
export async function setDurable(admin, isDurable) {
  const value = isDurable ? 'on' : 'off';
  for (const setting of DURABLE) await admin.query(`ALTER SYSTEM SET ${setting} = ${value}`);
  await admin.query('SELECT pg_reload_conf()');
  for (let isSet = false; !isSet;) {
    const { rows } = await admin.query(
      `SELECT bool_and(setting = $2) AS "isSet" FROM pg_settings WHERE name = ANY ($1)`,
      [DURABLE, value],
    );
    ({ isSet } = rows[0]);
  }
  if (isDurable) await admin.query('CHECKPOINT');
}
