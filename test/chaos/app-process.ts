import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(__dirname, '../..');
const RESTART_PAUSE_MS = 200;
const STOP_TIMEOUT_MS = 30_000;

interface HowToRun {
  /** What node runs, from the root of the clone. */
  args: string[];
  env: Record<string, string>;
  log: string;
  /** It has another process, or none. */
  onChange: () => void;
}

/** One instance of the product, started again whenever it ends, as a supervisor of processes does. */
export class AppProcess {
  /** Where it serves; undefined while it does not. */
  url: string | undefined;
  starts = 0;
  /** Ends that nobody caused: how it ended while it served. */
  readonly deaths: string[] = [];
  private child: ChildProcess | undefined;
  private isWanted = true;
  private wasKilled = false;

  constructor(
    readonly name: string,
    private readonly how: HowToRun,
  ) {
    this.start();
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** With `kill -9`: what it sends after that was on its way already. @returns false when it was down anyway */
  kill(): boolean {
    if (this.child?.pid === undefined || this.wasKilled) return false;
    this.wasKilled = true;
    this.url = undefined;
    return this.child.kill('SIGKILL');
  }

  /** As a deployment does it: SIGTERM, and a wait for the requests under way. */
  async stop(): Promise<void> {
    this.isWanted = false;
    const { child } = this;
    if (child === undefined) return;
    const exit = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exit;
    clearTimeout(killing);
  }

  private start(): void {
    const log = openSync(this.how.log, 'a');
    const child = spawn(process.execPath, this.how.args, {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        HTTP_ADAPTER: process.env.HTTP_ADAPTER,
        LOG_LEVEL: 'warn',
        ...this.how.env,
      },
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    this.child = child;
    this.how.onChange();
    this.wasKilled = false;
    this.starts += 1;
    let output = '';
    child.stdout?.on('data', (chunk) => {
      output += String(chunk);
      appendFileSync(this.how.log, String(chunk));
      if (!this.wasKilled) this.url ??= /^ {2}API +(\S+)\/v1$/m.exec(output)?.[1];
    });
    child.on('close', (code, signal) => void this.ended(signal ?? String(code)));
  }

  private async ended(how: string): Promise<void> {
    if (this.url !== undefined && this.isWanted) this.deaths.push(how);
    this.url = undefined;
    this.child = undefined;
    this.how.onChange();
    await sleep(RESTART_PAUSE_MS);
    if (this.isWanted) this.start();
  }
}
