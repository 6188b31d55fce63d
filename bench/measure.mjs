import { CASES } from './cases.mjs';
import { ensureFresh } from './sides.mjs';
import { cpuOf, cpuOfFamily, isUsageKnown } from './usage.mjs';

/** No server on this many cores is expected to claim faster, in requests a second, before it is known how fast it is. */
const FASTEST = 15_000;
/** Users made beyond those that the first slice lets expect. */
const RESERVE = 1.5;
const FIRST_WARM_UP_S = 2;

/**
 * Measures a case: the sides in turn, round after round, never two at once.
 *
 * @param bench `sides`, the `load` process, `admin` and `postmaster` of their PostgreSQL, and the options
 * @returns the figures of each side by its name, one for each round
 */
export async function measureCase(name, bench) {
  const { sides, rounds, warmUp, seconds } = bench;
  const { spends } = CASES[name];
  for (const side of sides) {
    await ensureFresh(side, Math.ceil(FASTEST * FIRST_WARM_UP_S * spends));
    const { perSecond } = await run(name, { bench, side, seconds: FIRST_WARM_UP_S });
    await ensureFresh(side, Math.ceil(perSecond * RESERVE * spends * rounds * (warmUp + seconds + 1)));
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
  const before = used(bench, side);
  const { count, perSecond, p50, p99 } = await run(name, { bench, side, seconds });
  const after = used(bench, side);
  const perThousand = (who) => ((after[who] - before[who]) / count) * 1000;
  return {
    ...{ perSecond, p50, p99 },
    ...(isUsageKnown && { node: perThousand('node'), postgres: perThousand('postgres') }),
    ...(isUsageKnown && { load: perThousand('load') }),
  };
}

async function run(name, { bench, side, seconds }) {
  const { url, crowd, fresh } = side;
  const result = await bench.load.ask({
    ...{ name, url, crowd, fresh, seconds },
    connections: bench.connections,
  });
  fresh.next = result.next;
  return result;
}

/** Seconds of CPU so far. The other side's processes of PostgreSQL rest. */
function used({ load, postmaster }, { pid }) {
  if (!isUsageKnown) return {};
  return { node: cpuOf(pid), postgres: cpuOfFamily(postmaster), load: cpuOf(load.pid) };
}
