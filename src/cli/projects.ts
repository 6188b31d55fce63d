import { Option } from 'commander';
import { KEY_TYPES, type Environment } from '../auth/api-key';
import { ApiKeysService } from '../projects/api-keys.service';
import { ProjectsService } from '../projects/projects.service';
import {
  environmentOption,
  EVERYTHING,
  inProject,
  operator,
  print,
  printFor,
  program,
  wholeNumber,
  type InProject,
} from './command-line';

const project = program.command('project').description('the tenants: one per app');
project
  .command('create')
  .requiredOption('--name <name>', 'what you call the app')
  .addOption(environmentOption())
  .option('--code-length <n>', 'length of generated codes, 6 to 16', wholeNumber)
  .option('--max-claims-per-user <n>', 'how many codes one user may claim (default: no limit)', wholeNumber)
  .action(
    (options: { name: string; environment: Environment; codeLength?: number; maxClaimsPerUser?: number }) =>
      print(async (app) => {
        const { project, keys } = await app.get(ProjectsService).create(
          operator(),
          {
            name: options.name,
            referralCodeLength: options.codeLength,
            maxClaimsPerUser: options.maxClaimsPerUser,
          },
          options.environment,
        );
        return {
          id: project.id,
          name: project.name,
          client_key: keys.client.key,
          server_key: keys.server.key,
        };
      }),
  );
project
  .command('list')
  .action(() =>
    print(async (app) =>
      (await app.get(ProjectsService).list(EVERYTHING)).data.map(({ id, name }) => ({ id, name })),
    ),
  );

inProject(program.command('key').description('API keys').command('create'))
  .addOption(
    new Option('--type <type>', 'client: for apps; server: for your servers')
      .choices(KEY_TYPES)
      .makeOptionMandatory(),
  )
  .addOption(environmentOption())
  .action((options: InProject & { type: (typeof KEY_TYPES)[number]; environment: Environment }) =>
    printFor(options, async (app) => {
      const { key, shown } = await app
        .get(ApiKeysService)
        .create(operator(), options.project, { keyType: options.type, environment: options.environment });
      return { id: shown.id, key };
    }),
  );
