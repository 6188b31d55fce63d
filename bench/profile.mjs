import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a server's JavaScript spends its time: node's own CPU profiler, of which only the measured slices are read. */

const root = join(import.meta.dirname, '..');

const OUTSIDE = 'native, outside of JavaScript';
/** Names that V8 gives to what is no function. What waits takes no CPU. */
const NO_FUNCTION = new Map([
  ['(root)', undefined],
  ['(idle)', undefined],
  ['(garbage collector)', 'garbage collector'],
  ['(program)', OUTSIDE],
]);

const NATIVE = ', native';

/** What a server is started with, so that it leaves its profile behind when it ends. Nothing without a `folder`. */
export function profilerOptions(folder, side) {
  if (folder === undefined) return [];
  mkdirSync(folder, { recursive: true });
  return ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`, `--cpu-prof-name=${nameOf(side)}`];
}

/** The file that a side leaves in the folder. */
export function profileOf(folder, side) {
  return join(folder, nameOf(side));
}

/** The clock of the profiler, in µs: it is the same in all processes of a machine. */
export function profilerClock() {
  return Number(process.hrtime.bigint() / 1000n);
}

/**
 * Milliseconds that a request takes in each area, by its own code alone.
 *
 * @param slices spans of the profiler's clock, `from` and `to`, with the `count` of requests in each
 * @throws Error when the profile has nothing of these slices
 */
export function areasOf(file, slices) {
  const profile = JSON.parse(readFileSync(file, 'utf8'));
  const areaOf = areasByNode(profile.nodes);
  const spent = new Map();
  let at = profile.startTime;
  for (const [index, node] of profile.samples.entries()) {
    at += profile.timeDeltas[index];
    const area = areaOf.get(node);
    if (area === undefined || !slices.some(({ from, to }) => at >= from && at < to)) continue;
    // a sample stands for the time until the next one
    spent.set(area, (spent.get(area) ?? 0) + (profile.timeDeltas[index + 1] ?? 0));
  }
  if (spent.size === 0) throw new Error(`${file} has no sample of the measured slices`);
  const count = slices.reduce((sum, slice) => sum + slice.count, 0);
  return Object.fromEntries([...spent].map(([area, us]) => [area, us / 1000 / count]));
}

function areasByNode(nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const areas = new Map();
  const left = [[nodes[0], undefined]];
  while (left.length > 0) {
    const [{ id, callFrame, children = [] }, caller] = left.pop();
    const area = areaOfFrame(callFrame, caller);
    areas.set(id, area);
    for (const child of children) left.push([byId.get(child), area]);
  }
  return areas;
}

function areaOfFrame({ functionName, url }, caller) {
  if (NO_FUNCTION.has(functionName)) return NO_FUNCTION.get(functionName);
  return url === '' ? areaOfNative(caller) : areaOfUrl(url);
}

/** Built-in functions and generated code have no file: they work for who calls them. Those of node are system calls, mostly. */
function areaOfNative(caller = OUTSIDE) {
  return caller.startsWith('node: ') && !caller.endsWith(NATIVE) ? caller + NATIVE : caller;
}

/** `src/rewards` or `src/gate.js` of the product, the name of a package, or the part of node. */
function areaOfUrl(url) {
  const internal = /^node:(?:internal\/)?_?(http|stream|\w+)/.exec(url)?.[1];
  if (internal) return `node: ${internal}`;
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  const installed = /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(path)?.[1];
  if (installed) return installed.replace('\\', '/');
  const [first, second, third] = relative(root, path).split(/[\\/]/);
  return first === 'dist' ? `${second}/${third}` : `${first}/${second}`;
}

function nameOf(side) {
  return `${side}.cpuprofile`;
}
