import { DataSource } from 'typeorm';
import { migrations } from '../migrations';
import { CurrencyService } from '../src/currency/currency.service';
import { migrationDataSourceOptions } from '../src/database/data-source-options';
import { openDatabase } from '../src/database/database';
import { PaymentsService } from '../src/rewards/payments.service';
import { expectInvariants } from './support/invariants';
import { faultsOf, migrationFaults } from './support/migration-rules';
import { releasedDatabase, RELEASES, signedToday } from './support/releases';
import { startWorld, TESTER, useWorld, type Player } from './support/world';

/** The first that has to be safe under load: those before it never met anybody's data. */
const FIRST_UNDER_RULES = 'FasterRewardCheck1795350000000';

const timestampOf = (name: string) => Number(name.slice(-13));

const open = (databaseUrl: string) =>
  openDatabase(
    { databaseUrl, dataDir: '/nowhere', databaseWaitS: 0 },
    { role: 'server', log: () => undefined },
  );

describe.each(RELEASES)('an upgrade from the release %s', (release) => {
  it('keeps its users, sessions, codes and claims, and pays what was promised before', async () => {
    const { url, known, drop } = await releasedDatabase(release);
    const { migrated } = await open(url);
    expect(migrated).toEqual(migrations.map(({ name }) => name).slice(migrations.length - migrated.length));
    const { world, close } = await startWorld(url, { sessionSecrets: [known.secret] });
    const auth = (path: string, body: object) =>
      world.http.post(`/v1/client/auth/${path}`).set('x-api-key', known.clientKey).send(body);
    const as = ({ id }: { id: string }, token: string): Player => ({
      id,
      headers: { 'x-api-key': known.clientKey, authorization: `Bearer ${token}` },
    });
    const player = (user: typeof known.ada) => as(user, signedToday(user, known.secret));
    try {
      const [ada, grace] = [player(known.ada), player(known.grace)];
      const code = await world.myCode(ada).expect(200);
      expect(code.body.data).toMatchObject({ code: known.adaCode, current_uses: 2 });
      expect([await world.balance(ada, 'gems'), await world.balance(grace, 'coins')]).toEqual([70, 300]);

      const again = await world
        .claim(grace, known.adaCode, { 'idempotency-key': 'claim-of-Grace' })
        .expect(201);
      expect(again.body.data.id).toBe(known.claimId);
      await auth('email/login', known.login).expect(200);
      await auth('refresh', { refresh_token: known.refreshed.refresh_token }).expect(200);
      await world.myCode(player(known.gone)).expect(401);

      await world.app
        .get(CurrencyService)
        .create(TESTER, known.projectId, { code: 'tickets', name: 'Tickets' });
      await world.app.get(PaymentsService).payDue(new Date(Date.now() + 30 * 86_400_000));
      expect(await world.balance(ada, 'tickets')).toBe(3);

      const { body } = await auth('anonymous', {}).expect(201);
      const newcomer = as(body.data.user, body.data.session_token);
      await world.claim(newcomer, known.adaCode).expect(201);
      expect(await world.balance(newcomer, 'coins')).toBe(300);
      expect(await world.db.query(`SELECT FROM reward_grants WHERE status <> 'granted'`)).toEqual([]);
      await expectInvariants(world.db);
    } finally {
      await close();
      await drop();
    }
  });

  it('holds no request up for longer the more rows there are, migration by migration', async () => {
    // what was due when it was made is overdue: nobody pays here
    const { url, discard } = await releasedDatabase(release);
    const db = await new DataSource({ ...migrationDataSourceOptions(url) }).initialize();
    try {
      const done: { name: string }[] = await db.query('SELECT name FROM migrations');
      const faults: Record<string, string[]> = {};
      for (const migration of db.migrations) {
        const name = migration.constructor.name;
        if (done.some((other) => other.name === name)) continue;
        const found = await migrationFaults(db, migration);
        await db.query('INSERT INTO migrations (timestamp, name) VALUES ($1, $2)', [timestampOf(name), name]);
        if (timestampOf(name) >= timestampOf(FIRST_UNDER_RULES) && found.length > 0) faults[name] = found;
      }
      expect(faults).toEqual({});
    } finally {
      await db.destroy();
      await discard();
    }
  });
});

it.each(migrations)('%p cannot be undone', async (Migration) => {
  await expect(new Migration().down()).rejects.toThrow('forward only: restore a backup to go back');
});

describe('a migration that would hold requests up is told by what it reads under which locks:', () => {
  const world = useWorld();

  beforeAll(async () => {
    const tenant = await world.tenant();
    await tenant.code({ code: 'WELCOME' });
    await world.claim(await tenant.player(), 'WELCOME').expect(201);
  });

  it.each<[string, string, string[]]>([
    ['a column', 'ALTER TABLE referral_claims ADD COLUMN note text', []],
    ['a column with a constant', `ALTER TABLE referral_claims ADD COLUMN note text NOT NULL DEFAULT ''`, []],
    [
      'a column with a value for each row',
      'ALTER TABLE referral_claims ADD COLUMN nonce uuid DEFAULT gen_random_uuid()',
      ['referral_claims is read while those who write to it wait', 'referral_claims is written anew'],
    ],
    [
      'another type',
      'ALTER TABLE referral_claims ALTER COLUMN claimed_at TYPE timestamptz(3)',
      ['referral_claims is read while those who write to it wait', 'referral_claims is written anew'],
    ],
    ['a longer type', 'ALTER TABLE api_keys ALTER COLUMN prefix TYPE varchar', []],
    [
      'an index',
      'CREATE INDEX wide ON referral_claims (claimed_at)',
      ['referral_claims is read while those who write to it wait'],
    ],
    [
      'a unique constraint',
      'ALTER TABLE app_users ADD CONSTRAINT app_users_zone UNIQUE (project_id, id, timezone)',
      ['app_users is read while those who write to it wait'],
    ],
    [
      'a check of all rows',
      `ALTER TABLE app_users ADD CONSTRAINT app_users_zone CHECK (timezone <> '')`,
      ['app_users is read while those who write to it wait'],
    ],
    [
      'a check of new rows',
      `ALTER TABLE app_users ADD CONSTRAINT app_users_zone CHECK (timezone <> '') NOT VALID`,
      [],
    ],
    [
      'both in one transaction',
      `ALTER TABLE app_users ADD CONSTRAINT app_users_zone CHECK (timezone <> '') NOT VALID;
       ALTER TABLE app_users VALIDATE CONSTRAINT app_users_zone`,
      ['app_users is read while those who write to it wait'],
    ],
    [
      'a reference of all rows',
      `ALTER TABLE referral_claims ADD CONSTRAINT referral_claims_again FOREIGN KEY (project_id, referee_id)
         REFERENCES app_users (project_id, id)`,
      [
        'app_users is read while those who write to it wait',
        'referral_claims is read while those who write to it wait',
      ],
    ],
    [
      'NOT NULL',
      'ALTER TABLE app_users ALTER COLUMN external_id SET NOT NULL',
      ['app_users is read while those who write to it wait'],
    ],
    ['values in all rows', `UPDATE app_users SET timezone = 'UTC'`, ['app_users has rows changed']],
    [
      'a table of its own',
      `CREATE TABLE notes (project_id uuid, user_id uuid, FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id));
       CREATE INDEX notes_by_user ON notes (user_id); INSERT INTO notes SELECT project_id, id FROM app_users;
       UPDATE notes SET user_id = user_id`,
      ['app_users is read while those who write to it wait'],
    ],
  ])('%s', async (_, statements, faults) => {
    const queryRunner = world.db.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      expect(await faultsOf(queryRunner, () => queryRunner.query(statements))).toEqual(faults);
    } finally {
      await queryRunner.rollbackTransaction();
      await queryRunner.release();
    }
  });

  it('a check that is validated in a migration of its own', async () => {
    const [add, drop] = [
      `ALTER TABLE app_users ADD CONSTRAINT app_users_zone CHECK (timezone <> '') NOT VALID`,
      'ALTER TABLE app_users DROP CONSTRAINT app_users_zone',
    ];
    await world.db.query(add);
    const validate = 'ALTER TABLE app_users VALIDATE CONSTRAINT app_users_zone';
    expect(await migrationFaults(world.db, { up: (runner) => runner.query(validate) })).toEqual([]);
    await world.db.query(drop);
  });

  it('and one that makes more than indexes outside of a transaction', async () => {
    const migration = { transaction: false, up: () => Promise.resolve() };
    expect(await migrationFaults(world.db, migration)).toEqual([
      'only indexes are made outside of a transaction',
    ]);
  });
});
