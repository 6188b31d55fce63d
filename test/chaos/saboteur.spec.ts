import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { cloneDatabase, type TestDatabase } from '../support/world';
import type { AppProcess } from './app-process';
import type { Cluster } from './cluster';
import type { PlannedFault } from './plan';
import { Proxy } from './proxy';
import { Saboteur, type Instance } from './saboteur';

const TERMINATE: PlannedFault = {
  ...{ kind: 'pg_terminate_backend', place: 'claim before COMMIT' },
  ...{ afterMs: 0, app: 0, link: 0, muteMs: 0 },
};

let database: TestDatabase;
let admin: Client;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  database = await cloneDatabase({ empty: true });
  admin = await connected(database.url);
  await admin.query('CREATE TABLE referral_claims (made_by text)');
});
afterAll(async () => {
  for (const end of endings) end();
  await admin.end();
  await database.discard();
});

it('counts a strike when it struck; the message that stands at the point waits for it, and goes on when it missed', async () => {
  const seenByThen: string[][] = [];
  const cluster = {
    terminateBackend: async (pid: number) => {
      // a COMMIT that does not wait is there by then
      await sleep(100);
      seenByThen.push(await claims());
      if (seenByThen.length === 1) return false;
      await admin.query('SELECT pg_terminate_backend($1)', [pid]);
      return true;
    },
  } as unknown as Cluster;
  const holder: { saboteur?: Saboteur; instance?: Instance } = {};
  const proxy = await Proxy.to(database.url, (points, link, lane) => {
    if (holder.instance) holder.saboteur?.reached(points, holder.instance, link, lane);
  });
  holder.instance = { app: { name: 'app-1' } as AppProcess, proxy };
  let answers = 0;
  const saboteur = await new Promise<Saboteur>((armed) => {
    function* plan(): Generator<PlannedFault, never> {
      yield TERMINATE;
      // whoever asks for the next one has armed the first
      setImmediate(() => armed(made));
      for (;;) yield { ...TERMINATE, afterMs: Infinity };
    }
    const made = new Saboteur(
      cluster,
      holder.instance ? [holder.instance] : [],
      plan(),
      () => (answers += 9),
    );
  });
  holder.saboteur = saboteur;
  endings.push(
    () => saboteur.stop(),
    () => proxy.close(),
  );

  await claim(proxy.url, 'the first');
  expect(await claims()).toEqual(['the first']);
  expect(saboteur.strikes).toEqual([]);

  await expect(claim(proxy.url, 'the second')).rejects.toThrow('terminat');
  expect(await claims()).toEqual(['the first']);
  expect(saboteur.strikes).toMatchObject([{ fault: TERMINATE, app: 'app-1' }]);

  await claim(proxy.url, 'the third');
  expect(await claims()).toEqual(['the first', 'the third']);
  expect(seenByThen).toEqual([[], ['the first']]);
});

async function claims(): Promise<string[]> {
  const { rows } = await admin.query<{ made_by: string }>('SELECT made_by FROM referral_claims');
  return rows.map((row) => row.made_by);
}

async function claim(url: string, by: string): Promise<void> {
  const client = await connected(url);
  try {
    await client.query('BEGIN');
    await client.query('INSERT INTO referral_claims VALUES ($1)', [by]);
    await client.query('COMMIT');
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function connected(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
