import { execFile, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findInstallation, type Installation } from '../../src/database/embedded-binaries';
import { isRunning, startOrJoin, stop } from '../../src/database/embedded-cluster';

const run = promisify(execFile);

const PROGRAMS = ['initdb', 'pg_ctl', 'postgres', 'pg_dump', 'pg_restore', 'createdb', 'vacuumdb'];
const OLDEST = 15;
const DEBIAN = '/usr/lib/postgresql';

/** Where a PostgreSQL is installed with its client programs, as an operator has them; undefined where none is. */
export const installedPrograms = [
  ...(process.env.PATH ?? '').split(delimiter),
  ...(existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : []),
].find(
  (folder) => PROGRAMS.every((program) => existsSync(join(folder, program))) && versionIn(folder) >= OLDEST,
);

function versionIn(folder: string): number {
  const { stdout } = spawnSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)/.exec(stdout)?.[1]);
}

/** A PostgreSQL of a test's own, with settings of its own, whose files may be copied, bent and thrown away. */
export class Cluster {
  url = '';

  private constructor(
    private readonly folder: string,
    private readonly installation: Installation,
  ) {}

  /**
   * Made and started.
   *
   * @param settings lines of its configuration
   * @param binDir the programs to run; those that npm installed when not given
   */
  static async make(settings: (cluster: Cluster) => string[], binDir?: string): Promise<Cluster> {
    const cluster = Cluster.place(binDir);
    await cluster.run('initdb', [
      ...['-D', cluster.data, '-U', 'amba', '-A', 'trust', '--locale=C', '-E', 'UTF8', '--no-sync'],
    ]);
    cluster.configure([`listen_addresses = '127.0.0.1'`, `unix_socket_directories = ''`, 'fsync = off']);
    cluster.configure(settings(cluster));
    try {
      await cluster.start();
      return cluster;
    } catch (error) {
      await cluster.remove();
      throw error;
    }
  }

  /** Only its folder. */
  static place(binDir?: string): Cluster {
    const folder = mkdtempSync(join(tmpdir(), 'amba-cluster-'));
    chmodSync(folder, 0o755);
    const found = findInstallation(folder);
    return new Cluster(folder, { ...found, binDir: binDir ?? found.binDir });
  }

  get data(): string {
    return join(this.installation.home, 'data');
  }

  /** A folder beside the data that PostgreSQL may write to. */
  beside(name: string): string {
    const path = join(this.installation.home, name);
    mkdirSync(path, { recursive: true });
    const { account } = this.installation;
    if (account) chownSync(path, account.uid, account.gid);
    return path;
  }

  configure(lines: string[]): void {
    appendFileSync(join(this.data, 'postgresql.conf'), lines.map((line) => `${line}\n`).join(''));
  }

  /** A file among the data, of PostgreSQL's account. */
  write(name: string, text: string): void {
    const path = join(this.data, name);
    writeFileSync(path, text);
    const { account } = this.installation;
    if (account) chownSync(path, account.uid, account.gid);
  }

  async start(): Promise<void> {
    const { port } = await startOrJoin(this.installation, 'unused');
    this.url = `postgres://amba@127.0.0.1:${port}/postgres`;
  }

  /** The files as they are in this moment, without the log: a server that runs may have to do with a file that goes meanwhile. */
  async copyTo(other: Cluster): Promise<void> {
    await this.run('/bin/cp', ['-R', this.data, other.data]).catch((error: { stderr: string }) => {
      if (!/^(cp: .*No such file or directory\n)+$/.test(error.stderr)) throw error;
    });
    for (const file of readdirSync(join(other.data, 'pg_wal')))
      rmSync(join(other.data, 'pg_wal', file), { recursive: true });
    await this.run('/bin/mkdir', [join(other.data, 'pg_wal/archive_status')]);
    rmSync(join(other.data, 'postmaster.pid'));
  }

  /** One of PostgreSQL's programs, or (with a path) another one, under PostgreSQL's account. */
  private async run(program: string, args: string[]): Promise<void> {
    const { binDir, home, account } = this.installation;
    const path = program.includes('/') ? program : join(binDir, program);
    await run(path, args, { ...account, cwd: home, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } });
  }

  async query<Row extends object>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async remove(): Promise<void> {
    if (isRunning(this.installation)) await stop(this.installation, 'fast', '-w');
    rmSync(this.installation.home, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}
