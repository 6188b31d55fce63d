import { ConsoleLogger, Logger } from '@nestjs/common';
import { pino } from 'pino';

/** Everything that this process says while a file of tests runs: log lines of every level, and whatever is printed. */
export class Output {
  private readonly lines: string[] = [];
  private readonly spies: jest.SpyInstance[] = [];
  private static listening: Output | undefined;

  /** The log of the applications of a file, at its lowest level. It is heard only while somebody listens. */
  static readonly log = pino({ level: 'trace' }, { write: (line) => Output.listening?.lines.push(line) });

  /** From now on, with a log that leaves nothing out; the tests' applications log nothing otherwise. */
  static listen(): Output {
    const output = (Output.listening = new Output());
    for (const stream of [process.stdout, process.stderr]) {
      const spy = jest.spyOn(stream, 'write').mockImplementation((chunk) => {
        output.lines.push(String(chunk));
        return true;
      });
      output.spies.push(spy);
    }
    for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
      const spy = jest.spyOn(console, level).mockImplementation((...said) => {
        output.lines.push(said.map(String).join(' '));
      });
      output.spies.push(spy);
    }
    Logger.overrideLogger(new ConsoleLogger({ logLevels: ['verbose'] }));
    return output;
  }

  stop(): void {
    Output.listening = undefined;
    for (const spy of this.spies) spy.mockRestore();
    Logger.overrideLogger(false);
  }

  /** The lines about requests so far. */
  get requests(): Record<string, unknown>[] {
    return this.lines
      .filter((line) => line.includes('"request_id"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  get text(): string {
    return this.lines.join('\n');
  }
}

const TOKENS = /amb_[a-z]+_[\w-]{16,}|eyJ[\w-]+\.[\w-]+\.[\w-]+/g;
const PASSWORD = /"password":"((?:[^"\\]|\\.)+)"/g;
/** Of a long secret its end is enough: whoever prints a part of one prints too much. */
const TAIL = 24;

/** Secrets that were sent or issued, to be looked for where they must not be. */
export class Secrets {
  private readonly known = new Set<string>();

  add(...secrets: string[]): void {
    for (const secret of secrets) if (secret.length >= 8) this.known.add(secret.slice(-TAIL));
  }

  /** Keys, tokens and passwords in a text that is a request or an answer. */
  addFrom(text: string): void {
    this.add(
      ...(text.match(TOKENS) ?? []),
      ...[...text.matchAll(PASSWORD)].map(([, password = '']) => password),
    );
  }

  get size(): number {
    return this.known.size;
  }

  /** Those that the text holds. */
  in(text: string): string[] {
    return [...this.known].filter((secret) => text.includes(secret));
  }
}
