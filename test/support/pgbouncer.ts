import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_WITHIN_MS = 10_000;

const VERSION = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' });
const [, major = 0, minor = 0] = /^PgBouncer (\d+)\.(\d+)/.exec(VERSION.stdout ?? '') ?? [];

export const isPgBouncerInstalled = VERSION.status === 0;
/** Since 1.21 it can, in transaction mode too. */
export const keepsPreparedStatements = Number(major) > 1 || Number(minor) >= 21;

/** A PgBouncer of one's own, in transaction mode, in front of every database of a server. */
export class PgBouncer {
  private constructor(
    private readonly process: ChildProcess,
    private readonly folder: string,
    private readonly port: number,
  ) {}

  /** @param serverUrl of a user with a password @param settings lines of its ini file */
  static before(serverUrl: string, settings: Record<string, string | number> = {}): Promise<PgBouncer> {
    const { hostname, port } = new URL(serverUrl);
    const lines = {
      ...{ unix_socket_dir: '', auth_type: 'trust', pool_mode: 'transaction', max_client_conn: 1000 },
      ...(keepsPreparedStatements && { max_prepared_statements: 200 }),
      ...{ default_pool_size: 20, ...settings },
    };
    const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
    return PgBouncer.with(
      `[databases]\n* = host=${hostname} port=${port}\n[pgbouncer]\n${text.join('')}`,
      serverUrl,
    );
  }

  /** With the lines of an ini file, but for where it listens and whom it knows: the user of a URL. */
  static async with(ini: string, serverUrl: string): Promise<PgBouncer> {
    const { username, password } = new URL(serverUrl);
    const folder = mkdtempSync(join(tmpdir(), 'amba-pgbouncer-'));
    chmodSync(folder, 0o755);
    const port = await freePort();
    const users = join(folder, 'users.txt');
    writeFileSync(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
    const file = join(folder, 'pgbouncer.ini');
    const own = /^(listen_addr|listen_port|auth_file) = .*\n/gm;
    const lines = { listen_addr: '127.0.0.1', listen_port: port, auth_file: users };
    const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
    writeFileSync(file, ini.replace(own, '') + text.join(''));
    // it refuses to run as root
    const as = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    const child = spawn('pgbouncer', ['-q', ...as, file], { stdio: 'ignore' });
    const bouncer = new PgBouncer(child, folder, port);
    await bouncer.isListening();
    return bouncer;
  }

  /** The way through it to the database of a URL. */
  urlOf(databaseUrl: string): string {
    return Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(this.port) }).href;
  }

  async close(): Promise<void> {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
    rmSync(this.folder, { recursive: true });
  }

  private async isListening(): Promise<void> {
    for (const deadline = Date.now() + READY_WITHIN_MS; ; await sleep(20)) {
      const socket = connect(this.port, '127.0.0.1');
      const isOpen = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'close').then(() => false),
      ]).catch(() => false);
      socket.destroy();
      if (isOpen) return;
      if (Date.now() > deadline || this.process.exitCode !== null)
        throw new Error('PgBouncer does not start');
    }
  }
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
