import { join } from 'node:path';
import { CASES } from './cases.mjs';
import { measureCase } from './measure.mjs';
import { MemoryLog } from './memory-log.mjs';
import { startWorker, stop } from './programs.mjs';
import { closeSide, ensureFresh, openSide } from './sides.mjs';
import { soakReport } from './soak-report.mjs';

/** A mixed day, at half the rate that the server can do, for minutes or hours: what it holds, and whether it keeps holding more. */

const CASE = 'day';
const SHARE_OF_RATE = 0.5;
const QUARTERS = 4;
const PROBED = {
  nodeOptions: ['--require', join(import.meta.dirname, 'memory-probe.cjs')],
  isAsked: true,
};

/**
 * Prints Markdown, or JSON. A wrong answer ends the run with 1, once all is reported.
 *
 * @param bench the options, `machine`, `invariants` and `coldStarts`
 */
export async function runSoak(bench, stage) {
  const load = startWorker('bench/load.mjs');
  const soaks = {};
  for (const adapter of bench.adapters) soaks[adapter] = await soak(adapter, { ...bench, load }, stage);
  await stop(load.child);
  const { machine, minutes, connections, coldStarts } = bench;
  const report = { machine, minutes, connections, coldStarts, soaks };
  console.log(bench.json ? JSON.stringify(report, null, 2) : soakReport(report));
  if (Object.values(soaks).some(({ quarters }) => quarters.some(({ errors }) => errors > 0)))
    process.exitCode = 1;
}

async function soak(adapter, bench, stage) {
  const { load, minutes, connections, machine, invariants } = bench;
  const { tell } = stage;
  const side = await openSide(adapter, stage, PROBED);
  tell(`${adapter}: how fast it is`);
  const alone = { ...bench, ...stage, sides: [side], rounds: 1, postmaster: machine.postmaster };
  const [{ perSecond: fastest }] = (await measureCase(CASE, alone))[adapter];
  const [rate, seconds] = [SHARE_OF_RATE * fastest, (60 * minutes) / QUARTERS];
  await ensureFresh(side, Math.ceil(rate * seconds * CASES[CASE].spends + 1) * QUARTERS);
  const log = new MemoryLog(side);
  const bounds = [await log.take()];
  const quarters = [];
  for (let quarter = 1; quarter <= QUARTERS; quarter += 1) {
    const { url, crowd, fresh } = side;
    const task = { name: CASE, url, crowd, fresh, seconds, connections, rate };
    const [{ next, ...figures }] = await Promise.all([load.ask(task), log.follow(seconds)]);
    fresh.next = next;
    bounds.push(await log.take());
    quarters.push(figures);
    tell(`${adapter}: ${quarter} of ${QUARTERS} quarters, ${figures.errors} errors`);
  }
  tell(`${adapter}: checking the invariants`);
  const rows = await closeSide(side, invariants);
  const slopes = log.slopes(bounds[QUARTERS / 2].atS);
  const { samples, kept } = log;
  return { fastest, rate, quarters, bounds, slopes, samples, kept, ...rows };
}
