import { cpus } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../scripts/prepare.mjs';
import { ratio, median } from './figures.mjs';
import { urlOfDatabase, withDurablePostgres } from './postgres.mjs';
import { startServer, startWorker, stop } from './programs.mjs';
import { CLAIMED, CONDITIONS, copyOf, forWriter, OPERATOR_ROLE, seed, SERVER_ROLE } from './rls-stage.mjs';
import { cpuOf } from './usage.mjs';

/**
 * What row-level security would cost, over HTTP and for the statements alone, beside the same work without it: both at
 * the same time, so that other programs disturb both alike. Prints Markdown. Linux; needs nothing
 * but this repository, and cleans up.
 *
 *   npm run bench:rls [-- rounds [seconds [works]]]
 *
 * The works, separated by commas: `claim`, `my-code` and `balances` over HTTP, `today` and `lean` as statements alone.
 */
const ROUNDS = Number(process.argv[2] ?? 9);
const SECONDS = Number(process.argv[3] ?? 8);
const WORKS = process.argv[4]?.split(',');
const HEADER = `| Work | Wall | a second | × | CPU s per 1,000: node | PostgreSQL | both × |
| --- | --- | ---: | ---: | ---: | ---: | ---: |`;
/** How much of the time of a slice each work gets. */
const SHARES = { claim: 1, today: 1 / 2, lean: 1 / 2, 'my-code': 1 / 4, balances: 1 / 4 };
const STATEMENTS = ['today', 'lean'];
const ROUTES = ['claim', 'my-code', 'balances'];
/** Ways to build the wall: what a policy says, and whether a server names its tenant for reads (`rls-tenant.cjs`). */
const VARIANTS = [
  { name: 'none, as a control', works: STATEMENTS },
  { name: 'none, as a control', works: ROUTES },
  { name: 'evaluated once', condition: CONDITIONS.once, works: STATEMENTS },
  { name: 'transactions and reads', condition: CONDITIONS.each, reads: 'named', works: ROUTES },
  { name: 'transactions only', condition: CONDITIONS.each, reads: 'never', works: ['claim'] },
  { name: 'evaluated for each row', condition: CONDITIONS.each, works: STATEMENTS },
];
const SECRET = 'only for the length of a benchmark';

prepare();
const load = (path) => import(join(import.meta.dirname, '../dist', path));
const { EmbeddedPostgres } = await load('src/database/embedded-postgres.js');
const { migrate } = await load('src/database/migrate.js');
const { generateApiKey, digestOf } = await load('src/auth/api-key.js');
const { signSessionToken } = await load('src/auth/session-token.js');

const credentials = {
  generateKey: () => generateApiKey('client', 'production'),
  digestOf,
  signSession: async (claims) => (await signSessionToken(claims, SECRET, 86_400)).token,
};

await withDurablePostgres(EmbeddedPostgres, measure);

async function measure(url, admin) {
  await admin.query('CREATE DATABASE bench');
  const source = urlOfDatabase(url, 'bench');
  await migrate(source);
  const projects = await seed(source, credentials);
  const generators = [0, 1].map(() => startWorker('bench/rls-load.mjs'));
  for (const generator of generators) await generator.ask({ step: 'meet', projects });
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}, ${ROUNDS} rounds\n`);
  console.log(HEADER);
  for (const [no, variant] of VARIANTS.entries()) {
    const works = variant.works.filter((work) => WORKS?.includes(work) ?? true);
    if (works.length === 0) continue;
    const urls = [
      await copyOf(source, `plain_${no}`),
      await copyOf(source, `walled_${no}`, variant.condition),
    ];
    const pair = variant.works === STATEMENTS ? bare(urls, variant) : await servers(urls, variant, projects);
    const bench = { admin, generators, next: [CLAIMED, CLAIMED] };
    for (const work of works) report(work, variant.name, await compare(bench, work, pair));
    for (const { child } of pair) await stop(child);
  }
}

/** The databases themselves. */
function bare([plain, walled], { condition }) {
  return [{ url: plain }, { url: walled, isProtected: condition !== undefined }];
}

async function servers([plain, walled], { reads }, projects) {
  return [await serve(plain), await serve(reads === 'never' ? forWriter(walled) : walled, reads, projects)];
}

function databaseOf(url) {
  return new URL(url).pathname.slice(1);
}

async function serve(url, reads, projects) {
  const nodeOptions = reads === undefined ? [] : ['--require', join(import.meta.dirname, 'rls-tenant.cjs')];
  const env = {
    ...{ DATABASE_URL: url, SESSION_SECRET: SECRET },
    ...{ REQUESTS_PER_ADDRESS: '0', REQUESTS_PER_USER: '0', REQUESTS_PER_KEY: '0' },
    ...{ RLS_READS: reads, RLS_OPERATOR: OPERATOR_ROLE, RLS_SERVER: SERVER_ROLE },
    RLS_PROJECTS: JSON.stringify((projects ?? []).map(({ id }) => id)),
  };
  const server = await startServer('dist/src/main.js', env, { nodeOptions });
  return { ...server, database: databaseOf(url) };
}

/** Both at once; the two load generators change sides after each round. */
async function compare({ admin, generators, next }, work, pair) {
  const rounds = [];
  // the first round warms up
  for (let round = -1; round < ROUNDS; round += 1) {
    const slices = pair.map(async ({ url, database = databaseOf(url), pid, isProtected }, side) => {
      const generator = generators[(side + round + 1) % 2];
      const task = { work, url, isProtected, from: next[side], ms: SHARES[work] * SECONDS * 1000 };
      const { figures, next: free } = await slice({ admin, generator, database, pid }, task);
      next[side] = free;
      return figures;
    });
    const figures = await Promise.all(slices);
    if (round >= 0) rounds.push(figures);
  }
  return rounds;
}

async function slice({ admin, generator, database, pid }, { ms, ...task }) {
  await generator.ask({ step: 'start', ...task });
  const start = await cpu(admin, database, pid);
  const result = await generator.ask({ step: 'measure', ms });
  const end = await cpu(admin, database, pid);
  const { next } = await generator.ask({ step: 'finish' });
  const perThousand = (seconds) => (seconds / result.count) * 1000;
  const figures = {
    perSecond: result.count / result.seconds,
    node: perThousand(pid === undefined ? result.cpu : end.node - start.node),
    postgres: perThousand(used(start.connections, end.connections)),
  };
  return { figures, next };
}

/** Seconds that each process has used so far: the server's, and those of its connections. */
async function cpu(admin, database, pid) {
  const { rows } = await admin.query(
    `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
    [database],
  );
  return {
    node: pid === undefined ? 0 : cpuOf(pid),
    connections: new Map(rows.map((row) => [row.pid, cpuOf(row.pid)])),
  };
}

/** Of those that are there at the end: a pool opens and closes some. */
function used(start, end) {
  return [...end].reduce((sum, [pid, seconds]) => sum + seconds - (start.get(pid) ?? 0), 0);
}

function report(work, name, pairs) {
  const total = ({ node, postgres }) => node + postgres;
  const both = (value, digits) =>
    [0, 1].map((side) => median(pairs.map((pair) => value(pair[side]))).toFixed(digits)).join(' → ');
  const change = (value) => ratio(pairs.map(([without, variant]) => value(variant) / value(without)));
  const columns = [
    ...[work, name, both(({ perSecond }) => perSecond, 0), change(({ perSecond }) => perSecond)],
    ...[both(({ node }) => node, 3), both(({ postgres }) => postgres, 3), change(total)],
  ];
  console.log(`| ${columns.join(' | ')} |`);
}
