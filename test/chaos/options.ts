import { Command, InvalidArgumentError } from 'commander';
import { randomInt } from 'node:crypto';

export interface Options {
  /** How long clients work and faults strike; the set-up, the drain and the verdict come on top. */
  seconds: number;
  seed: number;
  /** Processes that serve clients; one more only sweeps. */
  apps: number;
  clients: number;
  withoutPromises: boolean;
  expectLost: boolean;
  keep: boolean;
  json?: string;
}

const REPEATABLE = `
The seed decides what is done: which faults, at which points, in which order and with which pauses; what each client
claims and grants, how often it asks and when it gives up. When a fault strikes is up to the machine, since it waits for
the first transaction that reaches its point: the same seed is the same plan, not the same microsecond. The run needs
nothing but what npm ci installs: it brings its own PostgreSQL, which is durable (fsync on), and removes it when all is
well.

The exit code is 0 when nothing acknowledged is missing, no reward is lost or doubled, no invariant is broken, nobody
was told something wrong and, in a run of 60 seconds or more, every fault has struck at every point;
else 1.`;

export function readOptions(argv: string[]): Options {
  const options = new Command('npm run chaos --')
    .description(
      'Kills app processes, PostgreSQL and the links between them, and shows that no reward is lost.',
    )
    .option('--seconds <n>', 'how long faults strike', wholeNumber(5, 86_400), 60)
    .option('--seed <n>', 'repeats a run (default: a random one, which is printed)', wholeNumber(0, 2 ** 31))
    .option('--apps <n>', 'app processes that serve; one more only sweeps', wholeNumber(1, 50), 3)
    .option('--clients <n>', 'clients that claim and retry', wholeNumber(1, 1000), 12)
    .option('--without-promises', 'a test build that pays after the commit and stores no promise', false)
    .option(
      '--expect-lost',
      'succeed exactly when rewards were lost, and nothing else that the build keeps',
      false,
    )
    .option('--keep', 'leave the database and the logs behind in any case', false)
    .option('--json <file>', 'write the report there too')
    .addHelpText('after', REPEATABLE)
    .parse(argv, { from: 'user' })
    .opts<Partial<Pick<Options, 'seed'>> & Omit<Options, 'seed'>>();
  // not a default of commander's: its help would name another one each time
  return { ...options, seed: options.seed ?? randomInt(2 ** 31) };
}

function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
