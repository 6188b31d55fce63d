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
import type { Account, Installation } from './embedded-binaries';

/** What initdb and pg_ctl do, on one installation. */

const run = promisify(execFile);

const USER = 'amba';
const DATABASE = 'postgres';
const MAJOR_VERSION = '18';
const START_TIMEOUT_S = 60;
const START_TRIES = 5;

const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'];
/** For data that is thrown away: nothing waits for the disk. */
const THROWAWAY_SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/** Makes the cluster beside its final place and moves it there whole, so that an interrupted start leaves none. */
export async function initialize(
  installation: Installation,
  password: string,
  throwaway: boolean,
): Promise<void> {
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

export async function startOrJoin(
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

export function isRunning(installation: Installation): boolean {
  return existsSync(join(clusterDir(installation), 'postmaster.pid'));
}

export function start(installation: Installation, port: number): Promise<void> {
  const log = join(installation.home, 'server.log');
  return pgCtl(installation, ['start', '-w', '-t', String(START_TIMEOUT_S), '-l', log, '-o', `-p ${port}`]);
}

export function stop(installation: Installation, mode: 'fast' | 'smart', wait: '-w' | '-W'): Promise<void> {
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

export function urlOf(port: number, password: string): string {
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
