import { Option } from 'commander';
import { IdentityTokensService, PROVIDERS } from '../users/identity-tokens.service';
import { UsersAdminService } from '../users/users.admin.service';
import { inProject, operator, printFor, program, uuid, type InProject } from './command-line';

inProject(program.command('user').description('users of an app').command('create'))
  .option('--external-id <id>', "the id in the app's own user system")
  .option('--display-name <name>')
  .action((options: InProject & { externalId?: string; displayName?: string }) =>
    printFor(options, async (app) => {
      const { id, externalId, displayName } = await app
        .get(UsersAdminService)
        .create(operator(), options.project, {
          externalId: options.externalId,
          displayName: options.displayName,
        });
      return { id, external_id: externalId, display_name: displayName };
    }),
  );

inProject(program.command('session').description('sessions of users').command('create'))
  .requiredOption('--user <id>', 'the id of the user', uuid)
  .action((options: InProject & { user: string }) =>
    printFor(options, async (app) => ({
      session_token: await app
        .get(UsersAdminService)
        .openSessionOf(operator(), { projectId: options.project, userId: options.user }),
    })),
  );

inProject(program.command('provider').description('sign-in with Apple and Google').command('set'))
  .addOption(new Option('--provider <name>').choices(PROVIDERS).makeOptionMandatory())
  .requiredOption('--audience <id...>', "the app's client ids, whose identity tokens are accepted")
  .action((options: InProject & { provider: (typeof PROVIDERS)[number]; audience: string[] }) =>
    printFor(options, async (app) => {
      await app
        .get(IdentityTokensService)
        .configure(operator(), options.project, options.provider, options.audience);
      return { provider: options.provider, audiences: options.audience };
    }),
  );
