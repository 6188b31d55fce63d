import { GUARDS } from '../src/database/guard-digests';
import { ARMED_GUARDS, MISSING_GUARDS } from '../src/database/guards';
import { GLOBAL_TABLES, tenancyFaults } from './support/tenancy';
import { useWorld } from './support/world';

const world = useWorld();

/** The start of a tenant table as it should be. */
const THINGS =
  'CREATE TABLE things (project_id uuid NOT NULL REFERENCES projects, id uuid NOT NULL, user_id uuid';
const PKEY = 'PRIMARY KEY (project_id, id)';
const USER_FKEY = 'FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id)';

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
    const queryRunner = world.db.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      await queryRunner.query(statements);
      expect(await tenancyFaults(queryRunner)).toEqual(faults);
    } finally {
      await queryRunner.rollbackTransaction();
      await queryRunner.release();
    }
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
