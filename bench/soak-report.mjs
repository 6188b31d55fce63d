/** What a run of `soak.mjs` prints: Markdown. */

const UNKNOWN = '-';

export function soakReport({ machine, minutes, connections, coldStarts, soaks }) {
  const { cpus, model, node, postgres } = machine;
  const head = `${cpus} × ${model}, Node ${node}, PostgreSQL ${postgres}; ${minutes} minutes, ${connections} connections`;
  const adapters = Object.keys(soaks);
  return [
    head,
    startTable(coldStarts),
    ...adapters.map((adapter) => soakSection(adapter, soaks[adapter])),
  ].join('\n\n');
}

function startTable(coldStarts) {
  const row = (adapter, { first, starts, median, idle }) => [
    ...[adapter, first.toFixed(2)],
    `${median.toFixed(2)} (${starts[0].toFixed(2)}–${starts.at(-1).toFixed(2)})`,
    ...[idle?.all, idle?.own, idle?.files].map((mib) => mib?.toFixed(0) ?? UNKNOWN),
  ];
  return [
    '| From the start of the process to the first 200 | first start ever, s | cold start, s (min–max) | idle, MiB | of its own | of files |',
    `| --- |${' ---: |'.repeat(5)}`,
    ...Object.entries(coldStarts).map(([adapter, figures]) => line(row(adapter, figures))),
  ].join('\n');
}

function soakSection(adapter, soak) {
  const { fastest, rate, quarters, kept, claims, unpaid } = soak;
  const asked = quarters.reduce((sum, { count }) => sum + count, 0);
  const { firstError } = quarters.find(({ errors }) => errors > 0) ?? {};
  return [
    `## ${adapter}\n`,
    `${rate.toFixed(0)} requests a second, half of ${fastest.toFixed(0)}; ${asked.toLocaleString('en')} in all.\n`,
    '| A mixed day, 80 % reads | start | 1/4 | 1/2 | 3/4 | end | MiB an hour, second half |',
    `| --- |${' ---: |'.repeat(6)}`,
    line(memoryRow('memory of node, MiB', 'rss', soak)),
    line(memoryRow('heap after its latest collection, MiB', 'kept', soak)),
    ...quarterRows(quarters).map(line),
    `\nThe whole heap was collected ${kept.filter(({ atS }) => atS > 0).length} times.`,
    ...(firstError ? [`The first error: ${firstError}.`] : []),
    `All invariants hold, over ${claims.toLocaleString('en')} claims; ${unpaid} rewards are not paid.`,
  ].join('\n');
}

function memoryRow(title, kind, { bounds, slopes }) {
  return [title, ...[...bounds.map((bound) => bound[kind]), slopes[kind]].map(inMiB)];
}

function quarterRows(quarters) {
  const row = (title, of) => [title, '', ...quarters.map(of), ''];
  return [
    row('p50, ms', ({ p50 }) => p50.toFixed(1)),
    row('p99, ms', ({ p99 }) => p99.toFixed(1)),
    row('errors', ({ errors }) => errors),
  ];
}

function inMiB(value) {
  return value?.toFixed(1) ?? UNKNOWN;
}

function line(cells) {
  return `| ${cells.join(' | ')} |`;
}
