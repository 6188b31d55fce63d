import { median } from './figures.mjs';
import { SCALE_CASES } from './scale-cases.mjs';

/** What a run of `scale.mjs` prints: Markdown. */

/** More than so much longer needs a reason. */
const FLAT = 1.5;

export function scaleReport({ machine, sides, cases, sweeps, rounds, seconds, connections }) {
  const { cpus, model, node, postgres } = machine;
  const head =
    `${cpus} × ${model}, Node ${node}, PostgreSQL ${postgres} (fsync on); ${rounds} rounds of ${seconds} s, ` +
    `${connections} connections; ${sides.map(sideInWords).join('; ')}`;
  return [head, caseTable(cases), sweepTable(sides, sweeps), checksInWords(sides)].join('\n\n');
}

function sideInWords({ name, users, crowd, loadedInS }) {
  return `${name}: ${users.toLocaleString('en')} users, ${crowd.lines.toLocaleString('en')} lines in the longest history, ${crowd.size}, filled in ${loadedInS.toFixed(0)} s`;
}

function caseTable(cases) {
  return [
    '| Case | p50 ms | ratio (min–max) | p99 ms | CPU ms a request | ratio of CPU | |',
    '| --- | ---: | ---: | ---: | ---: | ---: | --- |',
    ...Object.entries(cases).map(([name, figures]) => caseLine(name, figures)),
  ].join('\n');
}

/** The line of a case in the table. */
export function caseLine(name, figures) {
  return `| ${caseRow(name, figures).join(' | ')} |`;
}

function caseRow(name, { empty, filled }) {
  const { title, reason } = SCALE_CASES[name];
  const ratios = filled.map(({ p50 }, round) => p50 / empty[round].p50);
  // CPU seconds of 1,000 requests are milliseconds of one
  const cpu = (figure) => figure.node + figure.postgres;
  const cpuRatio = median(filled.map((figure, round) => cpu(figure) / cpu(empty[round])));
  const both = (of) => [empty, filled].map((figures) => of(figures)).join(' → ');
  const isFlat = median(ratios) <= FLAT;
  return [
    ...[title, both((figures) => median(figures.map(({ p50 }) => p50)).toFixed(1))],
    `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
    both((figures) => median(figures.map(({ p99 }) => p99)).toFixed(1)),
    both((figures) => median(figures.map(cpu)).toFixed(2)),
    ...[cpuRatio.toFixed(2), isFlat ? '' : (reason ?? '**grows**')],
  ];
}

function sweepTable(sides, sweeps) {
  const row = (title, of) => `| ${[title, ...sides.map(({ name }) => of(sweeps[name]))].join(' | ')} |`;
  return [
    `| The sweeper | ${sides.map(({ name }) => name).join(' | ')} |`,
    '| --- | ---: | ---: |',
    row(
      'none due: p50, p99 of a sweep, ms',
      ({ idleP50, idleP99 }) => `${idleP50.toFixed(2)}, ${idleP99.toFixed(2)}`,
    ),
    row('100,000 due: promises a second', ({ perSecond }) => perSecond.toFixed(0)),
    row('until all were paid, s', ({ seconds }) => seconds.toFixed(1)),
    row('the longest batch, ms', ({ longest }) => longest.toFixed(0)),
  ].join('\n');
}

function checksInWords(sides) {
  return sides
    .map(({ name, checks }) => {
      const total = checks.reduce((sum, { seconds }) => sum + seconds, 0);
      const slowest = checks.toSorted((a, b) => b.seconds - a.seconds).slice(0, 3);
      const named = slowest.map(
        ({ number, invariant, seconds }) => `${number} ${invariant} ${seconds.toFixed(1)} s`,
      );
      return `${name}: all ${checks.length} invariants hold, looked at in ${total.toFixed(1)} s, the slowest ${named.join(', ')}.`;
    })
    .join('\n');
}
