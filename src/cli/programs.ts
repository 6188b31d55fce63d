import { CurrencyService } from '../currency/currency.service';
import { ReferralCodesService, toReferralCodeJson } from '../referrals/referral-codes.service';
import type { RewardJson } from '../rewards/reward';
import {
  inProject,
  json,
  operator,
  printFor,
  program,
  uuid,
  wholeNumber,
  type InProject,
} from './command-line';

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
      const { id, code } = await app.get(CurrencyService).create(operator(), options.project, {
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
      const currencies = app.get(CurrencyService);
      const { id } = await currencies.getByCode(options.project, options.code);
      await currencies.delete(operator(), options.project, id);
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
      toReferralCodeJson(
        await app.get(ReferralCodesService).create(operator(), options.project, {
          code: options.code,
          userId: options.user,
          rewardReferrer: options.rewardReferrer,
          rewardReferee: options.rewardReferee,
          maxUses: options.maxUses,
        }),
      ),
    ),
  );
