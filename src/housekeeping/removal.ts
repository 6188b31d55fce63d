import type { DataSource } from 'typeorm';

/** Few enough that whoever waits for a session that a batch has locked does not notice. */
export const BATCH_ROWS = 500;

/** How many rows went, by table. */
export type RemovedRows = Readonly<Record<string, number>>;

/** Something that is removed when it is past its retention. */
export interface Removal {
  readonly tables: readonly string[];
  /**
   * Removes up to `BATCH_ROWS` rows of each table, in a transaction of its own; fewer of all when nothing more is due. Rows
   * that somebody has locked are left for another time. By the clock of the database.
   */
  readonly removeBatch: (dataSource: DataSource) => Promise<RemovedRows>;
}

/** What of a table may go by its age alone. */
interface OldRows {
  table: string;
  /** When a row was last good for something, as an index has it. */
  time: string;
  keptS: number;
  /** What a row must also be, in SQL. */
  only?: string;
}

export function oldRows({ table, time, keptS, only = 'true' }: OldRows): Removal {
  const statement = `
    DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${table} WHERE ${time} < now() - make_interval(secs => $1) AND ${only}
       ORDER BY ${time} LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED))`;
  return {
    tables: [table],
    removeBatch: async (dataSource) => {
      const [, removed] = await dataSource.query<[object[], number]>(statement, [keptS]);
      return { [table]: removed };
    },
  };
}
