import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrations } from '../migrations';
import { seedGrants } from './support/grants';
import { Metrics, METRICS_TOKEN } from './support/metrics';
import { Program } from './support/process';
import {
  cloneDatabase,
  pooled,
  startWorld,
  type Player,
  type TestDatabase,
  type World,
} from './support/world';

/** Instances of one database, each a process of its own. The tests follow each other on the same fleet. */
const SECRET = 'a secret that only the tests know, 32+';
const SIZE = 3;

jest.setTimeout(120_000);

interface Answer {
  status: number;
  body: any;
}

class Instance {
  url = '';
  readonly program: Program;

  constructor(databaseUrl: string) {
    this.program = new Program('main', {
      ...{ DATABASE_URL: pooled(databaseUrl), SESSION_SECRET: SECRET, METRICS_TOKEN, PORT: '0' },
      DATABASE_PREPARED_STATEMENTS: process.env.DATABASE_PREPARED_STATEMENTS ?? '',
    });
  }

  async isReady(): Promise<this> {
    [this.url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(await this.program.says('is ready')) ?? [];
    return this;
  }

  /** @throws TypeError when the connection is refused or cut */
  async send(path: string, headers: object, body?: object, method = body ? 'POST' : 'GET'): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Promises that this instance says its sweeper has paid. */
  async swept(): Promise<number> {
    const authorization = `Bearer ${METRICS_TOKEN}`;
    const text = await (await fetch(`${this.url}/metrics`, { headers: { authorization } })).text();
    return new Metrics(text).value('amba_reward_payments_total', { path: 'sweep', result: 'granted' }) ?? 0;
  }

  async die(): Promise<void> {
    this.program.kill('SIGKILL');
    await this.program.exit;
  }
}

let database: TestDatabase;
let world: World;
let closeWorld: () => Promise<void>;
let fleet: Instance[] = [];

beforeAll(async () => {
  database = await cloneDatabase({ empty: true });
  fleet = Array.from({ length: SIZE }, () => new Instance(database.url));
  await Promise.all(fleet.map((instance) => instance.isReady()));
  ({ world, close: closeWorld } = await startWorld(database.url));
});
afterAll(async () => {
  for (const { program } of fleet) program.kill('SIGTERM');
  const exits = await Promise.all(fleet.map(({ program }) => program.exit));
  await closeWorld();
  await database.drop();
  expect(exits).toEqual(fleet.map(() => 0));
});

const count = async (sql: string, values: unknown[] = []): Promise<number> =>
  (await world.db.query(`SELECT count(*)::int AS n FROM ${sql}`, values))[0].n;

async function untilNoneIsOwed(): Promise<void> {
  for (const deadline = Date.now() + 60_000; (await count(`reward_grants WHERE status = 'pending'`)) > 0;) {
    expect(Date.now()).toBeLessThan(deadline);
    await sleep(50);
  }
}

describe('three instances that start at once on an empty database', () => {
  it('migrate it once, and seed nothing', async () => {
    const made = await world.db.query('SELECT name FROM migrations ORDER BY id');
    expect(made).toEqual(migrations.map(({ name }) => ({ name })));
    expect(await count('projects')).toBe(0);
    for (const { program } of fleet) expect(program.output).not.toContain('curl');
  });
});

describe('what is revoked on one instance', () => {
  /** Every instance has let them in often, and may think that it knows them. */
  async function isOutEverywhere(headers: object, revoke: (at: Instance) => Promise<{ status: number }>) {
    const ask = () => Promise.all(fleet.map((instance) => instance.send('/v1/client/currencies', headers)));
    for (let round = 0; round < 3; round += 1)
      expect((await ask()).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await revoke(fleet[0]!)).status).toBe(200);
    return (await ask()).map(({ status, body }) => `${status} ${body.error?.code}`);
  }

  it('is out on all of them with the next request: a session, a user, a key', async () => {
    const tenant = await world.tenant();
    const admin = `/v1/admin/projects/${tenant.id}`;
    const key = { 'x-api-key': tenant.clientKey };
    const { body } = await fleet[1]!.send('/v1/client/auth/anonymous', key, {});
    const session = { ...key, authorization: `Bearer ${body.data.session_token}` };
    const loggedOut = await isOutEverywhere(session, (at) =>
      at.send('/v1/client/auth/logout', key, { refresh_token: body.data.refresh_token }),
    );
    expect(loggedOut).toEqual(Array(SIZE).fill('401 INVALID_TOKEN'));

    const [ada, grace] = (await tenant.players(2)) as [Player, Player];
    const disabled = await isOutEverywhere(ada.headers, (at) =>
      at.send(`${admin}/users/${ada.id}/disable`, tenant.server, {}),
    );
    expect(disabled).toEqual(Array(SIZE).fill('401 INVALID_TOKEN'));

    const [{ id }] = await world.db.query(
      `SELECT id FROM api_keys WHERE project_id = $1 AND key_type = 'client'`,
      [tenant.id],
    );
    const withoutKey = await isOutEverywhere(grace.headers, (at) =>
      at.send(`${admin}/api-keys/${id}`, tenant.server, undefined, 'DELETE'),
    );
    expect(withoutKey).toEqual(Array(SIZE).fill('401 INVALID_API_KEY'));
  });
});

describe('an instance that is killed, and one that is added, under load', () => {
  const CLIENTS = 24;
  const CLAIMS = 600;

  /** Sends a claim, with its key, to one instance after the other until one answers. @returns the id of the claim */
  async function claimSomewhere(player: Player, begin: number, answeredBy: Map<Instance, number>) {
    const headers = { ...player.headers, 'idempotency-key': randomUUID() };
    for (let turn = begin; ; turn += 1) {
      const instance = fleet[turn % fleet.length]!;
      const answer = await instance
        .send('/v1/client/referrals/claim', headers, { code: 'PROMO' })
        .catch(() => undefined);
      if (answer === undefined) continue;
      expect(answer).toMatchObject({ status: 201 });
      answeredBy.set(instance, (answeredBy.get(instance) ?? 0) + 1);
      return answer.body.data.id as string;
    }
  }

  it('lose no claim and no reward, and double none', async () => {
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems', maxBalance: 1000 });
    const owner = await tenant.player();
    const rewards = { rewardReferrer: { gems: 2 }, rewardReferee: { gems: 5 } };
    await tenant.code({ code: 'PROMO', userId: owner.id, ...rewards });
    const players = await tenant.players(CLAIMS);
    const answeredBy = new Map<Instance, number>();
    const claims: string[] = [];
    const [victim] = fleet as [Instance];
    const added = new Instance(database.url).isReady().then((instance) => {
      fleet.push(instance);
      return instance;
    });
    const client = async () => {
      for (let player = players.pop(); player; player = players.pop()) {
        // some are left for it, however long it takes to start
        if (players.length < CLAIMS / 4) await added;
        claims.push(await claimSomewhere(player, players.length, answeredBy));
      }
    };
    const work = Array.from({ length: CLIENTS }, client);
    while (claims.length < CLAIMS / 4) await sleep(5);
    await victim.die();
    fleet = fleet.filter((instance) => instance !== victim);
    await Promise.all(work);

    expect(answeredBy.get(victim)).toBeGreaterThan(0);
    expect(answeredBy.get(await added)).toBeGreaterThan(0);
    await untilNoneIsOwed();
    const found = await world.db.query('SELECT id FROM referral_claims WHERE project_id = $1 ORDER BY id', [
      tenant.id,
    ]);
    expect(found.map(({ id }: { id: string }) => id)).toEqual(claims.sort());
    expect(await count('currency_transactions WHERE project_id = $1', [tenant.id])).toBe(2 * CLAIMS);
    expect(await world.balance(owner, 'gems')).toBe(1000);
    const [{ gems }] = await world.db.query(
      'SELECT sum(balance)::int AS gems FROM balances WHERE project_id = $1',
      [tenant.id],
    );
    expect(gems).toBe(1000 + 5 * CLAIMS);
  });
});

describe('a backlog', () => {
  const OWED = 300;

  it('is paid once by all that are there, whichever of them are', async () => {
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    const swept = async () => Promise.all(fleet.map((instance) => instance.swept()));
    const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
    while (fleet.length > 0) {
      const before = sum(await swept());
      await seedGrants(world, tenant, { count: OWED, status: 'pending' });
      await untilNoneIsOwed();
      // an instance counts what it paid when it has paid it, and we may have been faster
      for (const deadline = Date.now() + 10_000; sum(await swept()) - before < OWED; await sleep(20))
        expect(Date.now()).toBeLessThan(deadline);
      expect(sum(await swept()) - before).toBe(OWED);
      if (fleet.length === 1) break;
      await fleet.shift()!.die();
    }
    const lines = await count('currency_transactions WHERE project_id = $1', [tenant.id]);
    expect(lines).toBe(SIZE * OWED);
  });
});
