import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { LIMITS, type Config } from '../src/config';
import { Settlement } from '../src/limits/settlement';
import { SignInService } from '../src/users/sign-in.service';
import { METRICS_TOKEN, movedBy, scrape } from './support/metrics';
import { TcpProxy } from './support/tcp-proxy';
import {
  cloneDatabase,
  limitedTo,
  onWorld,
  startWorld,
  tally,
  useWorld,
  type Player,
  type Tenant,
  type World,
} from './support/world';

/** How much anybody may ask for. The windows are of an hour, so that no machine is so slow that one ends. */

const HOUR_S = 3600;
const world = useWorld({
  ...limitedTo({ address: 20, user: 5, key: 8, signup: 3 }, HOUR_S),
  ...{ trustProxy: 1, metricsToken: METRICS_TOKEN },
});

let tenant: Tenant;
let player: Player;
let addresses = 0;

/** A phone with an address of its own. */
const phone = () => ({ 'x-forwarded-for': `198.51.100.${(addresses += 1)}` });

beforeEach(async () => {
  tenant = await world.tenant();
  player = await tenant.player();
});

const me = (headers: Record<string, string>, on: World = world) =>
  on.http.get('/v1/client/users/me').set(headers);
const config = (headers: Record<string, string>, on: World = world) =>
  on.http.get('/v1/client/config').set('x-api-key', tenant.clientKey).set(headers);

async function times<T>(count: number, work: (i: number) => PromiseLike<T>): Promise<T[]> {
  const answers = [];
  for (let i = 0; i < count; i += 1) answers.push(await work(i));
  return answers;
}

/** What is left of each limit, as an answer tells it. */
function leftIn({ headers }: { headers: Record<string, string> }): Record<string, number> {
  const items = [...(headers.ratelimit ?? '').matchAll(/"([\w-]+)";r=(\d+);t=(\d+)(?:, |$)/g)];
  for (const [, , , seconds] of items) expect(Number(seconds)).toBeLessThanOrEqual(HOUR_S);
  return Object.fromEntries(items.map(([, name, left]) => [name, Number(left)]));
}

describe('an address', () => {
  it('may ask so often, whatever for; then it hears 429, and others go on', async () => {
    const [busy, other] = [phone(), phone()];
    const moved = await movedBy(world, { name: 'amba_rate_limited_total', by: 'limit' }, async () => {
      const paths = [
        '/v1/client/currencies',
        '/nowhere',
        '/docs-json',
        '/v1/admin/projects',
        '/client/config',
      ];
      const answers = await times(20, (i) => world.http.get(paths[i % 5]!).set(busy));
      expect(tally(answers)).toMatchObject({ '401 MISSING_API_KEY': 8, '404 NOT_FOUND': 4, '200': 4 });
      const refused = await config(busy).expect(429);
      expect(refused.body.error).toMatchObject({
        code: 'RATE_LIMITED',
        message: 'The limit "address" is reached: 20 in 3600 s. Try again after Retry-After seconds.',
      });
      expect(leftIn(refused)).toEqual({ address: 0 });
      expect(refused.headers.ratelimit).toBe(`"address";r=0;t=${refused.headers['retry-after']}`);
      await config(other).expect(200);
    });
    expect(moved).toEqual({ address: 1 });
  });

  it('is told what is left, by the draft of the IETF, also where a browser asks', async () => {
    const answer = await me({ ...player.headers, ...phone(), origin: 'https://app.example.com' }).expect(200);
    expect(answer.headers['ratelimit-policy']).toBe('"address";q=20;w=3600, "user";q=5;w=3600');
    expect(answer.headers.ratelimit).toBe('"address";r=19;t=3600, "user";r=4;t=3600');
    expect(answer.headers['access-control-expose-headers']).toBe(
      'etag,x-request-id,idempotent-replayed,retry-after,ratelimit,ratelimit-policy',
    );
  });

  it('is the network of 64 bits in IPv6, and the same written either way in IPv4', async () => {
    const ask = (address: string) => config({ 'x-forwarded-for': address });
    const left = [
      ...['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:DB8:0000:0001::3', '2001:db8:0:2::1'],
      ...['203.0.113.77', '::ffff:203.0.113.77', 'no address at all'],
    ];
    const answers = await times(left.length, (i) => ask(left[i]!));
    expect(answers.map((answer) => leftIn(answer).address)).toEqual([19, 18, 17, 19, 19, 18, 19]);
  });

  it('is the same from any port, where the proxy names that too', async () => {
    const left = [
      '203.0.113.78:1024',
      '203.0.113.78:1025',
      '203.0.113.78',
      '[2001:db8:0:3::1]:7',
      '[2001:db8:0:3::2]',
    ];
    const answers = await times(left.length, (i) => config({ 'x-forwarded-for': left[i]! }));
    expect(answers.map((answer) => leftIn(answer).address)).toEqual([19, 18, 17, 19, 18]);
  });

  it('may always ask for health and metrics', async () => {
    const busy = phone();
    await times(21, () => config(busy));
    for (const path of ['/health/live', '/health/ready']) {
      const { headers } = await world.http.get(path).set(busy).expect(200);
      expect(headers).not.toHaveProperty('ratelimit');
    }
    const shown = { ...busy, authorization: `Bearer ${METRICS_TOKEN}` };
    await world.http.get('/metrics').set(shown).expect(200);
  });

  it('is the one of the connection where no proxy is trusted', async () => {
    await onWorld(limitedTo({ address: 2 }, HOUR_S), async (direct) => {
      const answers = await times(4, () => config(phone(), direct));
      expect(tally(answers)).toEqual({ '401 INVALID_API_KEY': 2, '429 RATE_LIMITED': 2 });
    });
  });
});

describe('a user', () => {
  it('may ask so often, from anywhere and with any session, and takes nothing from others', async () => {
    const { tokens } = await world.app.get(SignInService).known(tenant.id, player.id);
    const other = { ...player.headers, authorization: `Bearer ${tokens.sessionToken}` };
    const answers = await times(6, (i) => me({ ...(i % 2 ? other : player.headers), ...phone() }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
    expect(leftIn(answers[5]!)).toEqual({ address: 19, user: 0 });
    // the refused one took nothing of the key's eight
    const sister = await tenant.player();
    const theirs = await times(4, () => me({ ...sister.headers, ...phone() }));
    expect(tally(theirs)).toEqual({ '200': 3, '429 RATE_LIMITED': 1 });
  });

  it('is not held up by who forges its token', async () => {
    const forged = { ...player.headers, authorization: `${player.headers.authorization}x` };
    await times(6, () => me({ ...forged, ...phone() }).expect(401));
    expect(leftIn(await me({ ...player.headers, ...phone() }).expect(200)).user).toBe(4);
  });

  it('may be a developer', async () => {
    const { email, password } = await world.developer();
    const { body } = await world.http.post('/v1/auth/developer/login').set(phone()).send({ email, password });
    const ask = () =>
      world.http
        .get('/v1/auth/developer/me')
        .set({ ...phone(), authorization: `Bearer ${body.data.access_token}` });
    expect(tally(await times(6, ask))).toEqual({ '200': 5, '429 RATE_LIMITED': 1 });
  });
});

describe('an API key', () => {
  it('may be used so often by all together; who is refused hears of it, and other projects go on', async () => {
    const neighbour = await world.tenant();
    const answers = await times(9, () => config(phone()));
    expect(answers.map(({ status }) => status)).toEqual([...Array(8).fill(200), 429]);
    expect(answers.slice(0, 8).map(leftIn)).toEqual(Array(8).fill({ address: 19 }));
    expect(leftIn(answers[8]!)).toEqual({ address: 19, key: 0 });
    await me({ ...player.headers, ...phone() }).expect(429);
    await world.http
      .get('/v1/client/config')
      .set({ 'x-api-key': neighbour.clientKey, ...phone() })
      .expect(200);
    // its servers have a key of their own
    const list = (headers: object) =>
      world.http.get(`/v1/admin/projects/${tenant.id}/users`).set({ ...headers, ...phone() });
    expect(tally(await times(9, () => list(tenant.server)))).toEqual({ '200': 8, '429 RATE_LIMITED': 1 });
    const { headers } = await world.developer();
    expect(tally(await times(9, () => list(headers)))).toEqual({
      '403 PROJECT_FORBIDDEN': 8,
      '429 RATE_LIMITED': 1,
    });
  });
});

it('sign-ups of one address end after so many, anonymous or not', async () => {
  const here = phone();
  const signUp = (i: number) =>
    i % 2
      ? world
          .auth(tenant, 'email/signup', { email: `user${i}@example.com`, password: 'correct horse' })
          .set(here)
      : world.auth(tenant, 'anonymous').set(here);
  const answers = await times(4, signUp);
  expect(tally(answers)).toEqual({ '201': 3, '429 RATE_LIMITED': 1 });
  expect(leftIn(answers[3]!)).toEqual({ address: 16, signup: 0 });
  await world.auth(tenant, 'anonymous').set(phone()).expect(201);
});

it('who asks ten times as often as allowed reaches no database, and holds up no claim', async () => {
  await tenant.code({ code: 'GOOD' });
  const sent = jest.spyOn(world.db.logger, 'logQuery');
  const [flood, user] = [phone(), await tenant.player()];
  await times(20, () => config(flood));
  await times(5, () => me({ ...user.headers, ...phone() }));
  sent.mockClear();
  const refused = await Promise.all([
    ...Array.from({ length: 200 }, () => me({ ...player.headers, ...flood })),
    ...Array.from({ length: 50 }, () => me({ ...user.headers, ...phone() })),
    ...Array.from({ length: 80 }, () => config(phone())),
  ]);
  expect(tally(refused)).toEqual({ '429 RATE_LIMITED': 330 });
  expect(sent).not.toHaveBeenCalled();
  sent.mockRestore();
  const neighbour = await world.tenant();
  await neighbour.code({ code: 'GOOD' });
  expect((await world.claim(await neighbour.player(), 'GOOD', phone())).status).toBe(201);
});

it('connections beyond the limit are closed as they come, and counted', async () => {
  await onWorld({ maxConnections: 3, metricsToken: METRICS_TOKEN }, async (own) => {
    const open = async () => {
      const socket = connect(Number(new URL(own.url).port), '127.0.0.1').on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    };
    const idle: Socket[] = [];
    // heard of by the server, once it answers
    for (let i = 0; i < 3; i += 1) {
      const socket = await open();
      socket.write('GET /health/live HTTP/1.1\r\nHost: amba\r\n\r\n');
      await once(socket, 'data');
      idle.push(socket);
    }
    const refused = await open();
    if (!refused.destroyed) await once(refused, 'close');
    for (const socket of idle) socket.destroy();
    const metrics = await onceItAnswers(() => scrape(own));
    expect(metrics.value('amba_connections_dropped_total')).toBeGreaterThanOrEqual(1);
  });
});

/** The server hears of a closed connection a little later than who closed it. */
async function onceItAnswers<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch {
      await new Promise(setImmediate);
    }
  }
}

describe('two instances on one database', () => {
  const limits = limitedTo({ user: 10, signup: 2, 'guess-user': 3, 'developer-login': 2 }, HOUR_S);

  /** Runs a test on two applications, the second one by a way that can be cut. */
  async function onTwo(
    store: Config['rateLimitStore'],
    test: (one: World, two: World, way: TcpProxy) => Promise<void>,
  ) {
    const database = await cloneDatabase();
    const way = await TcpProxy.to(database.url);
    const settings = { ...limits, rateLimitStore: store, trustProxy: 1 };
    const first = await startWorld(database.url, settings);
    const second = await startWorld(way.url, settings);
    try {
      tenant = await first.world.tenant();
      player = await tenant.player();
      await test(first.world, second.world, way);
    } finally {
      for (const { close } of [first, second]) await close();
      await way.down().catch(() => undefined);
      await database.drop();
    }
  }

  const settle = (on: World) => on.app.get(Settlement).settle();
  const ask = async (on: World, count: number) => tally(await times(count, () => me(player.headers, on)));
  const guess = async (on: World, count: number) =>
    tally(await times(count, (i) => on.claim(player, `WRONG${i}`)));
  const signUp = async (on: World, address: Record<string, string>) =>
    tally([await on.auth(tenant, 'anonymous').set(address)]);
  const logIn = async (on: World, count: number, address: Record<string, string>) =>
    tally(await times(count, () => on.http.post('/v1/auth/developer/login').set(address).send({})));

  it('count guesses, sign-ups and log-ins together, exactly', async () => {
    await onTwo('database', async (one, two) => {
      expect(await guess(one, 2)).toEqual({ '404 INVALID_CODE': 2 });
      expect(await guess(two, 2)).toEqual({ '404 INVALID_CODE': 1, '429 RATE_LIMITED': 1 });
      expect(await guess(one, 1)).toEqual({ '429 RATE_LIMITED': 1 });
      // who has had all is remembered
      const sent = jest.spyOn(one.db.logger, 'logQuery');
      expect(await guess(one, 5)).toEqual({ '429 RATE_LIMITED': 5 });
      expect(sent.mock.calls.filter(([text]) => text.includes('rate_limits'))).toEqual([]);
      sent.mockRestore();
      const here = phone();
      expect([await signUp(one, here), await signUp(two, here)]).toEqual([{ '201': 1 }, { '201': 1 }]);
      expect([await signUp(one, here), await signUp(two, here)]).toEqual(
        Array(2).fill({ '429 RATE_LIMITED': 1 }),
      );
      expect(await logIn(one, 1, here)).toEqual({ '400 INVALID_INPUT': 1 });
      expect(await logIn(two, 2, here)).toEqual({ '400 INVALID_INPUT': 1, '429 RATE_LIMITED': 1 });
    });
  });

  it('do not wait for a table that somebody holds: a claim goes on, and guesses are counted here meanwhile', async () => {
    await onTwo('database', async (one) => {
      const holder = one.db.createQueryRunner();
      await holder.startTransaction();
      await holder.query('LOCK TABLE rate_limits IN ACCESS EXCLUSIVE MODE');
      expect(await guess(one, 5)).toEqual({ '404 INVALID_CODE': 3, '429 RATE_LIMITED': 2 });
      // the lock is there still: nobody has waited for it to the end
      await holder.query('SELECT FROM rate_limits');
      await holder.rollbackTransaction();
      await holder.release();
    });
  });

  it('tell each other what they counted of all requests, and count on from there', async () => {
    await onTwo('database', async (one, two) => {
      expect(await ask(one, 6)).toEqual({ '200': 6 });
      await settle(one);
      expect(await ask(two, 3)).toEqual({ '200': 3 });
      await settle(two);
      // nine are known to the second, who has one left
      expect(await ask(two, 2)).toEqual({ '200': 1, '429 RATE_LIMITED': 1 });
      await settle(two);
      // the first has heard of none but its own, until it has news
      expect(await ask(one, 1)).toEqual({ '200': 1 });
      await settle(one);
      expect(await ask(one, 1)).toEqual({ '429 RATE_LIMITED': 1 });
      const rows = await one.db.query<{ key: string; points: number }[]>(
        `SELECT key, points FROM rate_limits WHERE key LIKE 'user/%'`,
      );
      expect(rows).toEqual([{ key: expect.not.stringContaining(player.id), points: 11 }]);
    });
  });

  it('count each for itself where that is not asked for', async () => {
    await onTwo('local', async (one, two) => {
      for (const instance of [one, two]) {
        expect(await ask(instance, 10)).toEqual({ '200': 10 });
        await settle(instance);
      }
      for (const instance of [one, two]) expect(await ask(instance, 1)).toEqual({ '429 RATE_LIMITED': 1 });
      const [row] = await one.db.query<{ count: number }[]>(`SELECT count(*) FROM rate_limits`);
      expect(row).toEqual({ count: 0 });
    });
  });

  it('without the database go on limiting, each for itself, without an error of their own', async () => {
    await onTwo('database', async (one, two, way) => {
      await way.down();
      const here = phone();
      expect(await logIn(two, 4, here)).toEqual({ '400 INVALID_INPUT': 2, '429 RATE_LIMITED': 2 });
      expect(await ask(two, 11)).toEqual({ '503 SERVICE_UNAVAILABLE': 10, '429 RATE_LIMITED': 1 });
      await settle(two);
      await way.up();
      // what was counted meanwhile is told now
      await settle(two);
      expect(await ask(one, 1)).toEqual({ '200': 1 });
      await settle(one);
      expect(await ask(one, 1)).toEqual({ '429 RATE_LIMITED': 1 });
    });
  });
});

it('the operator finds every limit in the table of docs/operations.md', () => {
  const page = readFileSync(join(__dirname, '../docs/operations.md'), 'utf8');
  const [, table = ''] = /\| Limit \| Of \|.*?\n((?:\|.*\n)+)/.exec(page) ?? [];
  const named = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => cell.match(/[\w-]+/g));
  expect(named.sort()).toEqual([...LIMITS].sort());
});
