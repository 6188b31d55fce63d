import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { userInfo } from 'node:os';
import { AppModule } from '../app.module';
import type { Actor } from '../auth/actor';
import { ENVIRONMENTS } from '../auth/api-key';
import { ApiError } from '../common/api-error';
import { violatedRule } from '../common/database-error';
import { StartupError } from '../common/startup-error';
import { loadConfig } from '../config';
import { openDatabase } from '../database/database';
import { ProjectsService } from '../projects/projects.service';

/** The whole command line: the groups of commands add themselves to it. */
export const program = new Command('npm run cli --').description(
  'Administers the projects of this installation.',
);
program.option('--json', 'print the result as JSON, for scripts');

export interface InProject {
  project: string;
}

/** The window of a list that a script wants whole. */
export const EVERYTHING = { limit: 2_147_483_647, offset: 0 };

/** Whom the audit log names. */
export function operator(): Actor {
  return { kind: 'command_line', id: null, name: userInfo().username, address: null, requestId: null };
}

/** A command on one project. */
export function inProject(command: Command): Command {
  return command.requiredOption('--project <id>', 'the id of the project', uuid);
}

export function environmentOption(): Option {
  return new Option('--environment <name>', 'marks the keys').choices(ENVIRONMENTS).default('development');
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Give a whole number.');
  return value;
}

export function uuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    throw new InvalidArgumentError('Give a UUID.');
  return text.toLowerCase();
}

export function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError('Give JSON, for example \'{"gems": 50}\'.');
  }
}

/** What a command does with the application, and what it prints of it. */
export type Work = (app: INestApplicationContext) => Promise<object>;

/** As `print`, in a project that must exist. */
export function printFor({ project }: InProject, work: Work): Promise<void> {
  return print(async (app) => {
    await app.get(ProjectsService).get(project);
    return work(app);
  });
}

/** Runs one piece of work on the application and prints its result; `unguarded`: also where guards are gone. */
export async function print(work: Work, { unguarded = false } = {}): Promise<void> {
  const config = {
    ...loadConfig(),
    ...{ sweepIntervalMs: 0, integrityIntervalMs: 0, housekeepingIntervalMs: 0 },
  };
  const database = await openDatabase(config, {
    role: 'command',
    unguarded,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  try {
    const app = await NestFactory.createApplicationContext(AppModule.on(config, database.url), {
      logger: ['fatal', 'error'],
      abortOnError: false,
    });
    try {
      process.stdout.write(`${render(await work(app))}\n`);
    } finally {
      await app.close();
    }
  } catch (error) {
    throw refusal(error) ?? error;
  } finally {
    await database.close();
  }
}

function render(result: object): string {
  if (program.opts<{ json?: boolean }>().json) return JSON.stringify(result, null, 2);
  const rows = Array.isArray(result) ? (result as object[]) : [result];
  return rows
    .map((row) =>
      Object.entries(row)
        .map(
          ([name, value]) =>
            `${name.padEnd(16)} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
        )
        .join('\n'),
    )
    .join('\n\n');
}

/** What the caller of the command can correct, in one line. */
function refusal(error: unknown): StartupError | undefined {
  if (error instanceof ApiError) {
    const details = error.details === undefined ? '' : ` ${JSON.stringify(error.details)}`;
    return new StartupError(`${error.code}: ${error.message}${details}`);
  }
  const rule = violatedRule(error);
  if (rule === undefined) return undefined;
  return new StartupError(
    `INVALID_INPUT: the rule ${rule} refuses these values. See the limits with --help.`,
  );
}
