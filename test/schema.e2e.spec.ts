import type { QueryRunner } from 'typeorm';
import { GUARDS } from '../src/database/guard-digests';
import { ARMED_GUARDS, MISSING_GUARDS } from '../src/database/guards';
import { citusFaults, citusPlacements, scalingPage, type Placement } from './support/citus';
import { GLOBAL_TABLES, tenancyFaults } from './support/tenancy';
import { useWorld } from './support/world';

const world = useWorld();

/** The start of a tenant table as it should be. */
const THINGS =
  'CREATE TABLE things (project_id uuid NOT NULL REFERENCES projects, id uuid NOT NULL, user_id uuid';
const PKEY = 'PRIMARY KEY (project_id, id)';
const USER_FKEY = 'FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id)';

/** Looks at the schema as these statements leave it, and undoes them. */
async function afterwards(statements: string, look: (db: QueryRunner) => Promise<void>): Promise<void> {
  const queryRunner = world.db.createQueryRunner();
  await queryRunner.startTransaction();
  try {
    await queryRunner.query(statements);
    await look(queryRunner);
  } finally {
    await queryRunner.rollbackTransaction();
    await queryRunner.release();
  }
}

describe('the schema carries the tenant', () => {
  it('in the primary key, every unique index and every foreign key of each tenant table', async () => {
    expect(await tenancyFaults(world.db)).toEqual([]);
  });

  it('and lists no table as global that is not there', async () => {
    const tables = await world.db.query(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    );
    expect(tables.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(GLOBAL_TABLES));
  });

  it.each<[string, string, string[]]>([
    ['a table as it should be', `${THINGS}, ${PKEY}, ${USER_FKEY})`, []],
    [
      'a table without the tenant',
      'CREATE TABLE things (id uuid PRIMARY KEY)',
      ['things has no project_id uuid NOT NULL', 'things_pkey does not begin with project_id'],
    ],
    [
      'a tenant that may be missing, and no primary key',
      'CREATE TABLE things (project_id uuid REFERENCES projects, id uuid)',
      ['things has no primary key', 'things has no project_id uuid NOT NULL'],
    ],
    [
      'a tenant that is no project',
      `CREATE TABLE things (project_id uuid NOT NULL, id uuid NOT NULL, ${PKEY})`,
      ['things.project_id is in no foreign key'],
    ],
    [
      'a primary key that is the id alone',
      `${THINGS}, PRIMARY KEY (id), ${USER_FKEY})`,
      ['things_pkey does not begin with project_id'],
    ],
    [
      'something that is unique across tenants',
      `${THINGS}, ${PKEY}, ${USER_FKEY}, CONSTRAINT things_user_unique UNIQUE (user_id, project_id))`,
      ['things_user_unique does not begin with project_id'],
    ],
    [
      'the same as an index of some of the rows',
      `${THINGS}, ${PKEY}, ${USER_FKEY}); CREATE UNIQUE INDEX things_one ON things (user_id) WHERE id IS NOT NULL`,
      ['things_one does not begin with project_id'],
    ],
    [
      'the same as an index of an expression',
      `${THINGS}, ${PKEY}, ${USER_FKEY}); CREATE UNIQUE INDEX things_one ON things (md5(id::text))`,
      ['things_one does not begin with project_id'],
    ],
    [
      'the same as an exclusion',
      `${THINGS}, ${PKEY}, ${USER_FKEY}, CONSTRAINT things_excluded EXCLUDE USING btree (user_id WITH =))`,
      ['things_excluded does not begin with project_id'],
    ],
    [
      'a reference by the id alone',
      `ALTER TABLE app_users ADD CONSTRAINT app_users_id_unique UNIQUE (id);
       ${THINGS}, ${PKEY}, CONSTRAINT things_user_fkey FOREIGN KEY (user_id) REFERENCES app_users (id))`,
      [
        'app_users_id_unique does not begin with project_id',
        'things_user_fkey does not carry project_id on both sides',
      ],
    ],
    [
      'a reference to a row of a tenant that another column names',
      `${THINGS}, of_project uuid, ${PKEY},
        CONSTRAINT things_user_fkey FOREIGN KEY (of_project, user_id) REFERENCES app_users (project_id, id))`,
      ['things_user_fkey does not carry project_id on both sides'],
    ],
    ['a reference that nothing holds to', `${THINGS}, ${PKEY})`, ['things.user_id is in no foreign key']],
    [
      'a reference that does not hold yet',
      `${THINGS}, ${PKEY}); ALTER TABLE things ADD CONSTRAINT things_user_fkey ${USER_FKEY} NOT VALID`,
      ['things_user_fkey is not validated'],
    ],
    [
      'a reference from a global table',
      `ALTER TABLE developers ADD COLUMN project_id uuid, ADD COLUMN user_id uuid,
         ADD CONSTRAINT developers_user_fkey ${USER_FKEY}`,
      ['developers is listed as global and has a project_id'],
    ],
    [
      'a table where nobody looks',
      'CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.things (id uuid PRIMARY KEY)',
      ['elsewhere.things lies outside of the schema public'],
    ],
  ])('or says so: %s', async (_, statements, faults) => {
    await afterwards(statements, async (db) => expect(await tenancyFaults(db)).toEqual(faults));
  });

  it('and all of it is what a start looks for; when it is not: npm run guards', async () => {
    const guards: { name: string; digest: string }[] = await world.db.query(ARMED_GUARDS);
    expect(Object.fromEntries(guards.map(({ name, digest }) => [name, digest]))).toEqual(GUARDS);
    expect(guards).toHaveLength(Object.keys(GUARDS).length);
  });

  it('also after a dump and restore, which writes every check from its text', async () => {
    const checks: { of: string; name: string; text: string }[] = await world.db.query(
      `SELECT conrelid::regclass::text AS of, conname AS name, pg_get_constraintdef(oid) AS text
         FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace`,
    );
    expect(checks.length).toBeGreaterThan(50);
    const queryRunner = world.db.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      for (const { of, name, text } of checks)
        await queryRunner.query(`ALTER TABLE ${of} DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} ${text}`);
      expect(await queryRunner.query(MISSING_GUARDS)).toEqual([]);
    } finally {
      await queryRunner.rollbackTransaction();
      await queryRunner.release();
    }
  });

  it('and names every constraint after its table', async () => {
    const unnamed = await world.db.query(
      `SELECT conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid <> 'migrations'::regclass
          AND contype <> 'n' AND NOT starts_with(conname, (SELECT relname FROM pg_class WHERE oid = conrelid) || '_')`,
    );
    expect(unnamed).toEqual([]);
  });

  it('so that rows of two tenants cannot refer to one another', async () => {
    const [one, two] = [await world.tenant(), await world.tenant()];
    const code = await one.code({ code: 'ONE' });
    const player = await two.player();
    await expect(
      world.db.query(
        `INSERT INTO referral_claims (project_id, id, referral_code_id, referee_id, reward_referrer, reward_referee)
         VALUES ($1, gen_random_uuid(), $2, $3, '{}', '{}')`,
        [two.id, code.id, player.id],
      ),
    ).rejects.toMatchObject({ constraint: 'referral_claims_code_fkey' });
  });
});

describe('the statements for Citus in docs/scaling.md', () => {
  it('place every table where its unique indexes and foreign keys fit', async () => {
    expect(citusPlacements()).toHaveLength(28);
    expect(await citusFaults(world.db)).toEqual([]);
  });

  it('name every trigger of a table that leaves the coordinator', async () => {
    const spread = citusPlacements().filter(({ kind }) => kind !== 'local');
    const triggers: { name: string }[] = await world.db.query(
      `SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY ($1::text[]::regclass[])`,
      [spread.map(({ table }) => table)],
    );
    expect(triggers).toHaveLength(11);
    for (const { name } of triggers) expect(scalingPage()).toContain(`\`${name}\``);
  });

  it('or a fault is named: tables that are spread too early, twice or elsewhere', async () => {
    const [developers, projects, ...others] = citusPlacements() as [Placement, Placement, ...Placement[]];
    const migrations = others.at(-1) as Placement;
    expect(await citusFaults(world.db, [projects, developers, ...others, migrations])).toEqual([
      'migrations has two places',
      'projects comes before developers, which it refers to',
    ]);
    const last = {
      ...migrations,
      kind: 'distributed',
      column: 'id',
      beside: 'sessions',
    };
    expect(
      await citusFaults(world.db, [developers, projects, ...others.slice(0, -1), last as Placement]),
    ).toEqual(['migrations does not lie beside the others', 'migrations.id is no uuid NOT NULL']);
  });

  it.each<[string, string, string[]]>([
    ['a table without a place', 'CREATE TABLE things (id uuid)', ['things has no place']],
    [
      'a table that is gone',
      'DROP TABLE claim_idempotency_keys',
      ['claim_idempotency_keys has a place and is not there'],
    ],
    [
      'a unique index of some rows, without the tenant',
      'CREATE UNIQUE INDEX sessions_one ON sessions (user_id) INCLUDE (project_id) WHERE revoked_at IS NULL',
      ['sessions_one does not have project_id'],
    ],
    [
      'a primary key without the tenant',
      'ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey, ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id)',
      ['audit_log_pkey does not have project_id'],
    ],
    [
      'a foreign key with the tenant at another place',
      `ALTER TABLE projects ADD COLUMN first_user uuid;
       ALTER TABLE projects ADD CONSTRAINT projects_user_fkey FOREIGN KEY (first_user, id) REFERENCES app_users (project_id, id)`,
      [
        'projects comes before app_users, which it refers to',
        'projects_user_fkey does not carry the key on both sides',
      ],
    ],
    [
      'a foreign key that changes keys',
      `ALTER TABLE sessions DROP CONSTRAINT sessions_user_fkey, ADD CONSTRAINT sessions_user_fkey
         FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id) ON UPDATE CASCADE`,
      ['sessions_user_fkey changes keys'],
    ],
    [
      'a foreign key from a global table to a tenant',
      `ALTER TABLE developers ADD COLUMN home uuid REFERENCES projects;
       ALTER TABLE developer_sessions ADD COLUMN home uuid REFERENCES projects`,
      [
        'developer_sessions_home_fkey goes from a local table to a distributed one',
        'developers comes before projects, which it refers to',
        'developers_home_fkey goes from a reference table to a distributed one',
      ],
    ],
    [
      'a foreign key from a tenant to what stays on the coordinator',
      'ALTER TABLE sessions ADD COLUMN of_session uuid CONSTRAINT sessions_of REFERENCES developer_sessions',
      [
        'sessions comes before developer_sessions, which it refers to',
        'sessions_of goes from a distributed table to a local one',
      ],
    ],
    [
      'a tenant that may be missing',
      'ALTER TABLE identity_providers DROP CONSTRAINT identity_providers_pkey, ALTER COLUMN project_id DROP NOT NULL',
      ['identity_providers.project_id is no uuid NOT NULL'],
    ],
    [
      'a count that is too small for numbers of many nodes',
      'ALTER TABLE app_users ADD COLUMN no integer GENERATED ALWAYS AS IDENTITY',
      ['app_users.no counts in less than a bigint'],
    ],
  ])('or a fault is named: %s', async (_, statements, faults) => {
    await afterwards(statements, async (db) => expect(await citusFaults(db)).toEqual(faults));
  });
});
