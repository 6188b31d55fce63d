import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fchownSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { StartupError } from '../common/startup-error';
import { ensureDataDir, localSecret } from '../config';
import { findInstallation, type Account, type Installation } from './embedded-binaries';

const run = promisify(execFile);

const USER = 'amba';
const DATABASE = 'postgres';
const MAJOR_VERSION = '18';
/** Held by the serving process for as long as it lives, so that two servers never share one data folder. */
const SERVER_LOCK = 4_826_310_958;
const START_TIMEOUT_S = 60;
const START_TRIES = 5;
const RECOVERY_INTERVAL_MS = 1_000;

const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'];
/** For data that is thrown away: nothing waits for the disk. */
const THROWAWAY_SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/** A server claims the database for itself; a command beside it joins it as a guest. */
export type Role = 'server' | 'command';

interface EmbeddedOptions {
  /** For tests: the data need not survive a crash, and is removed at the end. */
  throwaway?: boolean;
}

/**
 * A real PostgreSQL, shipped as an npm package, that keeps its data in the data folder and listens on loopback.
 *
 * A server left behind by a killed process is adopted; one that was killed itself recovers as it starts.
 */
export class EmbeddedPostgres {
  private serverLock?: Client;
  private closing = false;

  private constructor(
    readonly url: string,
    private readonly installation: Installation,
    private readonly how: { role: Role; startedHere: boolean; throwaway: boolean },
  ) {}

  /**
   * Starts the database of the data folder, or joins it when it is running.
   *
   * @throws StartupError when it cannot be started, or (as `server`) when another server has it
   */
  static async open(
    dataDir: string,
    role: Role,
    { throwaway = false }: EmbeddedOptions = {},
  ): Promise<EmbeddedPostgres> {
    ensureDataDir(dataDir);
    const installation = findInstallation(dataDir);
    const password = localSecret(dataDir, 'postgres-password');
    await initialize(installation, password, throwaway);
    const { port, startedHere } = await startOrJoin(installation, password);
    const postgres = new EmbeddedPostgres(urlOf(port, password), installation, {
      role,
      startedHere,
      throwaway,
    });
    if (role === 'server' && !(await postgres.takeServerLock())) {
      throw new StartupError(
        `The data folder ${dataDir} is in use by another server. Stop that one, or set DATA_DIR to another folder.`,
      );
    }
    return postgres;
  }

  /** A server stops its database; a command stops it only if it started it and no server has come since. */
  async close(): Promise<void> {
    this.closing = true;
    const { role, startedHere, throwaway } = this.how;
    const mayStop =
      this.serverLock !== undefined || (role === 'command' && startedHere && (await this.takeServerLock()));
    if (mayStop && isRunning(this.installation)) {
      // Smart, for a command: others that joined meanwhile finish first. The lock is held until no server can come in.
      await stop(this.installation, role === 'server' ? 'fast' : 'smart', '-W').catch(() => undefined);
      await this.serverLock?.end().catch(() => undefined);
      if (isRunning(this.installation)) await stop(this.installation, 'fast', '-w').catch(() => undefined);
    }
    await this.serverLock?.end().catch(() => undefined);
    if (throwaway) rmSync(this.installation.home, { recursive: true, force: true });
  }

  private async takeServerLock(): Promise<boolean> {
    const client = new Client({ connectionString: this.url });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [
      SERVER_LOCK,
    ]);
    if (rows[0]?.taken !== true) {
      await client.end();
      return false;
    }
    this.serverLock = client;
    client.on('end', () => void this.recover());
    return true;
  }

  /**
   * The database went away under us, and the lock with it: starts it again at the same address, which the pool knows.
   * Whoever has the lock by then is its server, and the one to stop it.
   */
  private async recover(): Promise<void> {
    this.serverLock = undefined;
    while (!this.closing && this.serverLock === undefined) {
      await sleep(RECOVERY_INTERVAL_MS, undefined, { ref: false });
      if (this.closing || (await this.takeServerLock().catch(() => undefined)) !== undefined) return;
      await start(this.installation, Number(new URL(this.url).port)).catch(() => undefined);
    }
  }
}

/** Makes the cluster beside its final place and moves it there whole, so that an interrupted start leaves none. */
async function initialize(installation: Installation, password: string, throwaway: boolean): Promise<void> {
  const dataDir = clusterDir(installation);
  const versionFile = join(dataDir, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version === MAJOR_VERSION) return;
    throw new StartupError(
      `${dataDir} was made by PostgreSQL ${version}, this is ${MAJOR_VERSION}. Move it away, or use the earlier release.`,
    );
  }
  const draft = `${dataDir}.${process.pid}`;
  const passwordFile = `${draft}.password`;
  try {
    writePasswordFile(passwordFile, password, installation.account);
    const settings = [...SETTINGS, ...(throwaway ? THROWAWAY_SETTINGS : [])];
    await execute(installation, 'initdb', [
      ...['-D', draft, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`],
      ...['--locale=C', '-E', 'UTF8', ...(throwaway ? ['--no-sync'] : [])],
      ...settings.flatMap((setting) => ['-c', setting]),
    ]);
    if (!existsSync(dataDir)) renameSync(draft, dataDir);
  } catch (error) {
    // a start beside ours may have moved its cluster into place first
    if (!existsSync(versionFile))
      throw new StartupError(`The database could not be made: ${text(error)}`, { cause: error });
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(draft, { recursive: true, force: true });
  }
}

/** The folder belongs to the account: a file that was planted there is neither followed nor overwritten. */
function writePasswordFile(file: string, password: string, account: Account | undefined): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeSync(descriptor, password);
    if (account) fchownSync(descriptor, account.uid, account.gid);
  } finally {
    closeSync(descriptor);
  }
}

async function startOrJoin(
  installation: Installation,
  password: string,
): Promise<{ port: number; startedHere: boolean }> {
  for (let tries = 1; ; tries += 1) {
    const running = runningPort(installation);
    if (running !== undefined && (await serves(urlOf(running, password), clusterDir(installation)))) {
      return { port: running, startedHere: false };
    }
    const port = await freePort();
    try {
      const log = join(installation.home, 'server.log');
      await pgCtl(installation, [
        'start',
        '-w',
        '-t',
        String(START_TIMEOUT_S),
        '-l',
        log,
        '-o',
        `-p ${port}`,
      ]);
      return { port, startedHere: true };
    } catch (error) {
      // Another start may have won, a taken port may be free now, and after `kill -9` of the server its last
      // processes may hold the shared memory for a moment.
      if (tries < START_TRIES) await sleep(tries * 500);
      else
        throw new StartupError(`The database did not start: ${text(error)} ${lastLogLines(installation)}`, {
          cause: error,
        });
    }
  }
}

/** The port of a server that says it is ready, from the lock file that PostgreSQL keeps. */
function runningPort(installation: Installation): number | undefined {
  try {
    const lines = readFileSync(join(clusterDir(installation), 'postmaster.pid'), 'utf8').split('\n');
    return lines[7]?.trim() === 'ready' ? Number(lines[3]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a server answers there, and is the one of this folder: a copied folder names the original's. */
async function serves(url: string, cluster: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ path: string }>(`SELECT current_setting('data_directory') AS path`);
    return realpathSync(rows[0]?.path ?? '') === realpathSync(cluster);
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function isRunning(installation: Installation): boolean {
  return existsSync(join(clusterDir(installation), 'postmaster.pid'));
}

function start(installation: Installation, port: number): Promise<void> {
  const log = join(installation.home, 'server.log');
  return pgCtl(installation, ['start', '-w', '-t', String(START_TIMEOUT_S), '-l', log, '-o', `-p ${port}`]);
}

function stop(installation: Installation, mode: 'fast' | 'smart', wait: '-w' | '-W'): Promise<void> {
  return pgCtl(installation, ['stop', wait, '-t', String(START_TIMEOUT_S), '-m', mode]);
}

function pgCtl(installation: Installation, args: string[]): Promise<void> {
  return execute(installation, 'pg_ctl', ['-D', clusterDir(installation), ...args]);
}

async function execute(
  { binDir, home, account }: Installation,
  program: string,
  args: string[],
): Promise<void> {
  await run(join(binDir, program), args, {
    ...account,
    cwd: home,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

function clusterDir({ home }: Installation): string {
  return join(home, 'data');
}

function urlOf(port: number, password: string): string {
  return `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`;
}

function lastLogLines({ home }: Installation): string {
  const log = join(home, 'server.log');
  return existsSync(log)
    ? `Last lines of ${log}: ${readFileSync(log, 'utf8').trim().split('\n').slice(-3).join(' | ')}`
    : '';
}

function text(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr || message).trim().replaceAll('\n', ' ');
}
