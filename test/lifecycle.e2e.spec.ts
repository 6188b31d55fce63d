import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { FrontDoor } from '../src/front-door';
import { Program, usePrograms } from './support/process';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase, startWorld, type Player, type World } from './support/world';

/** A server whose database comes late, goes away or stays while the server goes. */
const SECRET = 'a secret that only the tests know, 32+';
/** `OUTAGE_S=60 npx jest test/lifecycle` for the long one. */
const OUTAGE_MS = 1000 * Number(process.env.OUTAGE_S ?? 10);

jest.setTimeout(120_000 + OUTAGE_MS);

const { run } = usePrograms();

interface Answer {
  status: number;
  body: any;
  headers: Record<string, string | string[] | undefined>;
}

/** One request; rejects when no answer comes. */
function send(
  url: string,
  { headers = {}, body, agent }: { headers?: object; body?: object; agent?: Agent } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const json = body && JSON.stringify(body);
    const request = httpRequest(url, {
      method: json ? 'POST' : 'GET',
      agent: agent ?? false,
      headers: {
        ...headers,
        ...(json && { 'content-type': 'application/json', 'content-length': json.length }),
      },
    });
    request.on('error', reject).on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), headers: response.headers }),
      );
      response.on('error', reject);
    });
    request.end(json);
  });
}

const claim = (url: string, player: Player, agent?: Agent) =>
  send(`${url}/v1/client/referrals/claim`, { headers: player.headers, body: { code: 'PROMO' }, agent });

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error('did not come true within 30 s');
  }
}

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}

async function urlOf(program: Program): Promise<string> {
  return /http:\/\/127\.0\.0\.1:\d+/.exec(await program.says('is ready'))?.[0] ?? '';
}

/** A project with a code that pays 1 gem to both, in a database of its own, for servers that the test starts. */
async function stage() {
  const database = await cloneDatabase();
  const { world, close } = await startWorld(database.url);
  const tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  const owner = await tenant.player();
  await tenant.code({
    code: 'PROMO',
    userId: owner.id,
    rewardReferrer: { gems: 1 },
    rewardReferee: { gems: 1 },
  });
  const finish = async () => {
    await close();
    await database.drop();
  };
  return { world, tenant, owner, url: database.url, finish };
}

const claimIds = async ({ db }: World): Promise<string[]> =>
  (await db.query('SELECT id FROM referral_claims ORDER BY id')).map(({ id }: { id: string }) => id);

const pending = async ({ db }: World): Promise<number> =>
  (await db.query(`SELECT count(*)::int AS n FROM reward_grants WHERE status = 'pending'`))[0].n;

describe('a server that is started before its database', () => {
  it('is alive and not ready, and becomes ready when the database comes', async () => {
    const database = await cloneDatabase();
    const proxy = await TcpProxy.to(database.url);
    await proxy.down();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = { NODE_ENV: 'production', SHUTDOWN_DRAIN_S: '0', SESSION_SECRET: SECRET, PORT: port };
    const server = run('main', { ...env, DATABASE_URL: proxy.url });
    await server.says('try 1');
    expect(await send(`${url}/health/live`)).toMatchObject({ status: 200, body: { data: { status: 'ok' } } });
    for (const path of ['/health/ready', '/v1/client/currencies', '/docs']) {
      expect(await send(url + path)).toMatchObject({
        status: 503,
        body: { error: { code: 'SERVICE_UNAVAILABLE', request_id: expect.any(String) } },
        headers: { 'retry-after': '1', 'x-request-id': expect.any(String) },
      });
    }
    await proxy.up();
    await server.says('is ready');
    expect((await send(`${url}/health/ready`)).status).toBe(200);
    expect((await send(`${url}/v1/client/currencies`)).body.error.code).toBe('MISSING_API_KEY');
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    const lines = server.output.trim().split('\n');
    const requests = lines.map((line) => JSON.parse(line)).filter(({ status }) => status !== undefined);
    // those to /health are no more worth telling than when it is ready
    const told = requests.map(({ msg }) => msg);
    expect(told).toEqual(['GET none 503', 'GET none 503', 'GET /v1/client/currencies 401']);
    await proxy.down();
    await database.drop();
  });

  /** Each waits five seconds for an answer, so they wait together. */
  it('does not wait for ever on a link that falls silent when it is asked for its version, what it has migrated or its guards', async () => {
    await Promise.all(['server_version_num', 'to_regclass', 'tgenabled'].map(startsOverAt));
  });

  async function startsOverAt(question: string): Promise<void> {
    const database = await cloneDatabase();
    const proxy = await TcpProxy.to(database.url);
    let swallowed = 0;
    proxy.onClientData = (chunk) => {
      if (swallowed > 0 || !chunk.includes(question)) return 'forward';
      swallowed += 1;
      return 'swallow';
    };
    const server = run('main', { DATABASE_URL: proxy.url, SESSION_SECRET: SECRET });
    expect(await server.says('is ready')).toContain('try 1, Query read timeout');
    expect({ question, swallowed }).toEqual({ question, swallowed: 1 });
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    await proxy.down();
    await database.drop();
  }

  it('does not wait for another one that hangs in a migration, when there is none to make', async () => {
    const database = await cloneDatabase();
    const stuck = new Client({ connectionString: database.url });
    await stuck.connect();
    await stuck.query('BEGIN');
    await stuck.query('SET idle_in_transaction_session_timeout = 0');
    await stuck.query('SELECT pg_advisory_xact_lock(4826310957)');
    const server = run('main', { DATABASE_URL: database.url, SESSION_SECRET: SECRET });
    await server.says('is ready');
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    await stuck.end();
    await database.drop();
  });

  it('stops at once when it is told to while it waits', async () => {
    const server = run('main', { DATABASE_URL: 'postgres://u:p@127.0.0.1:9/x', SESSION_SECRET: SECRET });
    await server.says('try 1');
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    expect(server.output).toMatch(/Stopped\.\n$/);
  });
});

describe('SIGTERM under load', () => {
  /** As many as claim at once, each over its own kept connection (`keepAlive`) or a new one per request. */
  const CLIENTS = 24;

  it.each([
    ['kept connections', true],
    ['a new connection each time', false],
  ])('loses no answer: %s', async (_, keepAlive) => {
    const { world, tenant, url, finish } = await stage();
    const env = {
      ...{ DATABASE_URL: url, SESSION_SECRET: SECRET, SHUTDOWN_DRAIN_S: '1' },
      NODE_ENV: 'production',
    };
    const [leaving, staying] = [run('main', env), run('main', env)];
    const [first, second] = [await urlOf(leaving), await urlOf(staying)];
    const players = await tenant.players(600);
    const acknowledged: string[] = [];
    const lost: unknown[] = [];
    let left = 0;

    /** As a balancer: to the second server once the first says that it closes, or refuses the connection. */
    const client = async () => {
      const agent = new Agent({ keepAlive, maxSockets: 1 });
      let target = first;
      for (let player = players.pop(); player !== undefined; player = players.pop()) {
        try {
          const { status, body, headers } = await claim(target, player, agent);
          if (status !== 201) throw new Error(JSON.stringify(body));
          acknowledged.push(body.data.id);
          if (keepAlive && headers.connection === 'close') target = second;
        } catch (error) {
          const { code = '' } = error as NodeJS.ErrnoException;
          // refused, or reset in the queue before it was taken: never begun, as the second server will find
          if (code === 'ECONNREFUSED' || (code === 'ECONNRESET' && !keepAlive)) players.push(player);
          else lost.push(error);
          target = second;
        }
        if (target === second) left += 1;
      }
      agent.destroy();
    };
    const clients = Array.from({ length: CLIENTS }, client);
    await until(() => Promise.resolve(acknowledged.length > 50));
    leaving.kill('SIGTERM');
    await leaving.says('stopping');
    expect(await send(`${first}/health/ready`)).toMatchObject({
      status: 503,
      headers: { connection: 'close' },
    });
    expect((await send(`${first}/health/live`)).status).toBe(200);
    expect(await leaving.exit).toBe(0);
    await Promise.all(clients);

    expect(lost).toEqual([]);
    expect(left).toBeGreaterThan(0);
    expect(acknowledged).toHaveLength(600);
    expect(await claimIds(world)).toEqual([...acknowledged].sort());
    staying.kill('SIGINT');
    expect(await staying.exit).toBe(0);
    expect(await pending(world)).toBe(0);
    const lines = `${leaving.output}${staying.output}`.trim().split('\n');
    const users = lines.map((line) => JSON.parse(line)).filter(({ status }) => status === 201);
    expect(new Set(users.map(({ user_id }) => user_id)).size).toBe(600);
    await finish();
  });

  it.each(['unread', 'gone'] as const)(
    'ends a server whose log is %s, and which served meanwhile',
    async (how) => {
      const { url, finish } = await stage();
      const env = {
        DATABASE_URL: url,
        SESSION_SECRET: SECRET,
        SHUTDOWN_DRAIN_S: '0',
        NODE_ENV: 'production',
      };
      const server = run('main', env);
      const address = await urlOf(server);
      server.ignore(how);
      // far more lines than a pipe holds
      const agent = new Agent({ keepAlive: true });
      for (let round = 0; round < 100; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => send(`${address}/nothing`, { agent })),
        );
        expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(404));
      }
      agent.destroy();
      server.kill('SIGTERM');
      expect(await server.exit).toBe(0);
      await finish();
    },
  );
});

(existsSync('/dev/full') ? it : it.skip)('a server whose log is on a full disk serves on', async () => {
  const database = await cloneDatabase();
  const full = await open('/dev/full', 'w');
  const port = await freePort();
  const env = { DATABASE_URL: database.url, SESSION_SECRET: SECRET, NODE_ENV: 'production', PORT: port };
  const server = new Program('main', { ...env, SHUTDOWN_DRAIN_S: '0' }, [], { stdout: full.fd });
  const status = (path: string) => send(`http://127.0.0.1:${port}${path}`).then((answer) => answer.status);
  await until(() =>
    status('/health/ready').then(
      (found) => found === 200,
      () => false,
    ),
  );
  for (let i = 0; i < 20; i += 1) expect(await status('/nothing')).toBe(404);
  server.kill('SIGTERM');
  expect([await server.exit, server.output]).toEqual([0, '']);
  await full.close();
  await database.drop();
});

describe('a closing server', () => {
  it('answers the next request on a kept connection', async () => {
    const door = new FrontDoor();
    door.open((_, response) => void response.end('answered'));
    const { port } = new URL(await door.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const [first] = await once(socket, 'data');
    expect(String(first)).toMatch(/Connection: keep-alive/);
    const closed = door.close(0);
    await sleep(50);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n[^]*answered/);
    await closed;
  });

  it('answers connections that were made before it closed, and that it has not taken yet', async () => {
    const door = new FrontDoor();
    door.open((_, response) => void response.end('{}'));
    const url = await door.listen({ host: '127.0.0.1', port: 0 });
    const answers = Promise.all(Array.from({ length: 50 }, () => send(url)));
    await Promise.all([answers, door.close(0)]);
    expect((await answers).map(({ status }) => status)).toEqual(Array(50).fill(200));
  });

  it('does not begin what comes after its last answer on a connection', async () => {
    const door = new FrontDoor();
    const begun: (string | undefined)[] = [];
    door.open(({ url }, response) => {
      begun.push(url);
      setTimeout(() => response.end('answered'), 200);
    });
    const { port } = new URL(await door.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    const closed = door.close(0);
    socket.write('GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect((await text(socket)).match(/answered/g)).toHaveLength(1);
    await closed;
    expect(begun).toEqual(['/1']);
  });

  it('is not ready however that is spelt', async () => {
    const door = new FrontDoor();
    door.open((_, response) => void response.end('{}'));
    const url = await door.listen({ host: '127.0.0.1', port: 0 });
    const statuses = async () => {
      const paths = ['/health/ready', '/health/ready/?probe', '/Health/Ready'];
      return (await Promise.all(paths.map((path) => send(url + path)))).map(({ status }) => status);
    };
    expect(await statuses()).toEqual([200, 200, 200]);
    const closed = door.close(2_000);
    expect(await statuses()).toEqual([503, 503, 503]);
    await closed;
  });

  it('closes connections that stay silent long before their time-outs, and takes no new one', async () => {
    const door = new FrontDoor();
    const { port } = new URL(await door.listen({ host: '127.0.0.1', port: 0 }));
    const [silent, kept] = [connect(Number(port), '127.0.0.1'), connect(Number(port), '127.0.0.1')];
    kept.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(kept, 'data');
    const begin = Date.now();
    await door.close(0);
    expect(Date.now() - begin).toBeLessThan(4_000);
    expect([await text(silent), await text(kept)]).toEqual(['', '']);
    await expect(send(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('a database that goes away under a running server', () => {
  it('is answered for with 503, and what is due is paid unaided when it is back', async () => {
    const { world, tenant, owner, url, finish } = await stage();
    const proxy = await TcpProxy.to(url);
    const server = run('main', { DATABASE_URL: proxy.url, SESSION_SECRET: SECRET });
    const address = await urlOf(server);
    const [early, during, late] = await tenant.players(3);
    // the claim is stored; whoever begins to pay its rewards loses the link
    proxy.onClientData = (chunk) => (chunk.includes('currency_transactions') ? 'cut' : 'forward');
    expect((await claim(address, early!)).status).toBe(201);
    await proxy.down();
    expect(await pending(world)).toBe(2);

    const end = Date.now() + OUTAGE_MS;
    while (Date.now() < end) {
      expect((await send(`${address}/health/live`)).status).toBe(200);
      expect((await send(`${address}/health/ready`)).status).toBe(503);
      expect(await claim(address, during!)).toMatchObject({
        status: 503,
        body: { error: { code: 'SERVICE_UNAVAILABLE' } },
        headers: { 'retry-after': '1' },
      });
      await sleep(200);
    }
    expect(server.output).not.toContain('u:p@');

    proxy.onClientData = () => 'forward';
    await proxy.up();
    await until(async () => (await send(`${address}/health/ready`)).status === 200);
    for (const player of [during!, late!]) expect((await claim(address, player)).status).toBe(201);
    await until(async () => (await pending(world)) === 0);
    expect(await world.balance(early!, 'gems')).toBe(1);
    expect(await world.balance(owner, 'gems')).toBe(3);
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    await proxy.down();
    await finish();
  });
});
