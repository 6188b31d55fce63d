import fc from 'fast-check';
import { Coverage } from './support/model/coverage';
import type { Model } from './support/model/model';
import { beginning, sequences } from './support/model/sequences';
import { expectTheSame } from './support/model/snapshot';
import { Stage } from './support/model/stage';
import { useWorld, type World } from './support/world';

/**
 * The server against a model of the contract: random sequences of what users, developers, operators and the sweeper
 * do, each in an app of its own. Every answer must be the model's, and after a sequence so must every row.
 *
 * `MODEL_RUNS=5000 npx jest test/model` plays more of them. A failure shows the shortest sequence that fails and how to
 * repeat it.
 */
const RUNS = Number(process.env.MODEL_RUNS ?? 600);
const SEED = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const REPEATED = process.env.FC_PATH;
/** Side by side, each with a database of its own: a sweep pays whatever is due in the database. */
const LANES = REPEATED === undefined ? 3 : 1;
/** So many are sure to meet everything that is rare. */
const RUNS_THAT_COVER = 600;

type Commands = Iterable<fc.AsyncCommand<Model, Stage>>;

jest.setTimeout(60_000 + RUNS * 1_000);

const worlds = Array.from({ length: LANES }, () => useWorld());
const coverage = new Coverage();

it('answers and stores what the model says, whatever is done in whatever order', async () => {
  process.stdout.write(`model: FC_SEED=${SEED}\n`);
  const start = performance.now();
  let failed: World | undefined;

  const property = (world: World) =>
    fc.asyncProperty(sequences(process.env.FC_REPLAY), async (commands) => {
      // the others have nothing more to say while the first that failed finds its shortest sequence
      if (failed !== undefined && failed !== world) return;
      try {
        await play(world, commands);
      } catch (error) {
        if (fc.PreconditionFailure.isFailure(error)) throw error;
        failed ??= world;
        if (failed === world) throw error;
      }
    });
  const results = await Promise.all(
    worlds.map((world, lane) =>
      fc.check(property(world), {
        seed: SEED + lane,
        numRuns: Math.ceil(RUNS / LANES),
        path: REPEATED,
        unbiased: true,
      }),
    ),
  );
  const failure = results.find((result) => result.failed);
  if (failure) throw new Error(report(failure), { cause: failure.errorInstance });

  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const sum = (of: 'numRuns' | 'numSkips') => results.reduce((total, result) => total + result[of], 0);
  process.stdout.write(
    `${sum('numRuns')} sequences in ${seconds} s, ${sum('numSkips')} discarded\n${coverage.table()}\n`,
  );
  if (REPEATED === undefined) expect(coverage.rarerThan(Math.floor(RUNS / RUNS_THAT_COVER))).toEqual([]);
});

async function play(world: World, commands: Commands): Promise<void> {
  const model = beginning();
  const stage = await Stage.set(world, model, coverage);
  try {
    await fc.asyncModelRun(() => ({ model, real: stage }), commands);
    await expectTheSame(model, stage);
  } finally {
    await stage.leave();
  }
}

function report(details: fc.RunDetails<[Commands]>): string {
  const message = fc.defaultReportMessage(details) ?? '';
  const replayPath = /replayPath="([^"]*)"/.exec(message)?.[1] ?? '';
  const repeat = `FC_SEED=${details.seed} FC_PATH=${details.counterexamplePath} FC_REPLAY='${replayPath}'`;
  return `${message}\n\nRepeat it with ${repeat} npx jest test/model`;
}
