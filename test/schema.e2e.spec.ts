import { useWorld } from './support/world';

const world = useWorld();

/** Tables that belong to no tenant: the tenants themselves, the developers who own them, and the record of migrations. */
const GLOBAL_TABLES = [
  ...['projects', 'migrations'],
  ...['developers', 'developer_sessions', 'personal_access_tokens', 'developer_audit_log'],
];

describe('the schema carries the tenant', () => {
  it('in the primary key, every unique constraint and every foreign key of each tenant table', async () => {
    const tables = await world.db.query(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`,
    );
    const tenantTables = tables
      .map(({ name }: { name: string }) => name)
      .filter((name: string) => !GLOBAL_TABLES.includes(name));
    expect(tenantTables.length).toBeGreaterThanOrEqual(10);

    const constraints = await world.db.query(
      `SELECT c.conrelid::regclass::text AS table, c.conname AS name, c.contype::text AS type, c.confrelid::regclass::text AS target,
              ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (no, place)
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.no ORDER BY place) AS columns,
              ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (no, place)
                      JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.no ORDER BY place) AS target_columns
         FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f')`,
    );
    const withoutTenant = constraints
      .filter(({ table }: { table: string }) => !GLOBAL_TABLES.includes(table))
      .filter(
        ({
          type,
          target,
          columns,
          target_columns,
        }: {
          type: string;
          target: string;
          columns: string[];
          target_columns: string[];
        }) => {
          const tenantOfTarget = target === 'projects' ? 'id' : 'project_id';
          return columns[0] !== 'project_id' || (type === 'f' && target_columns[0] !== tenantOfTarget);
        },
      );
    expect(withoutTenant).toEqual([]);

    const withPrimaryKey = constraints
      .filter(({ type }: { type: string }) => type === 'p')
      .map(({ table }: { table: string }) => table);
    expect(tenantTables.filter((name: string) => !withPrimaryKey.includes(name))).toEqual([]);
  });

  it('in every unique index, also one that is no constraint', async () => {
    const indexes = await world.db.query(
      `SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND c.relname <> ALL ($1)
          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'project_id')`,
      [GLOBAL_TABLES],
    );
    expect(indexes).toEqual([]);
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
