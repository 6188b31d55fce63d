import { CASES } from './cases.mjs';
import { median } from './figures.mjs';
import { FLOOR } from './sides.mjs';

/** What a run prints: figures of the floor and of the server side by side, as `floor → server`. */

const UNKNOWN = '-';
const COLUMNS = [
  ...['Case', 'requests/s', 'ratio (min–max)', 'target', 'p50 ms', 'p99 ms'],
  ...['CPU s per 1,000: node', 'PostgreSQL', 'ratio of both', 'round trips', 'writing transactions'],
];

/** The ratio of a case: the median over the rounds of server to floor, and its bounds. */
export function ratioOf(figures, adapter) {
  const ratios = figures[adapter].map(({ perSecond }, round) => perSecond / figures[FLOOR][round].perSecond);
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}

/** The same of the CPU seconds that a request takes of node and PostgreSQL: it does not depend on what else runs. */
function cpuRatio(figures, adapter) {
  const total = ({ node, postgres }) => node + postgres;
  const ratios = figures[adapter].map((figure, round) => total(figures[FLOOR][round]) / total(figure));
  return Number.isNaN(ratios[0]) ? UNKNOWN : median(ratios).toFixed(2);
}

/** What is short of its target, in words. */
export function missedTargets({ cases, adapters }) {
  return adapters.flatMap((adapter) =>
    cases.flatMap(({ name, figures, traffic }) => {
      const { ratio, trips = Infinity, writes = Infinity } = CASES[name].target ?? {};
      const { median: reached } = ratioOf(figures, adapter);
      return [
        ...(reached < ratio?.[adapter] ? [`${name} on ${adapter}: ratio ${reached.toFixed(2)}`] : []),
        ...(traffic[adapter].trips > trips
          ? [`${name} on ${adapter}: ${traffic[adapter].trips} round trips`]
          : []),
        ...(traffic[adapter].writes > writes
          ? [`${name} on ${adapter}: ${traffic[adapter].writes} writing transactions`]
          : []),
      ];
    }),
  );
}

/** Markdown: a table for each adapter. */
export function tables(report) {
  return [headline(report), ...report.adapters.map((adapter) => table(report, adapter))].join('\n\n');
}

function headline({ machine, rounds, seconds, connections }) {
  const { cpus, model, node, postgres } = machine;
  return (
    `${cpus} × ${model}, Node ${node}, PostgreSQL ${postgres} (fsync on); ` +
    `${rounds} rounds of ${seconds} s, ${connections} connections; floor → server`
  );
}

function table({ cases, memory }, adapter) {
  const peaks = [FLOOR, adapter].map((side) => memory[side]?.toFixed(0) ?? UNKNOWN);
  return [
    `## ${adapter}\n`,
    `| ${COLUMNS.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(COLUMNS.length - 1)}`,
    ...cases.map((measured) => `| ${row(measured, adapter).join(' | ')} |`),
    `\nPeak memory of node: ${peaks.join(' → ')} MiB.`,
  ].join('\n');
}

function row({ name, figures, traffic }, adapter) {
  const sides = [FLOOR, adapter];
  const both = (key, digits) =>
    sides.map((side) => middle(figures[side], key)?.toFixed(digits) ?? UNKNOWN).join(' → ');
  const counted = (key) => sides.map((side) => traffic[side][key]).join(' → ');
  const { median: ratio, min, max } = ratioOf(figures, adapter);
  const { title, target } = CASES[name];
  return [
    ...[title, both('perSecond', 0), `${ratio.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`],
    ...[target === undefined ? '' : `≥ ${target.ratio[adapter]}`, both('p50', 1), both('p99', 1)],
    ...[
      both('node', 3),
      both('postgres', 3),
      cpuRatio(figures, adapter),
      counted('trips'),
      counted('writes'),
    ],
  ];
}

function middle(figures, key) {
  const values = figures.map((figure) => figure[key]);
  return values[0] === undefined ? undefined : median(values);
}
