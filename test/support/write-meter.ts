import type { DataSource } from 'typeorm';

/**
 * Notes every row that is written and committed, whatever it holds afterwards: cheaper than `fingerprint`, and it sees
 * a change that is taken back. When a key was last used does not count, which every request may note.
 */
export class WriteMeter {
  private constructor(private readonly db: DataSource) {}

  static async on(db: DataSource): Promise<WriteMeter> {
    await db.query(`
      CREATE SCHEMA meter;
      CREATE TABLE meter.writes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, write text NOT NULL);
      CREATE FUNCTION meter.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP <> 'UPDATE' OR to_jsonb(OLD) - 'last_used_at' <> to_jsonb(NEW) - 'last_used_at' THEN
            INSERT INTO meter.writes (write) VALUES (lower(TG_OP) || ' ' || TG_TABLE_NAME);
          END IF;
          RETURN NULL;
        END $$`);
    const tables = await db.query<{ name: string }[]>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    );
    for (const { name } of tables) {
      await db.query(
        `CREATE TRIGGER meter AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION meter.note()`,
      );
    }
    return new WriteMeter(db);
  }

  /** Where the meter stands. */
  async mark(): Promise<string> {
    const [{ id }] = await this.db.query(`SELECT coalesce(max(id), 0) AS id FROM meter.writes`);
    return id as string;
  }

  /** What was written since, as in `insert app_users`. */
  async since(mark: string): Promise<string[]> {
    const rows = await this.db.query<{ write: string }[]>(
      `SELECT write FROM meter.writes WHERE id > $1 ORDER BY id`,
      [mark],
    );
    return rows.map(({ write }) => write);
  }
}
