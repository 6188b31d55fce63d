import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { findInstallation, type Installation } from '../../src/database/embedded-binaries';
import { start, stop } from '../../src/database/embedded-cluster';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres';
import { migrate } from '../../src/database/migrate';
import { stopWhenWeAreKilled } from './watchdog';

/** What belongs to the process that runs on a cluster, not to its data. */
const OF_THE_PROCESS = ['postmaster.pid', 'postmaster.opts'];

/** A migrated PostgreSQL of one's own and a hot standby that streams from it, both of the embedded binaries. */
export class PrimaryAndStandby {
  private constructor(
    private readonly primary: EmbeddedPostgres,
    private readonly standby: Installation,
    readonly standbyUrl: string,
    private readonly guarded: { folder: string; watchdog: ChildProcess }[],
  ) {}

  static async start(): Promise<PrimaryAndStandby> {
    const folders = ['primary', 'standby'].map((name) => {
      const folder = mkdtempSync(join(tmpdir(), `amba-${name}-`));
      chmodSync(folder, 0o755);
      return folder;
    }) as [string, string];
    const primary = await EmbeddedPostgres.open(folders[0], 'server', { throwaway: true });
    // what is acknowledged is written, as it is unless somebody switches it off
    await withClient(primary.url, async (client) => {
      await client.query('ALTER SYSTEM SET synchronous_commit = on');
      await client.query('SELECT pg_reload_conf()');
    });
    await migrate(primary.url);
    const standby = findInstallation(folders[1]);
    await copyCluster(primary.url, standby);
    const url = new URL(primary.url);
    url.port = String(await freePort());
    await start(standby, Number(url.port));
    const guarded = folders.map((folder) => ({ folder, watchdog: stopWhenWeAreKilled(folder) }));
    return new PrimaryAndStandby(primary, standby, url.href, guarded);
  }

  get primaryUrl(): string {
    return this.primary.url;
  }

  /** Asks the standby. */
  async ask<Row extends object>(sql: string): Promise<Row[]> {
    return withClient(this.standbyUrl, async (client) => (await client.query<Row>(sql)).rows);
  }

  /** Until the standby has what the primary has committed by now. */
  async caughtUp(): Promise<void> {
    const flushed = 'SELECT pg_current_wal_flush_lsn()::text AS lsn';
    const [{ lsn }] = await withClient(
      this.primaryUrl,
      async (client) => (await client.query<{ lsn: string }>(flushed)).rows as [{ lsn: string }],
    );
    const look = `SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS is_there`;
    while ((await this.ask<{ is_there: boolean }>(look))[0]?.is_there !== true) await sleep(10);
  }

  stopStandby(): Promise<void> {
    return stop(this.standby, 'fast', '-w');
  }

  async close(): Promise<void> {
    await this.stopStandby().catch(() => undefined);
    await this.primary.close();
    rmSync(this.standby.home, { recursive: true, force: true });
    for (const { folder, watchdog } of this.guarded) {
      watchdog.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** A backup of a running cluster, as the documentation of PostgreSQL has it made with the functions for it. */
async function copyCluster(primaryUrl: string, to: Installation): Promise<void> {
  const data = join(to.home, 'data');
  await withClient(primaryUrl, async (client) => {
    const { rows } = await client.query<{ path: string }>(
      `SELECT current_setting('data_directory') AS path FROM pg_backup_start('standby', true)`,
    );
    cpSync(rows[0]?.path ?? '', data, {
      recursive: true,
      filter: (path) => !OF_THE_PROCESS.includes(basename(path)),
    });
    const stopped = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    writeFileSync(join(data, 'backup_label'), stopped.rows[0]?.labelfile ?? '');
  });
  const { hostname, port, username, password } = new URL(primaryUrl);
  const link = `host=${hostname} port=${port} user=${username} password=${password}`;
  appendFileSync(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${link}'\n`);
  writeFileSync(join(data, 'standby.signal'), '');
  if (to.account === undefined) return;
  const { uid, gid } = to.account;
  const paths = readdirSync(data, { recursive: true, encoding: 'utf8' }).map((path) => join(data, path));
  for (const path of [data, ...paths]) chownSync(path, uid, gid);
}

async function withClient<T>(connectionString: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
