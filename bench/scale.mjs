import { setTimeout } from 'node:timers/promises';
import { startApp, load as built } from './app.mjs';
import { idOf } from './crowd.mjs';
import { FIRST_GROWN, grow, owe } from './growth.mjs';
import { measureCase } from './measure.mjs';
import { connect, setDurable } from './postgres.mjs';
import { startWorker, stop } from './programs.mjs';
import { startProgram } from './sides.mjs';
import { SCALE_CASES } from './scale-cases.mjs';
import { caseLine, scaleReport } from './scale-report.mjs';
import { quantile } from './statistics.mjs';
import { copyTemplate } from './stage.mjs';

/** An almost empty project beside one that has grown: the same requests, and the sweeper with promises due and with none. */

const EMPTY_USERS = 1_000;
/** Two promises each. */
const OWING_CLAIMS = 50_000;
const IDLE_SWEEPS = 500;
const FIRST_WARM_UPS = [1];

const { PaymentsService } = await built('src/rewards/payments.service.js');
const { INVARIANTS } = await built('src/integrity/invariants.js');

/** Prints Markdown. @param bench the options, and what the built application makes keys with */
export async function runScale(bench, stage) {
  const { tell } = stage;
  await setDurable(stage.admin, false);
  const sides = [
    await openSide('empty', EMPTY_USERS, bench, stage),
    await openSide('filled', bench.rows, bench, stage),
  ];
  await setDurable(stage.admin, true);
  const load = startWorker('bench/load.mjs');
  try {
    const cases = {};
    for (const name of Object.keys(SCALE_CASES)) {
      tell(`${name} …`);
      cases[name] = await measureCase(name, {
        ...bench,
        ...stage,
        sides,
        load,
        firstWarmUps: FIRST_WARM_UPS,
      });
      tell(caseLine(name, cases[name]));
    }
    for (const { child } of [load, ...sides]) await stop(child);
    const sweeps = {};
    for (const side of sides) {
      const sweep = await measureSweeper(side, tell);
      sweeps[side.name] = sweep;
      tell(
        `${side.name}: ${sweep.perSecond.toFixed(0)} promises a second, until all were paid ${sweep.seconds.toFixed(1)} s`,
      );
    }
    tell('Checking the invariants …');
    for (const side of sides) side.checks = await checkInvariants(side);
    console.log(scaleReport({ ...bench, sides, cases, sweeps }));
  } finally {
    for (const { child } of [load, ...sides]) await stop(child);
    for (const { client } of sides) await client.end();
  }
}

async function openSide(name, users, { generateApiKey, digestOf }, { admin, url, crowd, tell }) {
  const databaseUrl = await copyTemplate(admin, url, `bench_${name}`);
  const client = await connect(databaseUrl);
  const started = performance.now();
  await grow(client, { projectId: crowd.projectId, users }, (step) => tell(`${name}: ${step}`));
  const loadedInS = (performance.now() - started) / 1000;
  const serverKey = generateApiKey('server', 'production');
  await client.query(
    `INSERT INTO api_keys (project_id, key_type, environment, prefix, digest) VALUES ($1, 'server', 'production', $2, $3)`,
    [crowd.projectId, serverKey.slice(0, 12), digestOf(serverKey)],
  );
  const known = { ...crowd, serverKey, users, ...(await factsOf(client)) };
  const program = await startProgram('express', databaseUrl, crowd, { env: { INTEGRITY_INTERVAL_S: '0' } });
  tell(`${name}: waiting for the rollups`);
  await rolledUp(client);
  await client.query('VACUUM ANALYZE');
  return {
    ...{ name, users, databaseUrl, client, loadedInS, ...program },
    ...{ crowd: known, fresh: { next: crowd.fresh, end: crowd.fresh } },
  };
}

/** What the cases need to know of a project: how long the longest history is, for one. */
async function factsOf(client) {
  const [hotCodeId, hotUserId, quietUserId] = [
    idOf('code', FIRST_GROWN),
    idOf('user', FIRST_GROWN),
    idOf('user', FIRST_GROWN + 7),
  ];
  const { rows } = await client.query(
    `SELECT count(*)::int AS lines, pg_size_pretty(pg_database_size(current_database())) AS size
       FROM currency_transactions WHERE user_id = $1`,
    [hotUserId],
  );
  return { hotCodeId, quietUserId, ...rows[0] };
}

/** What the server sees to by itself is not what is measured. */
async function rolledUp(client) {
  for (let isDone = false; !isDone;) {
    await setTimeout(500);
    const { rows } = await client.query(
      `SELECT min(closed_until) > now() - interval '3 hours' AS "isDone" FROM analytics_progress`,
    );
    ({ isDone } = rows[0]);
  }
}

/** In this process, batch after batch, as the server's own sweeper works off what it finds. */
async function measureSweeper({ name, databaseUrl, client, users, crowd }, tell) {
  tell(`${name}: the sweeper, with none due`);
  const app = await startApp(databaseUrl, { integrityIntervalMs: 0, housekeepingIntervalMs: 0 });
  try {
    const payments = app.get(PaymentsService);
    const idle = [];
    for (let sweep = 0; sweep < IDLE_SWEEPS; sweep += 1)
      idle.push((await timed(() => payments.payDue(new Date()))).ms);
    tell(`${name}: the sweeper, with ${2 * OWING_CLAIMS} due`);
    await owe(client, { projectId: crowd.projectId, users, claims: OWING_CLAIMS });
    await client.query('CHECKPOINT');
    const batches = [];
    for (let isMore = true; isMore;) {
      const { result, ms } = await timed(() => payments.payDue(new Date()));
      batches.push(ms);
      isMore = result;
    }
    const total = batches.reduce((sum, ms) => sum + ms, 0);
    return {
      ...{ idleP50: quantile(idle, 0.5), idleP99: quantile(idle, 0.99), seconds: total / 1000 },
      ...{ perSecond: (2 * OWING_CLAIMS * 1000) / total, longest: Math.max(...batches) },
    };
  } finally {
    await app.close();
  }
}

/** How long each invariant takes, and that all of them hold and nothing is left unpaid. */
async function checkInvariants({ name, client }) {
  const checks = [];
  for (const { number, name: invariant, sql } of INVARIANTS) {
    const { result, ms } = await timed(() => client.query(sql, [null]));
    if (result.rows.length > 0)
      throw new Error(`${name}: ${result.rows.length} rows break invariant ${number}, ${invariant}`);
    checks.push({ number, invariant, seconds: ms / 1000 });
  }
  const { rows } = await client.query(
    `SELECT count(*)::int AS unpaid FROM reward_grants WHERE status <> 'granted'`,
  );
  if (rows[0].unpaid > 0) throw new Error(`${name}: ${rows[0].unpaid} rewards are not paid`);
  return checks;
}

async function timed(work) {
  const start = performance.now();
  const result = await work();
  return { result, ms: performance.now() - start };
}
