import { startProxiedWorld } from './support/proxied-world';
import type { TcpProxy } from './support/tcp-proxy';
import type { Player, Tenant, World } from './support/world';

/** What a request costs on the way to the database, counted on the wire. */

let world: World;
let proxy: TcpProxy;
let close: () => Promise<void>;
let tenant: Tenant;
let waits: number;
let answered: string;

beforeAll(async () => {
  ({ world, proxy, close } = await startProxiedWorld());
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO', rewardReferrer: { gems: 1 }, rewardReferee: { gems: 2 } });
});

afterAll(() => close());

/** The database answers each time before it is asked again: that is a wait. Several may be asked at once. */
async function counted(request: () => PromiseLike<unknown>): Promise<{ waits: number; commits: number }> {
  let isAnswering = true;
  [waits, answered] = [0, ''];
  proxy.onClientData = () => {
    if (isAnswering) waits += 1;
    isAnswering = false;
    return 'forward';
  };
  proxy.onServerData = (chunk) => {
    isAnswering = true;
    answered += chunk.toString('latin1');
    return 'forward';
  };
  await request();
  return { waits, commits: answered.split('COMMIT\0').length - 1 };
}

async function codeOf(player: Player): Promise<string> {
  const { body } = await world.myCode(player);
  return (body as { data: { code: string } }).data.code;
}

it.each([
  ['without a limit', null],
  ['with a limit of claims per user', 1_000],
])('a claim, both rewards included, %s: five round trips, two commits', async (_, limit) => {
  await world.db.query(`UPDATE projects SET max_claims_per_user = $2 WHERE id = $1`, [tenant.id, limit]);
  const [owner, ...claimers] = await tenant.players(13);
  const code = await codeOf(owner as Player);
  const last = claimers.pop() as Player;
  // each connection of the pool prepares its statements
  for (const claimer of claimers) await world.claim(claimer, code).expect(201);
  const claim = () => world.claim(last, code).set('idempotency-key', 'once').expect(201);
  expect(await counted(claim)).toEqual({ waits: 5, commits: 2 });
});

it('a claim after the project limited them: a sixth, once', async () => {
  const limit = (max: number | null) =>
    world.db.query(`UPDATE projects SET max_claims_per_user = $2 WHERE id = $1`, [tenant.id, max]);
  const [owner, ...claimers] = await tenant.players(5);
  const code = await codeOf(owner as Player);
  const waitsOfNext = async () =>
    (await counted(() => world.claim(claimers.pop() as Player, code).expect(201))).waits;
  await limit(null);
  await waitsOfNext();
  await limit(1_000);
  expect([await waitsOfNext(), await waitsOfNext()]).toEqual([6, 5]);
  await limit(null);
  expect(await waitsOfNext()).toBe(5);
});

it('a claim that is refused: one to know the caller, one to decide, one to let go', async () => {
  const player = await tenant.player();
  expect(await counted(() => world.claim(player, 'NEVERWAS').expect(404))).toEqual({ waits: 3, commits: 0 });
});

it.each([
  ['my-code', '/v1/client/referrals/my-code'],
  ['balances', '/v1/client/currencies'],
])('%s: one to know the caller, one to read', async (_, path) => {
  const player = await tenant.player();
  await codeOf(player);
  const read = () => world.http.get(path).set(player.headers).expect(200);
  expect(await counted(read)).toEqual({ waits: 2, commits: 0 });
});
