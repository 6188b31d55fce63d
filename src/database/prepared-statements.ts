import { LRUCache } from 'lru-cache';
import { createHash, randomUUID } from 'node:crypto';
import type { Connection } from 'pg';

/** On one connection, each with its plan in the server's memory. Some are written anew for each length of a list. */
export const MAX_PREPARED = 200;
/** One with more values is of a long list, and will hardly come again; a payment of eight claims has about as many. */
const MAX_VALUES = 350;

/** What pg makes of a description of rows. */
export interface Columns {
  fields: unknown;
  _parsers: unknown;
  _prebuiltEmptyResultObject: unknown;
}

/** A statement of a connection, under its name on the server. */
export interface PreparedStatement {
  readonly name: string;
  /** What is sent: the statement, in a generation after the first with a comment before it. */
  readonly text: string;
  /** What its rows are made of, once they were described. The server refuses it when that changes. */
  columns?: Columns;
  /** It was to be prepared together with something that failed: a pooler on the way may know it, the server does not. */
  isInDoubt?: boolean;
}

/** Counts how often a statement turned out to be stale. What was prepared before is not used again, on any connection. */
let generation = 0;
/** Other processes share what a pooler has prepared, and have generations of their own. */
const PROCESS = randomUUID().slice(0, 8);

/**
 * What a connection has prepared on the server: at most 200 statements, those used last. One that is forgotten is closed
 * on the server too, and prepared again when it comes back.
 *
 * Where one statement is stale, as after a migration, others are too, on every connection. So all of them are prepared
 * again before their next use, under names of a new generation: whoever tries again meets none that is stale. Their texts are
 * new too: PgBouncer prepares each text once on a connection, whatever name it is asked for, and would go on with the stale one.
 */
export class PreparedStatements {
  private generation = generation;
  private readonly known = new LRUCache<string, PreparedStatement>({
    max: MAX_PREPARED,
    dispose: ({ name }) => this.close(name),
  });

  constructor(private readonly connection: Connection & { parsedStatements: Record<string, string> }) {}

  /**
   * What to prepare a statement as, which must be sent at once; undefined for one that is not worth it. The same
   * text has the same name everywhere, so that a pooler cannot take it for another statement.
   */
  of(text: string, { length }: readonly unknown[]): PreparedStatement | undefined {
    if (length > MAX_VALUES) return undefined;
    if (this.generation !== generation) this.beginAnew();
    const known = this.known.get(text);
    if (known !== undefined) return known;
    const name = `amba_${generation}_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    const statement = { name, text: generation === 0 ? text : `/* ${PROCESS} ${generation} */ ${text}` };
    this.known.set(text, statement);
    return statement;
  }

  /** The server says that one of them is stale. Many connections say so of the same migration: the first one counts. */
  expire(): void {
    if (this.generation === generation) generation += 1;
  }

  private beginAnew(): void {
    this.generation = generation;
    this.known.clear();
  }

  /** Goes out with the statement that comes next, whose Sync ends both; it is no error where there is none. */
  private close(name: string): void {
    delete this.connection.parsedStatements[name];
    this.connection.close({ type: 'S', name }, false);
  }
}
