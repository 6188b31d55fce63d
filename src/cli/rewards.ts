import { InvalidArgumentError, Option } from 'commander';
import { StartupError } from '../common/startup-error';
import { GRANT_STATUSES, type GrantStatus } from '../rewards/reward-grants';
import {
  REPLAYABLE,
  RewardGrantsService,
  type RefusedReplay,
  type ReplaySelection,
} from '../rewards/reward-grants.service';
import { ReconciliationService } from '../rewards/reconciliation.service';
import { inProject, operator, printFor, program, uuid, wholeNumber, type InProject } from './command-line';

interface ListOptions {
  status?: GrantStatus;
  limit: number;
  offset: number;
}

const grants = program.command('grants').description('promised rewards: what claims owe');
inProject(grants.command('list').description('newest first'))
  .addOption(new Option('--status <status>').choices(GRANT_STATUSES))
  .option('--limit <n>', 'rewards to show', wholeNumber, 50)
  .option('--offset <n>', 'rewards to pass over', wholeNumber, 0)
  .action((options: InProject & ListOptions) =>
    printFor(options, async (app) => {
      const { project, status, limit, offset } = options;
      return (await app.get(RewardGrantsService).list(project, { status }, { limit, offset })).data;
    }),
  );

inProject(grants.command('replay').description('makes dead and cancelled rewards due again, and pays them'))
  .option('--id <id>', 'the id of one reward', uuid)
  .addOption(new Option('--status <status>', 'all that have this status').choices(REPLAYABLE).conflicts('id'))
  .action((options: InProject & { id?: string; status?: (typeof REPLAYABLE)[number] }) => {
    const { project, id, status } = options;
    if (id === undefined && status === undefined) throw new StartupError('Give --id or --status.');
    return printFor(options, (app) => {
      const service = app.get(RewardGrantsService);
      if (id !== undefined) return service.replay(operator(), project, id);
      return replayAll(service, project, { status: status ?? 'dead' });
    });
  });

inProject(grants.command('cancel').description('ends a reward that is not paid'))
  .requiredOption('--id <id>', 'the id of the reward', uuid)
  .requiredOption('--reason <text>', 'shown with the reward, and kept in the audit log', reason)
  .action((options: InProject & { id: string; reason: string }) =>
    printFor(options, (app) => {
      const { project: projectId, id, reason } = options;
      return app.get(RewardGrantsService).cancel(operator(), { projectId, id }, reason);
    }),
  );

inProject(program.command('reconcile'))
  .description('adds up promises, ledger and balances of a project; exits with 1 when they do not agree')
  .action((options: InProject) =>
    printFor(options, async (app) => {
      const totals = await app.get(ReconciliationService).totals(options.project);
      if (!totals.agrees) process.exitCode = 1;
      return totals;
    }),
  );

/** As many calls as it takes: a replayed one has another status, so that each finds others. */
async function replayAll(service: RewardGrantsService, project: string, selection: ReplaySelection) {
  const total = { replayed: 0, refused: [] as RefusedReplay[] };
  for (let more = true; more;) {
    const { replayed, refused, has_more } = await service.replayMany(operator(), project, selection);
    total.replayed += replayed;
    total.refused.push(...refused);
    more = has_more;
  }
  return total;
}

/** As the API takes it. */
function reason(text: string): string {
  if (!/\S/.test(text) || [...text].length > 500) throw new InvalidArgumentError('Give 1 to 500 characters.');
  return text;
}
