import { CASES } from './cases.mjs';
import { headersOf } from './crowd.mjs';
import { median } from './figures.mjs';
import { stop } from './programs.mjs';
import { startRelay } from './relay.mjs';
import { ensureFresh, startProgram } from './sides.mjs';

/** Of each case, one after another. The middle one counts: a worker of the server may get in between now and then. */
const REQUESTS = 21;

/**
 * How often a request waits for PostgreSQL and how many transactions it writes, and what it is answered: one request at
 * a time, through a relay that counts.
 *
 * @returns by case: `trips`, `writes`, and `shape`, the last answer with its values left out
 */
export async function measureTraffic(side, names, admin) {
  await ensureFresh(side, REQUESTS * names.length);
  const relay = await startRelay(side.databaseUrl);
  const program = await startProgram(side.name, relay.url, side.crowd);
  try {
    const traffic = {};
    for (const name of names) traffic[name] = await ofCase(CASES[name], { side, relay, program, admin });
    return traffic;
  } finally {
    await stop(program.child);
    relay.close();
  }
}

async function ofCase({ next }, { side, relay, program, admin }) {
  const [trips, writes] = [[], []];
  let shape;
  for (let turn = 0; turn < REQUESTS; turn += 1) {
    const asked = next(turn, () => side.fresh.next++);
    const before = [relay.trips(), await writesOf(admin)];
    const answer = await send(program.url, asked, side.crowd);
    trips.push(relay.trips() - before[0]);
    writes.push((await writesOf(admin)) - before[1]);
    shape = shapeOf(answer);
  }
  return { trips: median(trips), writes: median(writes), shape };
}

/** Every transaction that writes takes a number, whether it says COMMIT or is one statement. */
async function writesOf(admin) {
  const { rows } = await admin.query('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next');
  return Number(rows[0].next);
}

async function send(url, { user, method, path, body, status }, crowd) {
  const headers = { ...headersOf(user, crowd), ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(`${url}${path}`, { method, headers, body });
  const answer = await response.json();
  if (response.status !== status) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
  const unpaid = answer.data?.rewards?.find((reward) => reward.granted !== reward.amount);
  if (unpaid) throw new Error(`${path}: not paid: ${JSON.stringify(answer)}`);
  return answer;
}

/** Names and kinds of values: two servers give the same answer when these are the same. */
function shapeOf(value) {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
}
