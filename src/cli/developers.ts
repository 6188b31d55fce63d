import { BASE62, randomText } from '../common/random-text';
import { DevelopersService } from '../developers/developers.service';
import { operator, print, program } from './command-line';

const developer = program.command('developer').description('accounts that administer projects over HTTP');
developer
  .command('create')
  .description('makes an account, whatever SIGNUP says; password and token are shown once')
  .requiredOption('--email <email>')
  .option('--name <name>')
  .action((options: { email: string; name?: string }) =>
    print(async (app) => {
      const password = randomText(BASE62, 20);
      const created = await app.get(DevelopersService).create(operator(), { ...options, password });
      return { id: created.developer.id, email: created.developer.email, password, pat: created.pat };
    }),
  );
developer
  .command('reset-password')
  .description('gives a developer a new password and token, shown once, and ends all sessions')
  .requiredOption('--email <email>')
  .action((options: { email: string }) =>
    print(async (app) => {
      const developers = app.get(DevelopersService);
      const { id, email } = await developers.findByEmail(options.email);
      return { id, email, ...(await developers.resetPassword(operator(), id)) };
    }),
  );
