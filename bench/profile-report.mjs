import { CASES } from './cases.mjs';

/** Less than this share of every side goes into one line. */
const SHOWN = 0.01;
const REST = `the rest, each below ${100 * SHOWN} %`;

/** Markdown: for each case, where a request spends the time of node's main thread, the sides beside each other. */
export function profileTables({ files, cases }) {
  const head = `Where node's time goes, ms a request (share), without what waits; read from ${files.join(', ')}.`;
  return [head, ...cases.map(caseTable)].join('\n\n');
}

function caseTable({ name, areas }) {
  const sides = Object.keys(areas);
  const totals = Object.fromEntries(sides.map((side) => [side, sum(Object.values(areas[side]))]));
  const shown = shownAreas(areas, totals);
  const rest = (side) =>
    sum(Object.entries(areas[side]).map(([area, ms]) => (shown.includes(area) ? 0 : ms)));
  const row = (title, msOf) =>
    `| ${[title, ...sides.map((side) => cell(msOf(side), totals[side]))].join(' | ')} |`;
  return [
    `| ${[CASES[name].title, ...sides].join(' | ')} |`,
    `| --- |${' ---: |'.repeat(sides.length)}`,
    ...shown.map((area) => row(area, (side) => areas[side][area])),
    row(REST, rest),
    row('all', (side) => totals[side]),
  ].join('\n');
}

/** What takes most of the last side, the product, comes first. */
function shownAreas(areas, totals) {
  const sides = Object.keys(areas);
  const last = areas[sides.at(-1)];
  const known = new Set(sides.flatMap((side) => Object.keys(areas[side])));
  return [...known]
    .filter((area) => sides.some((side) => areas[side][area] >= SHOWN * totals[side]))
    .toSorted((a, b) => (last[b] ?? 0) - (last[a] ?? 0));
}

function cell(ms, total) {
  return ms === undefined ? '' : `${ms.toFixed(3)} (${((100 * ms) / total).toFixed(0)} %)`;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
