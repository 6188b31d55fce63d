import { IntegrityService } from '../integrity/integrity.service';
import { ProjectsService } from '../projects/projects.service';
import { print, program, uuid } from './command-line';

program
  .command('integrity')
  .description('looks for rows that must not be; exits with 1 when there are any')
  .option('--project <id>', 'the id of one project (default: all)', uuid)
  .action((options: { project?: string }) =>
    print(
      async (app) => {
        // a misspelt id must not look like a project in order
        if (options.project !== undefined) await app.get(ProjectsService).get(options.project);
        const { ok, invariants } = await app.get(IntegrityService).check(options.project ?? null);
        if (!ok) process.exitCode = 1;
        return invariants.map(({ number, name, ok, brokenRows, rows }) => ({
          ...{ number, name, ok },
          ...(!ok && { broken_rows: brokenRows, rows }),
        }));
      },
      { unguarded: true },
    ),
  );
