import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Haproxy, isHaproxyInstalled } from './support/haproxy';
import { freePort, isPgBouncerInstalled, keepsPreparedStatements, PgBouncer } from './support/pgbouncer';
import { usePrograms, type Program } from './support/process';
import { cloneDatabase, startWorld, type Player } from './support/world';

/** What compose.yaml runs, from the files that it mounts: two instances, HAProxy before them and PgBouncer behind them. */

const FOLDER = join(__dirname, '../deploy/compose');
const read = (file: string) => readFileSync(join(FOLDER, file), 'utf8');
const SECRET = 'a secret that only the tests know, 32+';
const CLIENTS = 8;
const PLAYERS = 200;
/** Between two claims of a client: enough are under way at any time, and the machine has time for the rest. */
const PAUSE_MS = 10;

jest.setTimeout(120_000);

const { run } = usePrograms();

let closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** A database whose role has the limits of limits.sql, by way of the pooler of pgbouncer.ini. */
async function pooledDatabase() {
  const database = await cloneDatabase();
  const { hostname, port } = new URL(database.url);
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(read('../limits.sql').replaceAll('DATABASE amba', `DATABASE ${database.name}`));
  await client.end();
  const ini = read('pgbouncer.ini')
    .replace('amba = host=postgres port=5432', `${database.name} = host=${hostname} port=${port}`)
    .replace(keepsPreparedStatements ? '' : /^max_prepared_statements = .*\n/m, '');
  const pooler = await PgBouncer.with(ini, database.url);
  closing.push(database.drop, () => pooler.close());
  return { direct: database.url, pooled: pooler.urlOf(database.url) };
}

interface Instance {
  start: () => Promise<void>;
  program?: Program;
}

/** Two instances on ports of their own, and the proxy before them. */
async function deployment(databaseUrl: string) {
  const ports = [await freePort(), await freePort()] as const;
  const [first, second] = ports.map((port): Instance => {
    const instance: Instance = {
      start: async () => {
        instance.program = run('main', {
          ...{ DATABASE_URL: databaseUrl, SESSION_SECRET: SECRET, TRUST_PROXY: '1', PORT: String(port) },
          ...{ SHUTDOWN_DRAIN_S: '1' },
          DATABASE_PREPARED_STATEMENTS: String(keepsPreparedStatements),
        });
        await instance.program.says('is ready');
      },
    };
    return instance;
  }) as [Instance, Instance];
  await Promise.all([first.start(), second.start()]);
  const proxy = await Haproxy.before(ports);
  closing.push(() => proxy.close());
  return { first, second, proxy };
}

/** A claim with an `Idempotency-Key`, so that one which is sent again gets the same answer. */
function claim(url: string, player: Player, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { ...player.headers, 'content-type': 'application/json', 'idempotency-key': player.id };
    const request = httpRequest(`${url}/v1/client/referrals/claim`, { method: 'POST', headers, agent });
    request.on('error', reject).on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
      response.on('error', reject);
    });
    request.end('{"code":"PROMO"}');
  });
}

/** Clients that claim over kept connections, one player after the other and then again, until they are told to stop. */
function load(url: string, players: Player[]) {
  const outcomes = { claimed: new Set<string>(), failures: [] as string[] };
  let isOver = false;
  let next = 0;
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const player = players[next++ % players.length]!;
      const answer = await claim(url, player, agent).catch(String);
      if (answer.startsWith('201 ')) outcomes.claimed.add(player.id);
      else outcomes.failures.push(answer.replace(/"request_id.*/, ''));
      await sleep(PAUSE_MS);
    }
    agent.destroy();
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    outcomes,
    stop: async () => {
      isOver = true;
      await clients;
      return outcomes;
    },
  };
}

(isHaproxyInstalled && isPgBouncerInstalled ? describe : describe.skip)(
  'behind HAProxy and PgBouncer (skipped where they are not installed)',
  () => {
    it('no claim fails while one instance is replaced and the other one is killed', async () => {
      const { direct, pooled } = await pooledDatabase();
      const { world, close } = await startWorld(direct, {}, { isPooled: false });
      closing.push(close);
      const tenant = await world.tenant();
      await tenant.currency({ code: 'gems' });
      await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
      const players = await tenant.players(PLAYERS);
      const { first, second, proxy } = await deployment(pooled);
      const { url } = proxy;

      const { stop } = load(url, players);
      first.program?.kill('SIGTERM');
      expect(await first.program?.exit).toBe(0);
      await proxy.says('Server api/api-1 is DOWN');
      await first.start();
      await proxy.says('Server api/api-1 is UP, reason: Layer7 check passed, code: 200');
      second.program?.kill('SIGKILL');
      await proxy.says('Server api/api-2 is DOWN');
      const { claimed, failures } = await stop();

      expect(failures).toEqual([]);
      expect(claimed.size).toBe(PLAYERS);
      const [counted] = await world.db.query(
        `SELECT count(*)::int AS claims, count(DISTINCT referee_id)::int AS referees FROM referral_claims`,
      );
      expect(counted).toEqual({ claims: PLAYERS, referees: PLAYERS });

      // the address of who asks is the one that the proxy sees, not the one that somebody writes
      const created = await fetch(`${url}/v1/admin/projects/${tenant.id}/api-keys`, {
        method: 'POST',
        headers: { ...tenant.server, 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' },
        body: '{"key_type":"client","environment":"development"}',
      });
      expect(created.status).toBe(201);
      const log = await fetch(`${url}/v1/admin/projects/${tenant.id}/audit-log?action=api_key.create`, {
        headers: tenant.server,
      });
      expect(((await log.json()) as any).data[0].address).toBe('127.0.0.1');
    });
  },
);
