import type { LoggerService } from '@nestjs/common';
import { pino, type Level, type Logger, type LoggerOptions } from 'pino';
import { currentRequest } from './common/request-context';
import { settledWithin } from './common/settled-within';
import type { Config } from './config';

const STDOUT = 1;
/** A write for each line would cost more than the line. In bytes, and in ms. */
const BATCH = { minLength: 4096, periodicFlush: 100 };
/** What waits for a reader of the log that is too slow. More is dropped, and told when it reads again. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** How long a stop waits for such a reader. */
const CLOSE_TIMEOUT_MS = 1_000;

/** The log of a server, on stdout. */
export interface ServerLog {
  readonly lines: Logger;
  /**
   * Tells who watches a start or a stop: a text, or in production a line of level info with the first line of the text and
   * the fields.
   */
  readonly say: (text: string, fields?: Record<string, string>) => void;
  /** Resolves when the last line is written, or after a second. */
  readonly close: () => Promise<void>;
}

/**
 * Opens the log: in production an object of JSON a line, else short lines for people. A line that is written for a request has
 * its `request_id`. Nothing ever waits for whoever reads it.
 */
export async function openLog({ production, logLevel }: Config): Promise<ServerLog> {
  const options: LoggerOptions = {
    level: logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    mixin: () => {
      const { request_id, trace_id } = currentRequest() ?? {};
      return { request_id, trace_id };
    },
  };
  return production ? openJson(options) : openPretty(options);
}

/** Lines leave together: 4 KiB of them, or what there is after 100 ms. */
function openJson(options: LoggerOptions): ServerLog {
  const stdout = pino.destination({ fd: STDOUT, sync: false, ...BATCH, maxLength: MAX_UNREAD_BYTES });
  const lines = pino(options, stdout);
  // a full disk: what could not be written is tried again with the next lines
  stdout.on('error', () => undefined);
  let lost = 0;
  stdout.on('drop', () => (lost += 1));
  stdout.on('drain', () => {
    if (lost > 0) lines.warn({ lost }, 'Lines of the log are lost: nobody read it fast enough');
    lost = 0;
  });
  return {
    lines,
    say: (text, fields = {}) => lines.info(fields, text.trim().split('\n', 1)[0]),
    close: async () => {
      // not `once`, which fails with a reader that is gone
      const closed = new Promise((resolve) => stdout.on('close', () => resolve(true)));
      stdout.end();
      // or it would wait for its reader when the process exits
      if ((await settledWithin(closed, CLOSE_TIMEOUT_MS)) === undefined) stdout.destroy();
    },
  };
}

async function openPretty(options: LoggerOptions): Promise<ServerLog> {
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({
    ...{ sync: true, singleLine: true, translateTime: 'SYS:HH:MM:ss' },
    ignore: 'method,route,status,address,project_id,user_id,key_id,developer_id',
  });
  return {
    lines: pino(options, stream),
    say: (text) => void process.stdout.write(`${text}\n`),
    close: () => Promise.resolve(),
  };
}

/** What Nest, and all that logs with Nest's `Logger`, writes to the log. At its start Nest tells of every route: for who debugs. */
export class NestLog implements LoggerService {
  readonly log = this.writeAs('debug');
  readonly debug = this.writeAs('debug');
  readonly verbose = this.writeAs('trace');
  readonly warn = this.writeAs('warn');
  readonly error = this.writeAs('error');
  readonly fatal = this.writeAs('fatal');

  constructor(private readonly lines: Logger) {}

  /** Nest gives what there is to say, of some errors the stack, and last who says it. */
  private writeAs(level: Level) {
    return (said: unknown, ...rest: unknown[]) => {
      const name = rest.pop();
      const { msg, ...fields } = fieldsOf(said, rest);
      this.lines[level]({ name, ...fields }, msg);
    };
  }
}

function fieldsOf(said: unknown, [stack]: unknown[]): { msg?: string; stack?: unknown } {
  // of an error its text alone: what else it carries may be secret
  if (said instanceof Error) return { msg: said.message, stack: said.stack };
  return typeof said === 'string' ? { msg: said, stack } : { ...(said as object) };
}
