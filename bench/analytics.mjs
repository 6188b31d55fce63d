import { cpus } from 'node:os';
import { indexCost, naiveReport, seed } from './analytics-data.mjs';
import { BENCH, load, withApp } from './app.mjs';

/**
 * Times the analytics route on projects with a million claims, beside a plain aggregation of the same rows in the same
 * run. Prints Markdown. Needs nothing but this repository; takes some minutes and 3 GB of disk, and cleans up.
 *
 *   npm run bench:analytics [-- claims]
 */

const CLAIMS = Number(process.argv[2] ?? 1_000_000);
const PERIODS = [1, 7, 30, 90, 366];
const RUNS = 40;
const NAIVE_RUNS = 3;

const SCENARIOS = [
  {
    name: 'steep: 100,000 codes, the first 1 % get 22 % of the claims',
    codes: 100_000,
    steepness: 3,
    days: 366,
  },
  { name: 'even: 100,000 codes, 10 claims each', codes: 100_000, steepness: 1, days: 366 },
  { name: 'all in the last 24 hours: 100,000 codes, steep', codes: 100_000, steepness: 3, days: 1 },
];

const { ProjectsService } = await load('src/projects/projects.service.js');
const { RollupsService } = await load('src/analytics/rollups.service.js');

await withApp({}, async (app, databaseUrl) => {
  console.log(`${CLAIMS.toLocaleString('en')} claims a project, ${cpus().length} × ${cpus()[0]?.model}`);
  for (const scenario of SCENARIOS) await measure(app, databaseUrl, scenario);
});

async function measure(app, databaseUrl, scenario) {
  const { project, keys } = await app.get(ProjectsService).create(BENCH, { name: 'Bench' }, 'development');
  const access = { projectId: project.id, serverKey: keys.server.key };
  const client = await seed(databaseUrl, project.id, { ...scenario, claims: CLAIMS });
  console.log(`\n## ${scenario.name}\n`);

  const open = await timed(() => report(app, access, Math.min(scenario.days, 30)));
  console.log(
    `Before any rollup, ${Math.min(scenario.days, 30)} days: ${open.status} after ${ms(open.time)} ms.`,
  );

  const slices = [];
  const rollUp = () => timed(async () => ({ more: await app.get(RollupsService).runOnce(new Date()) }));
  for (let more = true; more;) {
    const slice = await rollUp();
    ({ more } = slice);
    slices.push(slice.time);
  }
  const total = slices.reduce((sum, time) => sum + time, 0);
  console.log(
    `Rollup: ${ms(total)} ms in ${slices.length - 1} slices, the longest ${ms(Math.max(...slices))} ms; ` +
      `${ms((total / CLAIMS) * 1e5)} ms per 100,000 claims.`,
  );
  await client.query('VACUUM ANALYZE');

  console.log('\n| Days | Claims | p50 ms | p95 ms | Plain aggregation ms | Ratio of p50 |');
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const days of PERIODS.filter((length) => length <= scenario.days)) {
    const times = [];
    let answer;
    for (let run = -3; run < RUNS; run += 1) {
      const { time, data } = await timed(() => report(app, access, days));
      if (run >= 0) times.push(time);
      answer = data;
    }
    const naive = [];
    for (let run = 0; run < NAIVE_RUNS; run += 1) {
      const { time, ...counted } = await timed(() => naiveReport(client, project.id, answer.period));
      naive.push(time);
      assertSame(counted, answer);
    }
    const [p50, plain] = [quantile(times, 0.5), quantile(naive, 0.5)];
    const columns = [
      days,
      answer.totals.claims.toLocaleString('en'),
      ms(p50),
      ms(quantile(times, 0.95)),
      ms(plain),
    ];
    console.log(`| ${columns.join(' | ')} | ${(plain / p50).toFixed(0)} × |`);
  }

  const looks = [];
  for (let look = 0; look < 100; look += 1) looks.push((await rollUp()).time);
  console.log(`\nA look of the worker when nothing is to be done: ${quantile(looks, 0.5).toFixed(2)} ms.`);
  if (scenario === SCENARIOS[0]) {
    for (const { table, without, cost } of await indexCost(client, project.id)) {
      console.log(
        `Index by time on ${table}: ${cost.toFixed(1)} µs more than ${without.toFixed(1)} µs a row.`,
      );
    }
  }
  await client.end();
}

async function report(app, { projectId, serverKey }, days) {
  const from = new Date(Date.now() - (days - 1) * 86_400_000).toISOString().slice(0, 10);
  const response = await fetch(
    `${await app.getUrl()}/v1/admin/projects/${projectId}/analytics?from=${from}`,
    {
      headers: { authorization: `Bearer ${serverKey}` },
    },
  );
  const { data } = await response.json();
  return { status: response.status, data };
}

/** The route is only worth timing if it is right. */
function assertSame({ claims, referrers, top, promised }, { totals, top_referrers, rewards }) {
  const counted = [claims, referrers, top, promised];
  const answered = [
    totals.claims,
    totals.unique_referrers,
    top_referrers.map((row) => row.claims),
    rewards[0]?.promised ?? 0,
  ];
  if (JSON.stringify(counted) !== JSON.stringify(answered)) {
    throw new Error(`${JSON.stringify(answered)} is not ${JSON.stringify(counted)}`);
  }
}

async function timed(work) {
  const start = performance.now();
  const result = await work();
  return { ...result, time: performance.now() - start };
}

function quantile(times, share) {
  return [...times].sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))];
}

function ms(time) {
  return time < 10 ? time.toFixed(1) : Math.round(time).toLocaleString('en');
}
