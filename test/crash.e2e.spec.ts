import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { usePrograms, type Program } from './support/process';
import { positionOf, TcpProxy } from './support/tcp-proxy';
import { cloneDatabase, startWorld, type Player, type Tenant, type World } from './support/world';

/**
 * `kill -9` of the server at each point of a claim and of a grant by hand, found on its way to PostgreSQL. Then a new
 * server, to which the client that had no answer says the same again. `npm run chaos` does it at random.
 */
const SECRET = 'a secret that only the tests know, 32+';

jest.setTimeout(90_000);

const { run } = usePrograms();

let world: World;
let tenant: Tenant;
let proxy: TcpProxy;
let ada: Player;
let grace: Player;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  const database = await cloneDatabase();
  const started = await startWorld(database.url);
  proxy = await TcpProxy.to(database.url);
  world = started.world;
  closers.push(started.close, () => proxy.down(), database.drop);
  tenant = await world.tenant();
  await tenant.currency({ code: 'coins', maxBalance: 7 });
  await tenant.currency({ code: 'gems' });
  [ada, grace] = (await tenant.players(2)) as [Player, Player];
  const rewards = { rewardReferrer: { coins: 10, gems: 1 }, rewardReferee: { gems: 5 } };
  await tenant.code({ code: 'PROMO', userId: ada.id, ...rewards });
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Where on the link the server is killed: at the first message that says this, after one that says `after`. */
interface Point {
  from: 'server' | 'database';
  says: string;
  after: string;
}

async function startServer(): Promise<{ program: Program; url: string }> {
  const program = run('main', { DATABASE_URL: proxy.url, SESSION_SECRET: SECRET });
  const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(await program.says('is ready')) ?? [];
  return { program, url };
}

async function killedAt(point: Point, send: (url: string) => Promise<unknown>): Promise<void> {
  const { program, url } = await startServer();
  let isNext = false;
  let isDead = false;
  const strikes = (side: Point['from'], chunk: Buffer) => {
    if (side === 'server' && positionOf(point.after, chunk) >= 0) isNext = true;
    if (isDead || !isNext || side !== point.from || positionOf(point.says, chunk) < 0) return false;
    program.kill('SIGKILL');
    return (isDead = true);
  };
  proxy.onClientData = (chunk) => {
    // what was sent together with it, but before it, arrives
    if (strikes('server', chunk)) return positionOf(point.says, chunk);
    return isDead ? 'cut' : 'forward';
  };
  proxy.onServerData = (chunk) => (strikes('database', chunk) || isDead ? 'cut' : 'forward');
  await expect(send(url)).rejects.toThrow(/socket hang up|ECONNRESET/);
  expect(await program.exit).toBe('SIGKILL');
  proxy.onClientData = () => 'forward';
  proxy.onServerData = () => 'forward';
}

const BEFORE_COMMIT: Point = { from: 'server', says: 'COMMIT', after: 'INSERT INTO referral_claims' };
const AFTER_COMMIT: Point = { ...BEFORE_COMMIT, from: 'database' };
const INSIDE_GRANT: Point = { from: 'server', says: 'INSERT INTO currency_transactions', after: 'COMMIT' };
const BEFORE_GRANT_COMMIT: Point = {
  from: 'server',
  says: 'COMMIT',
  after: 'INSERT INTO currency_transactions',
};
const AFTER_GRANT_COMMIT: Point = { ...BEFORE_GRANT_COMMIT, from: 'database' };

describe('a server that is killed at a claim', () => {
  const claim = (url: string, headers: object = {}) =>
    request(url)
      .post('/v1/client/referrals/claim')
      .set({ ...grace.headers, ...headers })
      .send({ code: 'PROMO' });
  const count = async (sql: string): Promise<number> =>
    (await world.db.query(`SELECT count(*)::int AS n FROM ${sql}`))[0].n;

  async function expectPaidOnce(): Promise<void> {
    for (let tries = 0; (await count(`reward_grants WHERE status = 'pending'`)) > 0; tries += 1) {
      expect(tries).toBeLessThan(300);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await count('referral_claims')).toBe(1);
    expect(await count('currency_transactions')).toBe(3);
    expect(await world.balance(ada, 'coins')).toBe(7);
    expect(await world.balance(ada, 'gems')).toBe(1);
    expect(await world.balance(grace, 'gems')).toBe(5);
  }

  it('before its COMMIT has made none; the retry makes it', async () => {
    const key = { 'idempotency-key': randomUUID() };
    await killedAt(BEFORE_COMMIT, (url) => claim(url, key));
    expect(await count('referral_claims')).toBe(0);
    const { headers } = await claim((await startServer()).url, key).expect(201);
    expect(headers['idempotent-replayed']).toBeUndefined();
    await expectPaidOnce();
  });

  it.each([
    ['after its COMMIT', AFTER_COMMIT],
    ['between the locks and the writes of the grant', INSIDE_GRANT],
    ['before the COMMIT of the grant', BEFORE_GRANT_COMMIT],
    ['after the grant, before the answer', AFTER_GRANT_COMMIT],
  ])(
    '%s has made it; the retry hears of it, with its key and without, and all is paid once',
    async (_, point) => {
      const key = { 'idempotency-key': randomUUID() };
      await killedAt(point, (url) => claim(url, key));
      const [{ id }] = await world.db.query('SELECT id FROM referral_claims');
      const paid = point === AFTER_GRANT_COMMIT ? 3 : 0;
      expect(await count('currency_transactions')).toBe(paid);

      const { url } = await startServer();
      const replay = await claim(url, key).expect(201);
      expect(replay.body.data.id).toBe(id);
      expect(replay.headers['idempotent-replayed']).toBe('true');
      const repeat = await claim(url).expect(400);
      expect(repeat.body.error).toMatchObject({ code: 'ALREADY_CLAIMED', details: { claim: { id } } });
      await expectPaidOnce();
    },
  );
});

describe('a server that is killed at a grant by hand', () => {
  const key = 'support-ticket-7';
  const grant = (url: string) =>
    request(url)
      .post(`/v1/admin/projects/${tenant.id}/currencies/grant`)
      .set({ ...tenant.server, 'idempotency-key': key })
      .send({ app_user_id: grace.id, currency_code: 'gems', amount: 40, reason: 'ticket 7' });

  it.each([
    ['before its COMMIT', BEFORE_GRANT_COMMIT, undefined],
    ['after its COMMIT, before the answer', AFTER_GRANT_COMMIT, 'true'],
  ])('%s: the retry with its key grants it once', async (_, point, replayed) => {
    await killedAt(point, grant);
    const { url } = await startServer();
    for (const expected of [replayed, 'true']) {
      const { headers } = await grant(url).expect(201);
      expect(headers['idempotent-replayed']).toBe(expected);
    }
    expect(await world.balance(grace, 'gems')).toBe(40);
  });
});
