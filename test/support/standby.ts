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
    const folders = ['primary', 'standby'].map(newFolder) as [string, string];
    const primary = await EmbeddedPostgres.open(folders[0], 'server', { throwaway: true });
    // what is acknowledged is written, as it is unless somebody switches it off
    await withClient(primary.url, async (client) => {
      await client.query('ALTER SYSTEM SET synchronous_commit = on');
      await client.query('SELECT pg_reload_conf()');
    });
    await migrate(primary.url);
    const { standby, url } = await standbyOf(primary.url, folders[1]);
    const guarded = folders.map((folder) => ({ folder, watchdog: stopWhenWeAreKilled(folder) }));
    return new PrimaryAndStandby(primary, standby, url, guarded);
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
    await hasReplayed(this.standbyUrl, await positionOf(this.primaryUrl));
  }

  stopStandby(): Promise<void> {
    return stop(this.standby, 'fast', '-w');
  }

  startStandby(): Promise<void> {
    return start(this.standby, Number(new URL(this.standbyUrl).port));
  }

  /**
   * A failover that one standby does not follow: `standbyUrl` is a primary from now on, while the work is done with the URL of
   * another standby, which stays with the old primary and has more of its log than the new primary has written.
   */
  async failOver(work: (leftBehindUrl: string) => Promise<void>): Promise<void> {
    const folder = newFolder('left-behind');
    const watchdog = stopWhenWeAreKilled(folder);
    const { standby, url } = await standbyOf(this.primaryUrl, folder);
    this.guarded.push({ folder, watchdog });
    try {
      await this.ask('SELECT pg_promote()');
      const write = `SELECT pg_logical_emit_message(true, '', repeat('.', 1000000))`;
      await withClient(this.primaryUrl, (client) => client.query(write));
      await hasReplayed(url, await positionOf(this.primaryUrl));
      await work(url);
    } finally {
      await stop(standby, 'fast', '-w');
      rmSync(standby.home, { recursive: true, force: true });
    }
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

function newFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `amba-${name}-`));
  chmodSync(folder, 0o755);
  return folder;
}

/** A standby, in this folder, that streams. */
async function standbyOf(
  primaryUrl: string,
  folder: string,
): Promise<{ standby: Installation; url: string }> {
  const standby = findInstallation(folder);
  await copyCluster(primaryUrl, standby);
  const url = new URL(primaryUrl);
  url.port = String(await freePort());
  await start(standby, Number(url.port));
  return { standby, url: url.href };
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

/** Of what a primary has written to its log. */
async function positionOf(primaryUrl: string): Promise<string> {
  const flushed = 'SELECT pg_current_wal_flush_lsn()::text AS lsn';
  return withClient(
    primaryUrl,
    async (client) => (await client.query<{ lsn: string }>(flushed)).rows[0]!.lsn,
  );
}

/** Until a standby is there, or further. */
async function hasReplayed(standbyUrl: string, lsn: string): Promise<void> {
  const look = `SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS is_there`;
  await withClient(standbyUrl, async (client) => {
    while ((await client.query<{ is_there: boolean }>(look)).rows[0]?.is_there !== true) await sleep(10);
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
