import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

interface Counts {
  connected: number;
  closed: number;
  failed: number;
  answered: number;
}

/** How many files and connections a process may have open; node has raised its own limit as far as it goes. */
export function descriptorLimit(): number {
  const { userLimits } = process.report.getReport() as unknown as {
    userLimits?: { open_files?: { soft: number | 'unlimited' } };
  };
  const limit = userLimits?.open_files?.soft ?? 0;
  return limit === 'unlimited' ? Infinity : limit;
}

/** Clients that keep a connection each and send no more than the beginning of a request. */
export class Crowd {
  counts: Counts = { connected: 0, closed: 0, failed: 0, answered: 0 };
  private readonly child: ChildProcess;

  constructor(port: number, size: number, beginning = '') {
    this.child = fork(join(__dirname, 'idle-clients.mjs'), [String(port), String(size), beginning], {
      execArgv: [],
    });
    this.child.on('message', (counts: Counts) => (this.counts = counts));
  }

  /** Resolves when the counts are as asked for; the test's own timeout ends a vain wait. */
  async until(reached: (counts: Counts) => boolean): Promise<Counts> {
    while (!reached(this.counts)) {
      if (this.child.exitCode !== null) throw new Error(`The crowd is gone: ${JSON.stringify(this.counts)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return this.counts;
  }

  leave(): void {
    this.child.kill('SIGKILL');
  }
}
