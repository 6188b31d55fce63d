import { isDeepStrictEqual } from 'node:util';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../scripts/prepare.mjs';

/**
 * Measures the built server beside a floor that does the same work on `node:http` and `pg` alone, over HTTP, on a durable
 * PostgreSQL of its own. Needs nothing but this repository, and cleans up.
 *
 *   npm run bench [-- --help]
 */
prepare();
// not at the top: the packages may just have been installed
const { readOptions } = await import('./options.mjs');
const { withDurablePostgres } = await import('./postgres.mjs');
const { makeTemplate } = await import('./stage.mjs');
const { startWorker, stop } = await import('./programs.mjs');
const { closeSide, FLOOR, openSide } = await import('./sides.mjs');
const { measureTraffic } = await import('./traffic.mjs');
const { measureCase } = await import('./measure.mjs');
const { missedTargets, ratioOf, tables } = await import('./report.mjs');
const { areasOf, profileOf, profilerOptions } = await import('./profile.mjs');
const { profileTables } = await import('./profile-report.mjs');
const { isUsageKnown, peakMemoryOf } = await import('./usage.mjs');
const { runScale } = await import('./scale.mjs');
const { measureColdStarts } = await import('./cold-start.mjs');
const { runSoak } = await import('./soak.mjs');

const load = (path) => import(join(import.meta.dirname, '../dist', path));
const { EmbeddedPostgres } = await load('src/database/embedded-postgres.js');
const { migrate } = await load('src/database/migrate.js');
const { generateApiKey, digestOf } = await load('src/auth/api-key.js');
const { INVARIANTS } = await load('src/integrity/invariants.js');

const product = { migrate, generateApiKey, digestOf, secret: 'only for the length of a benchmark' };
const options = readOptions(process.argv.slice(2));

/** How far it is, on stderr: stdout belongs to the report. */
const tell = (line) => process.stderr.write(`${process.uptime().toFixed(0).padStart(4)} s  ${line}\n`);

const coldStarts = {};
for (const adapter of options.soak ? options.adapters : [])
  coldStarts[adapter] = await measureColdStarts(adapter, tell);

await withDurablePostgres(EmbeddedPostgres, async (url, admin) => {
  tell('Making the databases …');
  const crowd = await makeTemplate(admin, url, product);
  if (options.scale) {
    const machine = await describeMachine(admin);
    return runScale(
      { ...options, ...product, machine, postmaster: machine.postmaster },
      { admin, url, crowd, tell },
    );
  }
  if (options.soak) {
    const machine = await describeMachine(admin);
    return runSoak({ ...options, machine, invariants: INVARIANTS, coldStarts }, { admin, url, crowd, tell });
  }
  const sides = [];
  const loader = startWorker('bench/load.mjs');
  try {
    for (const name of [FLOOR, ...options.adapters]) {
      const nodeOptions = profilerOptions(options.profile, name);
      sides.push(await openSide(name, { admin, url, crowd }, { nodeOptions }));
    }
    tell('Counting round trips …');
    const report = await measure({ ...options, sides, load: loader, admin });
    tell('Checking the invariants …');
    for (const side of sides) tell(`${side.name}: ${JSON.stringify(await closeSide(side, INVARIANTS))}`);
    if (options.profile) report.profile = readProfiles(report);
    print(report);
    assertTargets(report);
  } finally {
    for (const child of [loader.child, ...sides.map((side) => side.child)]) await stop(child);
    for (const { client } of sides) await client.end();
  }
});

async function measure(bench) {
  const { admin, sides, cases: names, rounds, seconds, connections, adapters } = bench;
  const machine = await describeMachine(admin);
  const traffic = {};
  for (const side of sides) traffic[side.name] = await measureTraffic(side, names, admin);
  const cases = [];
  for (const name of names) {
    tell(`${name} …`);
    assertAlike(name, traffic);
    const figures = await measureCase(name, { ...bench, postmaster: machine.postmaster });
    const counted = sides.map((side) => [side.name, traffic[side.name][name]]);
    const ratios = adapters.map((adapter) => [adapter, ratioOf(figures, adapter)]);
    cases.push({
      ...{ name, figures, ratios: Object.fromEntries(ratios) },
      traffic: Object.fromEntries(counted),
    });
  }
  const memory = isUsageKnown
    ? Object.fromEntries(sides.map(({ name, pid }) => [name, peakMemoryOf(pid)]))
    : {};
  return { machine, adapters, rounds, seconds, connections, cases, memory };
}

/** Of servers that have ended: their profiles are written then. */
function readProfiles({ cases, adapters }) {
  const fileOf = (side) => profileOf(options.profile, side);
  const sides = [FLOOR, ...adapters];
  const ofCase = ({ name, figures }) => ({
    name,
    areas: Object.fromEntries(sides.map((side) => [side, areasOf(fileOf(side), figures[side])])),
  });
  return { files: sides.map(fileOf), cases: cases.map(ofCase) };
}

function print(report) {
  const text = [tables(report), ...(report.profile ? [profileTables(report.profile)] : [])].join('\n\n');
  console.log(options.json ? JSON.stringify(report, null, 2) : text);
}

/** A floor that answers less does less. */
function assertAlike(name, traffic) {
  for (const [side, counted] of Object.entries(traffic)) {
    const [expected, found] = [traffic[FLOOR][name].shape, counted[name].shape];
    if (isDeepStrictEqual(expected, found)) continue;
    throw new Error(
      `${name}: ${FLOOR} answers ${JSON.stringify(expected)}, ${side} ${JSON.stringify(found)}`,
    );
  }
}

async function describeMachine(admin) {
  const { rows } = await admin.query(
    `SELECT current_setting('server_version') AS postgres, current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS synchronous_commit,
            split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS postmaster`,
  );
  return { cpus: cpus().length, model: cpus()[0]?.model, node: process.versions.node, ...rows[0] };
}

function assertTargets(report) {
  const missed = missedTargets(report);
  if (missed.length === 0 || !options.assertTargets) return;
  tell(`Short of the target: ${missed.join('; ')}.`);
  process.exitCode = 1;
}
