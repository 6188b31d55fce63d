import { Option } from 'commander';
import { KEY_TYPES, type Environment, type KeyType } from '../auth/api-key';
import { DevelopersService } from '../developers/developers.service';
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
  uuid,
  wholeNumber,
  type InProject,
} from './command-line';

interface NewProjectOptions {
  name: string;
  owner?: string;
  environment: Environment;
  codeLength?: number;
  maxClaimsPerUser?: number;
}

const project = program.command('project').description('the tenants: one per app');
project
  .command('create')
  .requiredOption('--name <name>', 'what you call the app')
  .option(
    '--owner <email>',
    'the developer who administers it over HTTP (default: whoever has its server key)',
  )
  .addOption(environmentOption())
  .option('--code-length <n>', 'length of generated codes, 6 to 16', wholeNumber)
  .option('--max-claims-per-user <n>', 'how many codes one user may claim (default: no limit)', wholeNumber)
  .action((options: NewProjectOptions) =>
    print(async (app) => {
      const { owner, name, codeLength: referralCodeLength, maxClaimsPerUser } = options;
      const ownerId = owner && (await app.get(DevelopersService).findByEmail(owner)).id;
      const values = { name, referralCodeLength, maxClaimsPerUser, ownerId: ownerId || undefined };
      const { project, keys } = await app
        .get(ProjectsService)
        .create(operator(), values, options.environment);
      return { id: project.id, name, client_key: keys.client.key, server_key: keys.server.key };
    }),
  );
project
  .command('list')
  .action(() =>
    print(async (app) =>
      (await app.get(ProjectsService).list(EVERYTHING)).data.map(({ id, name }) => ({ id, name })),
    ),
  );
inProject(project.command('assign').description('gives a project to a developer'))
  .requiredOption('--owner <email>', 'who administers it from now on')
  .action((options: InProject & { owner: string }) =>
    print(async (app) => {
      const { id: ownerId } = await app.get(DevelopersService).findByEmail(options.owner);
      const { id, name } = await app.get(ProjectsService).assign(operator(), options.project, ownerId);
      return { id, name, owner: options.owner };
    }),
  );

const key = program.command('key').description('API keys');
inProject(key.command('create'))
  .addOption(
    new Option('--type <type>', 'client: for apps; server: for your servers')
      .choices(KEY_TYPES)
      .makeOptionMandatory(),
  )
  .addOption(environmentOption())
  .action((options: InProject & { type: KeyType; environment: Environment }) =>
    printFor(options, async (app) => {
      const { key, shown } = await app
        .get(ApiKeysService)
        .create(operator(), options.project, { keyType: options.type, environment: options.environment });
      return { id: shown.id, key };
    }),
  );
inProject(key.command('list').description('newest first, deactivated ones too')).action(
  (options: InProject) =>
    printFor(options, async (app) => (await app.get(ApiKeysService).list(options.project, EVERYTHING)).data),
);
inProject(key.command('rotate').description('stops a key and makes one like it'))
  .requiredOption('--key <id>', 'the id of the key, as in the list', uuid)
  .action((options: InProject & { key: string }) =>
    printFor(options, async (app) => {
      const { key, shown } = await app.get(ApiKeysService).rotate(operator(), options.project, options.key);
      return { id: shown.id, key, deactivated: options.key };
    }),
  );
inProject(key.command('deactivate').description('stops a key for good'))
  .requiredOption('--key <id>', 'the id of the key, as in the list', uuid)
  .action((options: InProject & { key: string }) =>
    printFor(options, (app) => app.get(ApiKeysService).deactivate(operator(), options.project, options.key)),
  );
