import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './pgbouncer';

const CONFIGURATION = join(__dirname, '../../deploy/haproxy.cfg');
const WITHIN_MS = 20_000;

export const isHaproxyInstalled = spawnSync('haproxy', ['-v']).status === 0;

/** The proxy of compose.yaml, with its own configuration file, on loopback. */
export class Haproxy {
  private output = '';

  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => (this.output += String(chunk)));
  }

  /** Resolves when it sends requests to an instance. @param ports of the two instances, on loopback */
  static async before(ports: readonly [number, number]): Promise<Haproxy> {
    const listen = `127.0.0.1:${await freePort()}`;
    const [first, second] = ports.map((port) => `127.0.0.1:${port}`);
    const env = { PATH: process.env.PATH, LISTEN: listen, API_1: first, API_2: second };
    const child = spawn('haproxy', ['-db', '-f', CONFIGURATION], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const proxy = new Haproxy(`http://${listen}`, child);
    await proxy.until(
      async () => (await fetch(`${proxy.url}/health/ready`).catch(() => undefined))?.ok ?? false,
    );
    return proxy;
  }

  /** Resolves when its log says so; fails with the log otherwise. */
  says(text: string): Promise<void> {
    return this.until(() => Promise.resolve(this.output.includes(text)));
  }

  private async until(holds: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + WITHIN_MS; !(await holds()); await sleep(50))
      if (this.child.exitCode !== null || Date.now() > deadline) throw new Error(this.output);
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}
