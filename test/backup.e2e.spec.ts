import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { openDatabase } from '../src/database/database';
import { PaymentsService } from '../src/rewards/payments.service';
import { Cluster, installedPrograms } from './support/cluster';
import { expectInvariants } from './support/invariants';
import { startWorld, type Player, type Tenant, type World } from './support/world';

/** Backups that are made while users claim, and what is true of a server on what was restored. */

const run = promisify(execFile);

let closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

interface Claim {
  player: Player;
  key: string;
  id: string;
}

/** A server on an empty database, and users who claim. */
async function claiming(url: string) {
  const world = await serve(url);
  const tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
  // paid only after a restore: its currency is away
  await tenant.currency({ code: 'tickets' });
  await tenant.code({ code: 'LATER', rewardReferee: { tickets: 3 } });
  await tenant.deleteCurrency('tickets');
  const later = await claim(world, await tenant.player(), 'LATER');
  return { world, tenant, later, claims: (count: number) => claimsOf(world, tenant, count) };
}

async function serve(url: string): Promise<World> {
  await openDatabase(
    { databaseUrl: url, dataDir: '/nowhere', databaseWaitS: 0 },
    { role: 'server', log: () => undefined },
  );
  const { world, close } = await startWorld(url);
  closing.push(close);
  return world;
}

async function claim(world: World, player: Player, code: string, key: string = randomUUID()): Promise<Claim> {
  const { body } = await world.claim(player, code, { 'idempotency-key': key }).expect(201);
  return { player, key, id: body.data.id };
}

async function claimsOf(world: World, tenant: Tenant, count: number): Promise<Claim[]> {
  const players = await tenant.players(count);
  return Promise.all(players.map((player) => claim(world, player, 'PROMO')));
}

/** Claims go on while the work is done. @returns those that were answered meanwhile: one at least */
async function during(
  claims: (count: number) => Promise<Claim[]>,
  work: () => Promise<unknown>,
): Promise<Claim[]> {
  const answered: Claim[] = [];
  let working = true;
  const done = work().finally(() => (working = false));
  while (working || answered.length === 0) answered.push(...(await claims(2)));
  await done;
  return answered;
}

interface Expected {
  tenantId: string;
  later: Claim;
  /** Are there. */
  kept: Claim[];
  /** Are not: they came after it. */
  lost: Claim[];
  /** Came while it was made: are there, or not. */
  either?: Claim[];
}

/** On a restored database a server starts, all invariants hold, and every user can claim or send the claim again, and is paid once. */
async function expectRestored(
  url: string,
  { tenantId, later, kept, lost, either = [] }: Expected,
): Promise<void> {
  const world = await serve(url);
  await expectInvariants(world.db);
  for (const { player, key, id } of kept)
    expect(await claim(world, player, 'PROMO', key)).toMatchObject({ id });
  for (const { player, key, id } of lost) expect((await claim(world, player, 'PROMO', key)).id).not.toBe(id);
  for (const { player, key } of either) {
    // a user is made first, then the session: the backup may be of the moment between them
    const known = await world.db.query('SELECT FROM sessions WHERE user_id = $1', [player.id]);
    if (known.length > 0) await claim(world, player, 'PROMO', key);
    else await world.claim(player, 'PROMO').expect(401);
  }
  await world.db.query(`UPDATE currencies SET deleted_at = NULL WHERE project_id = $1 AND code = 'tickets'`, [
    tenantId,
  ]);
  await world.app.get(PaymentsService).payDue(new Date(Date.now() + 30 * 86_400_000));
  expect(await world.balance(later.player, 'tickets')).toBe(3);
  for (const { player } of [...kept, ...lost]) expect(await world.balance(player, 'gems')).toBe(5);
  expect(await world.db.query(`SELECT FROM reward_grants WHERE status <> 'granted'`)).toEqual([]);
  await expectInvariants(world.db);
}

it('a copy of the files and the archived log bring back a point in time: what was answered before it, nothing after', async () => {
  const cluster = await Cluster.make((own) => [
    ...['archive_mode = on', `archive_command = 'cp "%p" "${own.beside('archive')}/%f"'`],
  ]);
  closing.push(() => cluster.remove());
  const { world, tenant, later, claims } = await claiming(cluster.url);
  const restored = Cluster.place();
  closing.push(() => restored.remove());

  const before = await claims(3);
  const meanwhile = await during(claims, () => backUp(cluster, restored));
  const after = await claims(3);
  const latecomers = await tenant.players(2);
  await cluster.query(`SELECT pg_create_restore_point('before the mistake')`);
  const lost = await Promise.all(latecomers.map((player) => claim(world, player, 'PROMO')));
  await world.db.query(`UPDATE referral_codes SET is_active = false`);
  await archiveAll(cluster);

  restored.configure([
    `restore_command = 'cp "${cluster.beside('archive')}/%f" "%p"'`,
    ...[
      `recovery_target_name = 'before the mistake'`,
      `recovery_target_action = promote`,
      'archive_mode = off',
    ],
  ]);
  restored.write('recovery.signal', '');
  await restored.start();
  while ((await restored.query<{ on: boolean }>('SELECT pg_is_in_recovery() AS on'))[0]?.on !== false);
  await expectRestored(restored.url, {
    ...{ tenantId: tenant.id, later, lost },
    kept: [...before, ...meanwhile, ...after],
  });
});

/** As docs of PostgreSQL have it for whoever has no pg_basebackup: it is not shipped with the embedded one. */
async function backUp(cluster: Cluster, target: Cluster): Promise<void> {
  const client = new Client({ connectionString: cluster.url });
  await client.connect();
  await client.query(`SELECT pg_backup_start('nightly', fast => true)`);
  await cluster.copyTo(target);
  const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop()');
  target.write('backup_label', rows[0]?.labelfile ?? '');
  await client.end();
}

async function archiveAll(cluster: Cluster): Promise<void> {
  const [last] = await cluster.query<{ file: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS file');
  const archived = () =>
    cluster.query<{ done: boolean }>(
      `SELECT last_archived_wal >= '${last?.file}' AS done FROM pg_stat_archiver`,
    );
  while ((await archived())[0]?.done !== true);
}

/** The blocks of commands of a section of docs/operations.md. */
function commandsUnder(heading: string): string[] {
  const page = readFileSync(join(__dirname, '../docs/operations.md'), 'utf8');
  const [section = ''] = (page.split(`\n${heading}\n`)[1] ?? '').split(/^#+ /m);
  return [...section.matchAll(/^```bash\n([^]*?)^```$/gm)].map(([, commands = '']) => commands);
}

async function asTyped(cluster: Cluster, commands: string): Promise<void> {
  expect(commands).not.toBe('');
  const PATH = `${programs}:/usr/bin:/bin`;
  await run('sh', ['-ec', commands], {
    cwd: cluster.beside('backups'),
    env: { PATH, DATABASE_URL: cluster.url },
  });
}

const programs = installedPrograms;
(programs === undefined ? describe.skip : describe)(
  'pg_dump and pg_restore, as docs/operations.md has them (skipped where PostgreSQL is not installed)',
  () => {
    it('bring back what was answered before the dump, in a new database', async () => {
      const cluster = await Cluster.make(() => [], programs);
      closing.push(() => cluster.remove());
      const { tenant, later, claims } = await claiming(cluster.url);
      const before = await claims(3);
      const typed = (heading: string, nth: number) => asTyped(cluster, commandsUnder(heading)[nth] ?? '');
      const meanwhile = await during(claims, () => typed('### With pg_dump', 0));
      await typed('### With pg_dump', 1);
      const url = cluster.url.replace(/[^/]*$/, 'amba_restored');
      await expectRestored(url, { tenantId: tenant.id, later, kept: before, lost: [], either: meanwhile });
    });
  },
);
