import { caseOf } from './cases.mjs';
import { profilerClock } from './profile.mjs';
import { ensureFresh } from './sides.mjs';
import { cpuOf, cpuOfFamily, isUsageKnown } from './usage.mjs';

/** Requests a second that no server on a machine for benchmarks is faster than, before it is known how fast it is. */
const FASTEST = 15_000;
/** How much faster than ever before it may become from one slice to the next. */
const ACCELERATION = 2;

/**
 * Measures a case: the sides in turn, round after round, never two at once.
 *
 * @param bench `sides`, the `load` process, `admin` and `postmaster` of their PostgreSQL, and the options
 * @returns the figures of each side by its name, one for each round
 */
export async function measureCase(name, bench) {
  const { sides, rounds, firstWarmUps } = bench;
  for (const side of sides) {
    side.best = undefined;
    for (const seconds of firstWarmUps) await run(name, { bench, side, seconds });
    await prepare(name, side, side.best * rounds * (bench.warmUp + bench.seconds));
  }
  await bench.admin.query('CHECKPOINT');
  const figures = Object.fromEntries(sides.map((side) => [side.name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const side of sides) figures[side.name].push(await slice(name, { bench, side }));
  }
  return figures;
}

async function slice(name, { bench, side }) {
  const { warmUp, seconds } = bench;
  await run(name, { bench, side, seconds: warmUp });
  const [before, from] = [used(bench, side), profilerClock()];
  const { count, perSecond, p50, p99 } = await run(name, { bench, side, seconds });
  const [after, to] = [used(bench, side), profilerClock()];
  const perThousand = (who) => ((after[who] - before[who]) / count) * 1000;
  return {
    ...{ perSecond, p50, p99, count, from, to },
    ...(isUsageKnown && { node: perThousand('node'), postgres: perThousand('postgres') }),
    ...(isUsageKnown && { load: perThousand('load') }),
  };
}

async function run(name, { bench, side, seconds }) {
  const fastest = side.best === undefined ? FASTEST : ACCELERATION * side.best;
  await prepare(name, side, fastest * seconds + bench.connections);
  const { url, crowd, fresh } = side;
  const result = await bench.load.ask({
    ...{ name, url, crowd, fresh, seconds },
    connections: bench.connections,
  });
  fresh.next = result.next;
  side.best = Math.max(side.best ?? 0, result.perSecond);
  return result;
}

/** Users for so many requests; most of them are made before the first round. */
function prepare(name, side, requests) {
  return ensureFresh(side, Math.ceil(requests * caseOf(name).spends));
}

/** Seconds of CPU so far. The other side's processes of PostgreSQL rest. */
function used({ load, postmaster }, { pid }) {
  if (!isUsageKnown) return {};
  return { node: cpuOf(pid), postgres: cpuOfFamily(postmaster), load: cpuOf(load.pid) };
}
