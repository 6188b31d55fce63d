import type { Server } from 'node:http';
import { FrontDoor } from '../src/front-door';
import { Crowd, descriptorLimit } from './support/crowd';
import { answersIn, exchange, RawClient } from './support/raw';
import { useWorld, type Tenant } from './support/world';

/** Clients that are slow, silent or gone, many at once: another one's claim is paid meanwhile, and they are cut off. */
const world = useWorld();

jest.setTimeout(120_000);

const IDLE = 5_000;
const SLOW = 300;
/** A process needs descriptors for other things too. */
const SPARE = 500;

let tenant: Tenant;
let crowd: Crowd | undefined;
/** What the server came with: tests shorten it, and put it back. */
let limits: Record<'headersTimeout' | 'requestTimeout' | 'connectionsCheckingInterval' | 'timeout', number>;

beforeAll(async () => {
  const { headersTimeout, requestTimeout, timeout } = server();
  // an option that the types do not know as a property
  const { connectionsCheckingInterval } = server() as Server &
    Pick<typeof limits, 'connectionsCheckingInterval'>;
  limits = { headersTimeout, requestTimeout, connectionsCheckingInterval, timeout };
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
});

const server = () => world.app.getHttpServer();
const port = () => Number(new URL(world.url).port);

/** As long as it takes to open them all, nobody is cut off; `cutSoon` then shows that they will be. */
beforeEach(() => {
  server().headersTimeout = 100_000;
  server().requestTimeout = 100_000;
});

afterEach(() => {
  crowd?.leave();
  crowd = undefined;
  server().headersTimeout = limits.headersTimeout;
  server().requestTimeout = limits.requestTimeout;
  server().setTimeout(limits.timeout);
});

const cutSoon = () => {
  server().headersTimeout = 200;
  server().requestTimeout = 200;
};
const connections = () =>
  new Promise<number>((resolve) => server().getConnections((_: unknown, count: number) => resolve(count)));
const standing = async (count: number) => {
  while ((await connections()) < count) await new Promise((resolve) => setTimeout(resolve, 50));
};

async function expectAClaimToBePaid(): Promise<void> {
  const player = await tenant.player();
  const { body } = await world.claim(player, 'PROMO').expect(201);
  expect(body.data.rewards).toEqual([{ currency_code: 'gems', amount: 5, granted: 5, status: 'granted' }]);
  expect(await world.balance(player, 'gems')).toBe(5);
}

const POST = `POST /v1/client/referrals/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;

const enough = descriptorLimit() > IDLE + SPARE;
if (!enough) {
  process.stdout.write(
    `${IDLE} idle connections: skipped, since a process may have ${descriptorLimit()} descriptors here (ulimit -n)\n`,
  );
}

(enough ? it : it.skip)(
  `${IDLE} connections that say nothing do not stop a claim, and are cut off`,
  async () => {
    crowd = new Crowd(port(), IDLE);
    const { failed } = await crowd.until(({ connected }) => connected === IDLE);
    expect(failed).toBe(0);
    await standing(IDLE);
    await expectAClaimToBePaid();
    expect(crowd.counts.closed).toBe(0);
    expect(await connections()).toBeGreaterThanOrEqual(IDLE);

    cutSoon();
    await crowd.until(({ closed }) => closed === IDLE);
    await expectAClaimToBePaid();
  },
);

it.each([
  ['slow headers', `${POST}X-Slow: `],
  ['a slow body', `${POST}Content-Length: 30\r\n\r\n{"code":`],
  ['a slow body in chunks', `${POST}Transfer-Encoding: chunked\r\n\r\n8\r\n{"code":\r\n`],
  ['half a request line', 'POST /v1/cli'],
])(`${SLOW} clients with %s do not stop a claim, and are cut off`, async (_, beginning) => {
  crowd = new Crowd(port(), SLOW, beginning);
  await crowd.until(({ connected }) => connected === SLOW);
  await standing(SLOW);
  await expectAClaimToBePaid();
  expect(crowd.counts.closed).toBe(0);

  cutSoon();
  const { answered } = await crowd.until(({ closed }) => closed === SLOW);
  expect(answered).toBeGreaterThanOrEqual(SLOW);
});

it.each([
  ['headers', `${POST}X-Slow: `],
  ['a body', `${POST}Content-Length: 30\r\n\r\n{"code":`],
])('%s that come a byte at a time do not put off the end: 408', async (_, beginning) => {
  cutSoon();
  const client = new RawClient(world.url).send(beginning);
  const drip = setInterval(() => client.send('x'), 50);
  const received = await client.closed;
  clearInterval(drip);
  expect(answersIn(received)).toMatchObject([{ status: 408, code: 'REQUEST_TIMEOUT' }]);
});

it('the limits are those of the documentation', () => {
  expect(limits).toEqual({
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    connectionsCheckingInterval: 1_000,
    timeout: 30_000,
  });
});

it('clients that never read their answers do not stop a claim, and are cut off', async () => {
  server().setTimeout(300);
  // counted as they come: on a busy machine the first are cut off before the last is there
  let accepted = 0;
  const count = () => (accepted += 1);
  server().on('connection', count);
  // answers of 300 kB each: more than the buffers between the two hold
  const deaf = Array.from({ length: 5 }, () => {
    const client = new RawClient(world.url);
    client.socket.pause();
    return client.send('GET /docs-json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10));
  });
  while (accepted < deaf.length) await new Promise((resolve) => setTimeout(resolve, 5));
  server().off('connection', count);
  await expectAClaimToBePaid();
  while ((await connections()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const client of deaf) client.socket.destroy();
});

it('a client that takes nothing of an answer larger than all buffers is cut off', async () => {
  const door = new FrontDoor();
  const closed = new Promise((resolve) =>
    door.open((_, response) => void response.on('close', resolve).end(Buffer.alloc(50_000_000))),
  );
  door.server.setTimeout(300);
  const client = new RawClient(await door.listen({ host: '127.0.0.1', port: 0 }));
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await closed;
  client.socket.destroy();
  await door.close(0);
});

it('a client that asks without waiting gets ten answers and a 429, whatever it asked for', async () => {
  const received = await exchange(world.url, 'GET /docs-json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000));
  const answers = answersIn(received);
  expect(answers.map(({ status }) => status)).toEqual([...Array(10).fill(200), 429]);
  expect(answers.at(-1)?.code).toBe('RATE_LIMITED');
  await expectAClaimToBePaid();
});

it('a client that goes on asking is cut off without waiting for the first answers', async () => {
  const door = new FrontDoor();
  let begun = 0;
  door.open(() => void (begun += 1));
  const client = new RawClient(await door.listen({ host: '127.0.0.1', port: 0 }));
  const asking = setInterval(() => client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100)), 1);
  expect(await client.closed).toBe('');
  clearInterval(asking);
  expect(begun).toBe(10);
  await door.close(0);
});

it('clients that close their own half are answered, and let go', async () => {
  const halves = Array.from({ length: 100 }, () => {
    const client = new RawClient(world.url, { allowHalfOpen: true });
    client.socket.end('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    return client;
  });
  await expectAClaimToBePaid();
  for (const half of halves) {
    half.socket.on('end', () => half.socket.destroy());
    expect(answersIn(await half.closed)).toMatchObject([{ status: 200 }]);
  }
});

it('clients that are gone before their answer do not stop a claim', async () => {
  for (let i = 0; i < 100; i += 1) {
    const client = new RawClient(world.url).send(`${POST}Content-Length: 2\r\n\r\n{}`);
    if (i % 2) client.socket.resetAndDestroy();
    else client.socket.destroy();
  }
  await expectAClaimToBePaid();
});
