import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { cloneDatabase, type TestDatabase } from '../support/world';
import type { AppProcess } from './app-process';
import { Cluster } from './cluster';
import type { Fault, PlannedFault } from './plan';
import { Proxy } from './proxy';
import { Saboteur, type Instance, type Strike } from './saboteur';

let database: TestDatabase;
let admin: Client;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  database = await cloneDatabase({ empty: true });
  admin = await connected(database.url);
  await admin.query('CREATE TABLE referral_claims (made_by text)');
  await admin.query('CREATE TABLE currency_transactions (made_by text)');
});
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
  await admin.query('TRUNCATE referral_claims, currency_transactions');
});
afterAll(async () => {
  await admin.end();
  await database.discard();
});

it('counts a strike when it struck; the message that stands at the point waits for it, and goes on when it missed', async () => {
  const seenByThen: string[][] = [];
  const fault = { kind: 'pg_terminate_backend', place: 'claim before COMMIT' } as const;
  const { url, strikes } = await sabotage(fault, {
    terminateBackend: async (pid: number) => {
      // a COMMIT that does not wait is there by then
      await sleep(100);
      seenByThen.push(await claims());
      if (seenByThen.length === 1) return false;
      await admin.query('SELECT pg_terminate_backend($1)', [pid]);
      return true;
    },
  });

  await claim(await visitor(url), 'the first');
  expect(await claims()).toEqual(['the first']);
  expect(strikes).toEqual([]);

  await expect(claim(await visitor(url), 'the second')).rejects.toThrow('terminat');
  expect(await claims()).toEqual(['the first']);
  await counted(strikes);
  expect(strikes).toMatchObject([{ fault, app: 'app-1' }]);

  await claim(await visitor(url), 'the third');
  expect(await claims()).toEqual(['the first', 'the third']);
  expect(seenByThen).toEqual([[], ['the first']]);
});

describe('inside a grant', () => {
  const fault = { kind: 'pg_terminate_backend', place: 'grant inside' } as const;
  const lines = async () => (await admin.query('SELECT made_by FROM currency_transactions')).rows;

  it('strikes between a write and the COMMIT that is sent together with it', async () => {
    const stages: string[] = [];
    const { url, strikes } = await sabotage(fault, {
      terminateBackend: async (pid: number) => {
        // a COMMIT that does not wait is done by then
        await sleep(100);
        stages.push(await stageOf(pid));
        await admin.query('SELECT pg_terminate_backend($1)', [pid]);
        return true;
      },
    });
    const [, written, committed] = await grant(await visitor(url), `'ada'`);
    expect([written?.status, committed?.status]).toEqual(['fulfilled', 'rejected']);
    expect(stages).toEqual([`idle in transaction after ${lineOf("'ada'")}`]);
    await counted(strikes);
    expect(strikes).toMatchObject([{ fault }]);
    expect(await lines()).toEqual([]);
  });

  it('strikes none whose write failed, and lets that one go on', async () => {
    const { url, strikes } = await sabotage(fault, {});
    const client = await visitor(url);
    const [, written, committed] = await grant(client, '1 / 0');
    expect([written?.status, committed?.status]).toEqual(['rejected', 'fulfilled']);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(strikes).toEqual([]);
  });
});

describe('a cancelled statement', () => {
  const cluster = Object.create(Cluster.prototype, { url: { get: () => database.url } }) as Cluster;

  beforeAll(async () => {
    await admin.query(`CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
                         $$ BEGIN PERFORM pg_sleep(10); RETURN NEW; END $$`);
    await admin.query(`CREATE TRIGGER takes_long BEFORE INSERT ON referral_claims
                         FOR EACH ROW WHEN (NEW.made_by = 'slow') EXECUTE FUNCTION take_long()`);
  });

  it('is the one that stands at the point, and its link lives on', async () => {
    const fault = { kind: 'pg_cancel_backend', place: 'claim before its write' } as const;
    const { url, strikes } = await sabotage(fault, cluster);
    await expectCancelled(await visitor(url), strikes);
    expect(strikes).toMatchObject([{ fault }]);
  });

  it('is, at random, one of a link that is busy: none is struck before there is one', async () => {
    const fault = { kind: 'pg_cancel_backend', place: 'at random' } as const;
    let tries = 0;
    const { url, strikes } = await sabotage(fault, {
      cancelBusy: (pids, which) => {
        tries += 1;
        return cluster.cancelBusy(pids, which);
      },
    });
    const client = await visitor(url);
    while (tries < 3) await sleep(10);
    expect(strikes).toEqual([]);
    await expectCancelled(client, strikes);
    expect(strikes).toMatchObject([{ fault }]);
  });

  async function expectCancelled(client: Client, strikes: Strike[]): Promise<void> {
    await expect(claim(client, 'slow')).rejects.toMatchObject({ code: '57014' });
    await client.query('ROLLBACK');
    await counted(strikes);
    await claim(client, 'quick');
    expect(await claims()).toEqual(['quick']);
  }
});

/** The client may hear of a strike before the saboteur does. */
async function counted(strikes: Strike[]): Promise<void> {
  while (strikes.length === 0) await sleep(10);
}

/** One instance without an app, behind a proxy, on which this fault is armed and no other comes after it. */
async function sabotage(
  fault: Fault,
  cluster: Partial<Cluster>,
): Promise<{ url: string; strikes: Strike[] }> {
  const planned: PlannedFault = { ...fault, afterMs: 0, app: 0, link: 0, muteMs: 0 };
  const holder: { saboteur?: Saboteur; instance?: Instance } = {};
  const proxy = await Proxy.to(database.url, (points, link, lane) => {
    if (holder.instance) holder.saboteur?.reached(points, holder.instance, link, lane);
  });
  const instance: Instance = { app: { name: 'app-1' } as AppProcess, proxy };
  let answers = 0;
  const saboteur = await new Promise<Saboteur>((armed) => {
    function* plan(): Generator<PlannedFault, never> {
      yield planned;
      // whoever asks for the next one has armed the first
      setImmediate(() => armed(made));
      for (;;) yield { ...planned, afterMs: Infinity };
    }
    const made = new Saboteur(cluster as Cluster, [instance], plan(), () => (answers += 9));
  });
  Object.assign(holder, { saboteur, instance });
  endings.push(
    () => saboteur.stop(),
    () => proxy.close(),
  );
  return { url: proxy.url, strikes: saboteur.strikes };
}

async function claims(): Promise<string[]> {
  const { rows } = await admin.query<{ made_by: string }>('SELECT made_by FROM referral_claims');
  return rows.map((row) => row.made_by);
}

async function claim(client: Client, by: string): Promise<void> {
  await client.query('BEGIN');
  await client.query('INSERT INTO referral_claims VALUES ($1)', [by]);
  await client.query('COMMIT');
}

const lineOf = (by: string) => `INSERT INTO currency_transactions VALUES (${by})`;

/** In one go, as the product does it. */
function grant(client: Client, by: string) {
  return Promise.allSettled(['BEGIN', lineOf(by), 'COMMIT'].map((sql) => client.query(sql)));
}

async function stageOf(pid: number): Promise<string> {
  const sql = 'SELECT state, query FROM pg_stat_activity WHERE pid = $1';
  const { rows } = await admin.query<{ state: string; query: string }>(sql, [pid]);
  return rows.map(({ state, query }) => `${state} after ${query}`).join();
}

/** Who sends without waiting for answers. */
async function visitor(connectionString: string): Promise<Client> {
  const client = await connected(connectionString);
  endings.unshift(() => client.end().catch(() => undefined));
  return client;
}

async function connected(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, pipeline: true });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
