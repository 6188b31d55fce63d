import 'reflect-metadata';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { AppModule } from './app.module';
import { ENVIRONMENTS, KEY_TYPES } from './auth/api-key';
import { ApiKeysService } from './auth/api-keys.service';
import { ApiError } from './common/api-error';
import { violatedRule } from './common/database-error';
import { runCommand } from './common/run-command';
import { StartupError } from './common/startup-error';
import { loadConfig } from './config';
import { CurrencyService } from './currency/currency.service';
import { openDatabase } from './database/database';
import { openApiDocument } from './openapi';
import { ProjectsService } from './projects/projects.service';
import { ReferralCodesService } from './referrals/referral-codes.service';
import { toReferralCodeDto } from './referrals/referrals.dto';
import type { RewardJson } from './rewards/reward';
import { IdentityTokensService, PROVIDERS } from './users/identity-tokens.service';
import { SignInService } from './users/sign-in.service';
import { UsersService } from './users/users.service';

/** `npm run cli -- …`: sets up projects, keys, currencies, codes, users and sessions, beside a running server or without. */
const program = new Command('npm run cli --').description('Administers the projects of this installation.');
program.option('--json', 'print the result as JSON, for scripts');

const project = program.command('project').description('the tenants: one per app');
project
  .command('create')
  .requiredOption('--name <name>', 'what you call the app')
  .addOption(environmentOption())
  .option('--code-length <n>', 'length of generated codes, 6 to 16', wholeNumber)
  .option('--max-claims-per-user <n>', 'how many codes one user may claim (default: no limit)', wholeNumber)
  .action(
    (options: { name: string; environment: Environment; codeLength?: number; maxClaimsPerUser?: number }) =>
      print((app) =>
        app.get(ProjectsService).create(
          {
            name: options.name,
            referralCodeLength: options.codeLength,
            maxClaimsPerUser: options.maxClaimsPerUser,
          },
          options.environment,
        ),
      ),
  );
project
  .command('list')
  .action(() =>
    print(async (app) => (await app.get(ProjectsService).list()).map(({ id, name }) => ({ id, name }))),
  );

inProject(program.command('key').description('API keys').command('create'))
  .addOption(
    new Option('--type <type>', 'client: for apps; server: for your servers')
      .choices(KEY_TYPES)
      .makeOptionMandatory(),
  )
  .addOption(environmentOption())
  .action((options: InProject & { type: (typeof KEY_TYPES)[number]; environment: Environment }) =>
    printFor(options, async (app) => ({
      key: await app.get(ApiKeysService).create(options.project, options.type, options.environment),
    })),
  );

const currency = program.command('currency').description('the currencies of an app');
inProject(currency.command('create'))
  .requiredOption('--code <code>', '1 to 32 letters, digits, _ and -, a letter first')
  .requiredOption('--name <name>', 'as users see it')
  .option('--description <text>')
  .option('--premium', 'marks a currency that is sold for money', false)
  .option('--initial-balance <n>', 'what a user starts with', wholeNumber, 0)
  .option('--max-balance <n>', 'what a user can have at most (default: no limit)', wholeNumber)
  .action((options: InProject & NewCurrencyOptions) =>
    printFor(options, async (app) => {
      const { id, code } = await app.get(CurrencyService).create(options.project, {
        code: options.code,
        name: options.name,
        description: options.description,
        isPremium: options.premium,
        initialBalance: options.initialBalance,
        maxBalance: options.maxBalance,
      });
      return { id, code };
    }),
  );
inProject(currency.command('delete').description('hides it; balances, history and promised rewards stay'))
  .requiredOption('--code <code>')
  .action((options: InProject & { code: string }) =>
    printFor(options, async (app) => {
      await app.get(CurrencyService).delete(options.project, options.code);
      return { deleted: options.code };
    }),
  );

inProject(program.command('code').description('referral codes').command('create'))
  .description(
    "a template (its rewards are copied into every user's code), which anyone may claim as a promo code too",
  )
  .option('--code <code>', '3 to 32 letters, digits, _ and - (default: generated)')
  .option('--user <id>', "makes it this user's own code", uuid)
  .option('--reward-referrer <json>', 'for the owner of the code, as in \'{"gems": 50}\'', json)
  .option('--reward-referee <json>', 'for the user who claims it', json)
  .option('--max-uses <n>', 'how often it may be claimed (default: no limit)', wholeNumber)
  .action((options: InProject & NewCodeOptions) =>
    printFor(options, async (app) =>
      toReferralCodeDto(
        await app.get(ReferralCodesService).create(options.project, {
          code: options.code,
          userId: options.user,
          rewardReferrer: options.rewardReferrer,
          rewardReferee: options.rewardReferee,
          maxUses: options.maxUses,
        }),
      ),
    ),
  );

inProject(program.command('user').description('users of an app').command('create'))
  .option('--external-id <id>', "the id in the app's own user system")
  .option('--display-name <name>')
  .action((options: InProject & { externalId?: string; displayName?: string }) =>
    printFor(options, async (app) => {
      const { id, externalId, displayName } = await app.get(UsersService).create(options.project, options);
      return { id, external_id: externalId, display_name: displayName };
    }),
  );

inProject(program.command('session').description('sessions of users').command('create'))
  .requiredOption('--user <id>', 'the id of the user', uuid)
  .action((options: InProject & { user: string }) =>
    printFor(options, async (app) => ({
      session_token: (await app.get(SignInService).known(options.project, options.user)).tokens.sessionToken,
    })),
  );

inProject(program.command('provider').description('sign-in with Apple and Google').command('set'))
  .addOption(new Option('--provider <name>').choices(PROVIDERS).makeOptionMandatory())
  .requiredOption('--audience <id...>', "the app's client ids, whose identity tokens are accepted")
  .action((options: InProject & { provider: (typeof PROVIDERS)[number]; audience: string[] }) =>
    printFor(options, async (app) => {
      await app.get(IdentityTokensService).configure(options.project, options.provider, options.audience);
      return { provider: options.provider, audiences: options.audience };
    }),
  );

program
  .command('openapi')
  .description('prints the OpenAPI document; needs no database')
  .action(async () => {
    const app = await NestFactory.create(
      AppModule.on(loadConfig({ SESSION_SECRET: 'nothing is signed here, 32 chars+' }), ''),
      { preview: true, logger: false },
    );
    process.stdout.write(`${JSON.stringify(openApiDocument(app), null, 2)}\n`);
  });

interface InProject {
  project: string;
}

type Environment = (typeof ENVIRONMENTS)[number];

interface NewCurrencyOptions {
  code: string;
  name: string;
  description?: string;
  premium: boolean;
  initialBalance: number;
  maxBalance?: number;
}

interface NewCodeOptions {
  code?: string;
  user?: string;
  rewardReferrer?: RewardJson;
  rewardReferee?: RewardJson;
  maxUses?: number;
}

function inProject(command: Command): Command {
  return command.requiredOption('--project <id>', 'the id of the project', uuid);
}

function environmentOption(): Option {
  return new Option('--environment <name>', 'marks the keys').choices(ENVIRONMENTS).default('development');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Give a whole number.');
  return value;
}

function uuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    throw new InvalidArgumentError('Give a UUID.');
  return text;
}

function json(text: string): RewardJson {
  try {
    return JSON.parse(text) as RewardJson;
  } catch {
    throw new InvalidArgumentError('Give JSON, for example \'{"gems": 50}\'.');
  }
}

type Work = (app: INestApplicationContext) => Promise<object>;

/** As `print`, in a project that must exist. */
function printFor({ project }: InProject, work: Work): Promise<void> {
  return print(async (app) => {
    await app.get(ProjectsService).get(project);
    return work(app);
  });
}

/** Runs one piece of work on the application and prints its result. */
async function print(work: Work): Promise<void> {
  const config = { ...loadConfig(), sweepIntervalMs: 0 };
  const database = await openDatabase(config, {
    role: 'command',
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

runCommand(async () => {
  await program.parseAsync();
});
