import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres';
import { expectInvariantsAt } from './invariants';

const ROOT = join(__dirname, '../..');
const START_TIMEOUT_MS = 60_000;

/** A data folder that another account may enter, as it must when the tests run as root. */
function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'amba-data-'));
  chmodSync(dataDir, 0o755);
  return dataDir;
}

/** Fails when an invariant does not hold in the database that programs made in a data folder and left there. */
async function expectInvariantsIn(dataDir: string): Promise<void> {
  if (!existsSync(join(dataDir, 'postgres/data'))) return;
  const postgres = await EmbeddedPostgres.open(dataDir, 'command');
  await expectInvariantsAt(postgres.url).finally(() => postgres.close());
}

/** Ends the PostgreSQL of a data folder, if it still runs, and removes the folder. */
function removeDataDir(dataDir: string): void {
  const pid = postmasterPid(dataDir);
  if (pid !== undefined) process.kill(pid, 'SIGQUIT');
  const home = join(dataDir, 'postgres');
  if (existsSync(home)) rmSync(realpathSync(home), { recursive: true, force: true, maxRetries: 5 });
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

/** The process id of a PostgreSQL that runs on this data folder. */
export function postmasterPid(dataDir: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

/** Where a built program is and who runs it, if not here and as whoever runs the tests. */
export interface Place {
  folder?: string;
  uid?: number;
  /** A file descriptor to write to, instead of to the test. */
  stdout?: number;
}

/** One of the built programs as its own process, with no environment but what the test gives. */
export class Program {
  output = '';
  readonly exit: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  constructor(
    name: 'main' | 'cli' | 'migrate',
    env: Record<string, string>,
    args: string[] = [],
    { folder = ROOT, uid, stdout }: Place = {},
  ) {
    this.child = spawn(process.execPath, [join(folder, 'dist/src', `${name}.js`), ...args], {
      ...{ cwd: folder, uid, gid: uid },
      env: { PATH: process.env.PATH, HTTP_ADAPTER: process.env.HTTP_ADAPTER, ...env },
      stdio: ['ignore', stdout ?? 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => (this.output += String(chunk)));
    }
    this.exit = new Promise((resolve) =>
      this.child.on('close', (code, signal) => resolve(signal ?? code ?? -1)),
    );
  }

  /** Reads no more of what it says, or (`gone`) closes the pipe, too. */
  ignore(how: 'unread' | 'gone'): void {
    if (how === 'unread') this.child.stdout?.pause();
    else this.child.stdout?.destroy();
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves when the output contains the text, so often at least; fails with the output when the process ends first. */
  async says(text: string, times = 1): Promise<string> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (this.output.split(text).length <= times) {
      if (this.child.exitCode !== null || this.child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`Did not say "${text}" but:\n${this.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.output;
  }
}

/**
 * Data folders and programs for the tests of one file, ended and removed after each test. What the programs leave in
 * data folders must keep all invariants; a database of `DATABASE_URL` is looked at by whoever drops it.
 */
export function usePrograms() {
  const dataDirs: string[] = [];
  const programs: Program[] = [];
  const used = new Set<string>();

  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.kill('SIGKILL');
      await program.exit;
    }
    try {
      for (const dataDir of used) await expectInvariantsIn(dataDir);
    } finally {
      used.clear();
      for (const dataDir of dataDirs.splice(0)) removeDataDir(dataDir);
    }
  });

  return {
    newDataDir: (): string => {
      const dataDir = makeDataDir();
      dataDirs.push(dataDir);
      return dataDir;
    },
    run: (name: 'main' | 'cli' | 'migrate', env: Record<string, string>, ...args: string[]): Program => {
      const program = new Program(name, { PORT: '0', ...env }, args);
      programs.push(program);
      if (env.DATA_DIR !== undefined) used.add(env.DATA_DIR);
      return program;
    },
  };
}
