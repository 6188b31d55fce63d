import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres';
import { migrate } from '../../src/database/migrate';
import { waitForDatabase } from '../../src/database/remote-postgres';
import { isPgBouncerInstalled, PgBouncer } from './pgbouncer';
import { stopWhenWeAreKilled } from './watchdog';

export interface TestServer {
  embedded?: EmbeddedPostgres;
  dataDir?: string;
  url: string;
  template: string;
  /** With `TEST_PGBOUNCER=true`: what every application's way to its database goes through. */
  pooler?: PgBouncer;
}

declare global {
  var testServer: TestServer;
}

/** One PostgreSQL for the whole run (`TEST_DATABASE_URL`, else our own), with a migrated database to clone. */
export default async function setUp(): Promise<void> {
  const template = `amba_test_${randomUUID().slice(0, 8)}`;
  const given = process.env.TEST_DATABASE_URL;
  if (given) {
    await waitForDatabase(given, () => Promise.resolve(), { waitS: 10, log: console.log });
    globalThis.testServer = { url: given, template };
  } else {
    const dataDir = mkdtempSync(join(tmpdir(), 'amba-test-'));
    // PostgreSQL may have to run under another account, which must find its way in
    chmodSync(dataDir, 0o755);
    const embedded = await EmbeddedPostgres.open(dataDir, 'server', { throwaway: true });
    stopWhenWeAreKilled(dataDir);
    globalThis.testServer = { embedded, dataDir, url: embedded.url, template };
  }
  const { url } = globalThis.testServer;
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${template}`);
  await client.end();
  await migrate(databaseUrl(url, template));
  process.env.TEST_SIGHTINGS = join(mkdtempSync(join(tmpdir(), 'amba-seen-')), 'sightings');
  if (process.env.TEST_PGBOUNCER === 'true') globalThis.testServer.pooler = await startPooler(url);
  process.env.TEST_SERVER = JSON.stringify({
    url,
    template,
    poolerUrl: globalThis.testServer.pooler?.urlOf(url),
  });
}

/** @throws Error where there is none: whoever asked for it must not believe that it was used */
function startPooler(url: string): Promise<PgBouncer> {
  if (!isPgBouncerInstalled) throw new Error('TEST_PGBOUNCER=true needs a pgbouncer on the PATH');
  return PgBouncer.before(url, {
    ...{ ignore_startup_parameters: 'options', default_pool_size: 50, max_client_conn: 2000 },
    // databases come and go, and nobody may be connected to one that goes
    server_idle_timeout: 1,
  });
}

export function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}
