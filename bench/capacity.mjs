import { cpus } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../scripts/prepare.mjs';
import { caseOf } from './cases.mjs';

/**
 * What requests take of node, of PostgreSQL, of its log and of its disk, with one instance and with several on one durable
 * database. Prints Markdown. CPU, bytes and memory can be measured on a busy machine; rates cannot.
 *
 *   npm run bench:capacity [-- seconds of a slice]
 */

const [, , asked = '10'] = process.argv;
if (!/^[1-9]\d*$/.test(asked)) {
  console.error('Usage: npm run bench:capacity [-- seconds of a slice]');
  process.exit(2);
}
const SECONDS = Number(asked);
const CONNECTIONS = 24;
const INSTANCES = [1, 2, 3];
const CASES = ['claims-spread', 'claims-hot', 'my-code', 'balances', 'day'];
/** Requests a second of one instance that nobody reaches who uses a user up with each. */
const FASTEST = 2_000;
const OF_CLAIMS = ['referral_claims', 'reward_grants', 'currency_transactions', 'balances'];

prepare();
const { withDurablePostgres } = await import('./postgres.mjs');
const { makeTemplate } = await import('./stage.mjs');
const { startWorker, stop } = await import('./programs.mjs');
const { closeSide, ensureFresh, openSide, startProgram } = await import('./sides.mjs');
const { cpuOf, cpuOfFamily, memoryOf } = await import('./usage.mjs');
const load = (path) => import(join(import.meta.dirname, '../dist', path));
const { EmbeddedPostgres } = await load('src/database/embedded-postgres.js');
const { migrate } = await load('src/database/migrate.js');
const { generateApiKey, digestOf } = await load('src/auth/api-key.js');
const { INVARIANTS } = await load('src/integrity/invariants.js');

const rows = [];
await withDurablePostgres(EmbeddedPostgres, async (url, admin) => {
  const secret = 'only for the length of a benchmark';
  const crowd = await makeTemplate(admin, url, { migrate, generateApiKey, digestOf, secret });
  const side = await openSide('express', { admin, url, crowd });
  const instances = [{ ...side, loader: startWorker('bench/load.mjs') }];
  const { pid: postmaster, version } = await postgres(admin);
  for (const count of INSTANCES) {
    while (instances.length < count) {
      const program = await startProgram(side.name, side.databaseUrl, crowd);
      instances.push({ ...program, loader: startWorker('bench/load.mjs') });
    }
    for (const name of CASES) {
      process.stderr.write(`${count} × ${name} …\n`);
      rows.push(await measure(name, { side, instances, admin, postmaster }));
    }
  }
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}, PostgreSQL ${version} (fsync on); ` +
      `slices of ${SECONDS} s, ${CONNECTIONS} connections in all\n`,
  );
  console.log(table(rows));
  for (const { child, loader } of instances.slice(1)) await Promise.all([stop(child), stop(loader.child)]);
  await stop(instances[0].loader.child);
  console.log(`\n${JSON.stringify(await closeSide(side, INVARIANTS))}: every invariant holds.`);
});

/** After a warm-up: a slice that begins with a checkpoint, whose first changes log whole pages, and one that does not. */
async function measure(name, bench) {
  await slice(name, bench);
  await bench.admin.query('CHECKPOINT');
  const { wal: walAfterCheckpoint } = await slice(name, bench);
  return { name, ...(await slice(name, bench)), walAfterCheckpoint };
}

async function slice(name, { side, instances, admin, postmaster }) {
  const fresh = Math.ceil(FASTEST * SECONDS * caseOf(name).spends) + CONNECTIONS;
  await ensureFresh(side, fresh * instances.length);
  const before = await look({ side, instances, admin, postmaster });
  const tasks = instances.map(({ url, loader }) => {
    const own = { next: side.fresh.next, end: side.fresh.next + fresh };
    side.fresh.next = own.end;
    const connections = CONNECTIONS / instances.length;
    return loader.ask({ name, url, crowd: side.crowd, fresh: own, seconds: SECONDS, connections });
  });
  const answers = await Promise.all(tasks);
  const after = await look({ side, instances, admin, postmaster });
  const requests = answers.reduce((sum, { count }) => sum + count, 0);
  const of = (what) => (after[what] - before[what]) / requests;
  return {
    ...{ instances: instances.length, perSecond: answers.reduce((sum, { perSecond }) => sum + perSecond, 0) },
    ...{ node: of('node') * 1000, postgres: of('postgres') * 1000, wal: of('wal'), disk: of('disk') },
    ...(await backends(side)),
    nodeMib: Math.max(...instances.map(({ pid }) => memoryOf(pid).all)),
  };
}

async function look({ side, instances, admin, postmaster }) {
  const { rows } = await side.client.query(
    `SELECT sum(pg_total_relation_size(name::regclass))::float8 AS disk FROM unnest($1::text[]) name`,
    [OF_CLAIMS],
  );
  const wal = await admin.query(`SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS bytes`);
  return {
    ...{ disk: rows[0].disk, wal: wal.rows[0].bytes, postgres: cpuOfFamily(postmaster) },
    node: instances.reduce((sum, { pid }) => sum + cpuOf(pid), 0),
  };
}

/** The connections of the instances, and what memory one of them has for itself at the most, in MiB. */
async function backends({ client }) {
  const { rows } = await client.query(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'amba-referrals'`,
  );
  return { connections: rows.length, backendMib: Math.max(...rows.map(({ pid }) => memoryOf(pid).own)) };
}

async function postgres(admin) {
  const { rows } = await admin.query(
    `SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid, current_setting('server_version') AS version`,
  );
  return rows[0];
}

function table(measured) {
  const head = [
    ...['Case', 'Instances', 'Requests/s', 'CPU ms a request: node', 'PostgreSQL'],
    ...['Log, bytes a request', 'right after a checkpoint', 'Disk, bytes a request'],
    ...['Connections', 'MiB of one', 'MiB of node'],
  ];
  const body = measured.map((row) => [
    ...[caseOf(row.name).title, row.instances, row.perSecond.toFixed(0)],
    ...[row.node.toFixed(3), row.postgres.toFixed(3)],
    ...[row.wal.toFixed(0), row.walAfterCheckpoint.toFixed(0), row.disk.toFixed(0)],
    ...[row.connections, row.backendMib.toFixed(1), row.nodeMib.toFixed(0)],
  ]);
  return [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...body]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
