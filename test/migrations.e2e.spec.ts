import { Client } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { migrations as ours } from '../migrations';
import { ConcurrentIndexes } from '../migrations/concurrent-indexes';
import { openDatabase } from '../src/database/database';
import { migrate } from '../src/database/migrate';
import { PaymentsService } from '../src/rewards/payments.service';
import { direct, onWorld, tally, type Tenant, type World } from './support/world';

/** What a newer version brings while this one serves. */

class Notes9795300000001 implements MigrationInterface {
  up(queryRunner: QueryRunner): Promise<unknown> {
    return queryRunner.query(`ALTER TABLE referral_claims ADD COLUMN note text`);
  }
  down(): Promise<void> {
    return Promise.reject(new Error('forward only'));
  }
}

class ClaimTimes9795300000002 extends ConcurrentIndexes {
  protected readonly indexes = { claim_times: 'ON referral_claims (claimed_at)' };
}

const NOTES = [...ours, Notes9795300000001];
const CLAIM_TIMES = [...ours, ClaimTimes9795300000002];
const MIGRATING = `datname = current_database() AND application_name = 'amba-referrals migrate' AND wait_event_type = 'Lock'`;
const LOOKED = `datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_stat_progress_create_index%'`;
const CLAIMERS = 4;

/** A world with claims, and with a connection of somebody else's that is in a transaction which has read them. */
async function behindReader(
  test: (own: { world: World; tenant: Tenant; url: string; reader: Client }) => Promise<void>,
): Promise<void> {
  await onWorld({}, async (world) => {
    const url = urlOf(world);
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    await world.claim(await tenant.player(), 'PROMO').expect(201);
    const reader = new Client({ connectionString: url });
    await reader.connect();
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await reader.query('SELECT count(*) FROM referral_claims');
    try {
      await test({ world, tenant, url, reader });
    } finally {
      await reader.end();
    }
  });
}

const urlOf = ({ db }: World) => direct((db.options as { url: string }).url);

/** Until so many sessions are like that. The test's own time limit ends a vain wait. */
async function until({ db }: World, count: number, condition = MIGRATING): Promise<void> {
  for (;;) {
    const [{ sessions }] = await db.query(
      `SELECT count(*) AS sessions FROM pg_stat_activity WHERE ${condition}`,
    );
    if (sessions === count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Claims without a break, until `work` is done; all of them are paid in the end. @returns how they were answered */
async function claimingDuring(world: World, tenant: Tenant, work: () => Promise<void>) {
  let working = true;
  const answers: Awaited<ReturnType<World['claim']>>[] = [];
  const claimers = Array.from({ length: CLAIMERS }, async () => {
    while (working) answers.push(await world.claim(await tenant.player(), 'PROMO'));
  });
  try {
    await work();
  } finally {
    working = false;
    await Promise.all(claimers);
  }
  await world.app.get(PaymentsService).payDue(new Date(Date.now() + 3_600_000));
  expect(await world.db.query(`SELECT FROM reward_grants WHERE status <> 'granted'`)).toEqual([]);
  expect(await claimsOf(world)).toBe(answers.length + 1);
  return tally(answers);
}

const claimsOf = async ({ db }: World): Promise<number> =>
  (await db.query('SELECT count(*) AS claims FROM referral_claims'))[0].claims;

async function untilClaimed(world: World, more: number): Promise<void> {
  for (const before = await claimsOf(world); (await claimsOf(world)) < before + more;)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

const indexOf = async ({ db }: World) => {
  const [index] = await db.query(
    `SELECT indexrelid AS oid, indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass('claim_times')`,
  );
  return index as { oid: number; valid: boolean } | undefined;
};

it('a migration that waits behind a long reader lets claims pass again and again, and comes when it can', () =>
  behindReader(async ({ world, tenant, url, reader }) => {
    const migrating = migrate(url, { migrations: NOTES });
    const answers = await claimingDuring(world, tenant, async () => {
      await until(world, 1);
      await until(world, 0);
      await until(world, 1);
      await reader.query('COMMIT');
      expect(await migrating).toEqual([Notes9795300000001.name]);
    });
    expect(Object.keys(answers)).toEqual(['201']);
  }));

it('one that does not get its locks in the end says so, and has done nothing', () =>
  behindReader(async ({ world, url }) => {
    await expect(migrate(url, { migrations: NOTES, patienceMs: 0 })).rejects.toThrow(
      /^The migration Notes9795300000001 did not get its locks within 0 s: .* Nothing of it was done\. End that transaction/,
    );
    expect(await world.db.query(`SELECT FROM migrations WHERE name = 'Notes9795300000001'`)).toEqual([]);
  }));

it('an index is built beside claims, by one of two who start at once, as soon as older transactions have ended', () =>
  behindReader(async ({ world, tenant, url, reader }) => {
    const rivals = [1, 2].map(() => migrate(url, { migrations: CLAIM_TIMES }));
    const answers = await claimingDuring(world, tenant, async () => {
      await until(world, 1);
      expect(await indexOf(world)).toMatchObject({ valid: false });
      await untilClaimed(world, 20);
      await reader.query('COMMIT');
      expect((await Promise.all(rivals)).flat()).toEqual([ClaimTimes9795300000002.name]);
    });
    expect(Object.keys(answers)).toEqual(['201']);
    expect(await indexOf(world)).toMatchObject({ valid: true });
  }));

it('an index whose build was ended midway is dropped and built anew', () =>
  behindReader(async ({ world, url, reader }) => {
    const ended = migrate(url, { migrations: CLAIM_TIMES }).catch((error: unknown) => error);
    await until(world, 1);
    await world.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${MIGRATING}`);
    expect(await ended).toMatchObject({ code: '57P01' });
    const left = await indexOf(world);
    expect(left).toMatchObject({ valid: false });
    await reader.query('COMMIT');
    expect(await migrate(url, { migrations: CLAIM_TIMES })).toEqual([ClaimTimes9795300000002.name]);
    const built = await indexOf(world);
    expect(built).toMatchObject({ valid: true });
    expect(built?.oid).not.toBe(left?.oid);
  }));

it('an index that PostgreSQL goes on building for a program that was killed is waited for', () =>
  behindReader(async ({ world, url, reader }) => {
    const killed = new Client({ connectionString: url, application_name: 'amba-referrals migrate' });
    killed.on('error', () => undefined);
    await killed.connect();
    const building = killed.query('CREATE INDEX CONCURRENTLY claim_times ON referral_claims (claimed_at)');
    building.catch(() => undefined);
    await until(world, 1);
    (killed as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    const inTheMaking = await indexOf(world);
    const migrating = migrate(url, { migrations: CLAIM_TIMES });
    await until(world, 1, LOOKED);
    await reader.query('COMMIT');
    expect(await migrating).toEqual([ClaimTimes9795300000002.name]);
    expect(await indexOf(world)).toEqual({ ...inTheMaking, valid: true });
  }));

it('an instance of the version before starts on the newer schema, whose guards may be others', () =>
  onWorld({}, async (world) => {
    const url = urlOf(world);
    const start = () =>
      openDatabase(
        { databaseUrl: url, dataDir: '/nowhere', databaseWaitS: 0 },
        { role: 'server', log: () => undefined },
      );
    const [drop, add] = [
      'ALTER TABLE app_users DROP CONSTRAINT app_users_timezone_length',
      'ALTER TABLE app_users ADD CONSTRAINT app_users_timezone_length CHECK (char_length(timezone) <= 64)',
    ];
    await world.db.query(drop);
    await expect(start()).rejects.toThrow('app_users_timezone_length');
    await world.db.query(
      `INSERT INTO migrations (timestamp, name) VALUES (9795300000001, 'Notes9795300000001')`,
    );
    expect((await start()).migrated).toEqual([]);
    await world.db.query(add);
  }));
