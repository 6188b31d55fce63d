import type { DataSource } from 'typeorm';

type Names = ReadonlySet<string>;

/** What one statement has to do with which tables, and with which unique indexes. */
export interface Footprint {
  /** Tables that are read. */
  reads: Names;
  /** Tables whose rows change or come to be. */
  writes: Names;
  /** Tables whose rows, which were there, are locked: the four kinds of row locks, the strongest first. */
  update: Names;
  noKeyUpdate: Names;
  share: Names;
  /** By foreign keys, above all. */
  keyShare: Names;
  /** Unique indexes that get a new key or lose one. */
  keys: Names;
}

/** A statement as it is about to run; one that commits also ends what its transaction did. */
export interface Effect extends Footprint {
  ends?: Footprint;
}

export const NOTHING: Footprint = {
  ...{ reads: new Set(), writes: new Set(), keys: new Set() },
  ...{ update: new Set(), noKeyUpdate: new Set(), share: new Set(), keyShare: new Set() },
};

interface Table {
  /** Of foreign keys. */
  parents: string[];
  /** The sources of its triggers. */
  triggers: string;
  /** Its unique indexes, with their columns. */
  keys: Record<string, string[]>;
}

const INSERTED = /\bINSERT\s+INTO\s+"?(\w+)"?(?:\s*\(([^)]*)\))?/gi;
const UPDATED = /\bUPDATE\s+(?:ONLY\s+)?"?(\w+)"?/gi;
const OVERTHROWN = /\b(?:DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|LOCK)\s+(?:TABLE\s+)?(?:ONLY\s+)?"?(\w+)"?/gi;
/** What is assigned, and perhaps more. */
const ASSIGNED = /\bSET\b(.*?)(?:\bFROM\b|\bWHERE\b|$)/gis;
/** A table that is named there is not read. */
const NOT_READ = /\bINSERT\s+INTO\s+"?\w+"?|::\w+/gi;
/** Of one table, or of all that are read. */
const LOCKED = /\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b(?:\s+OF\s+(\w+))?/gi;
type Lock = 'update' | 'noKeyUpdate' | 'share' | 'keyShare';
/** PostgreSQL's table of row-level lock conflicts. */
const CONFLICTS: [Lock, Lock][] = [
  ['update', 'update'],
  ['update', 'noKeyUpdate'],
  ['update', 'share'],
  ['update', 'keyShare'],
  ['noKeyUpdate', 'noKeyUpdate'],
  ['noKeyUpdate', 'share'],
];

const FOOTPRINTS = `
  SELECT c.relname AS name,
         coalesce((SELECT json_agg(p.relname) FROM pg_constraint f JOIN pg_class p ON p.oid = f.confrelid
                    WHERE f.conrelid = c.oid AND f.contype = 'f'), '[]') AS parents,
         coalesce((SELECT string_agg(f.prosrc, ' ') FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
                    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), '') AS triggers,
         coalesce((SELECT json_object_agg(i.indexrelid::regclass, (SELECT json_agg(a.attname) FROM pg_attribute a
                                                                   WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)))
                     FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique), '{}') AS keys
    FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`;

/**
 * Tells footprints from the text of a statement and the catalogue, by whole tables and so rather too large than too
 * small.
 */
export class Footprints {
  private constructor(private readonly tables: ReadonlyMap<string, Table>) {}

  static async of(db: DataSource): Promise<Footprints> {
    const rows = await db.query<(Table & { name: string })[]>(FOOTPRINTS);
    return new Footprints(new Map(rows.map(({ name, ...table }) => [name, table])));
  }

  /** Of the statement, with the triggers and foreign keys of what it writes. */
  of(text: string): Footprint {
    const own = this.direct(text);
    return [...own.writes].reduce((sum, name) => {
      const { parents = [], triggers = '' } = this.tables.get(name) ?? {};
      const checks = { ...NOTHING, reads: new Set(parents), keyShare: new Set(parents) };
      return union(union(sum, checks), this.direct(triggers));
    }, own);
  }

  private direct(text: string): Footprint {
    const inserted = [...text.matchAll(INSERTED)].filter(([, table]) => this.tables.has(table ?? ''));
    const targets = (pattern: RegExp) =>
      [...text.matchAll(pattern)].flatMap(([, table]) => this.named(table ?? ''));
    const [updated, overthrown] = [targets(UPDATED), targets(OVERTHROWN)];
    const reads = this.named(text.replace(NOT_READ, ''));
    const assigned = [...text.matchAll(ASSIGNED)].map(([, part]) => part).join();
    const moved = updated.filter((table) => this.keysOf(table, assigned).length > 0);
    const locked = (kind: string) =>
      [...text.matchAll(LOCKED)]
        .filter(([, strength = '']) => strength.toUpperCase().replace(/\s+/g, ' ') === kind)
        .flatMap(([, , alias]) => (alias === undefined ? reads : this.called(alias, text)));
    return {
      reads: new Set(reads),
      writes: new Set([...inserted.flatMap(([, table]) => table ?? []), ...updated, ...overthrown]),
      update: new Set([...moved, ...overthrown, ...locked('UPDATE')]),
      noKeyUpdate: new Set([...updated, ...locked('NO KEY UPDATE')]),
      share: new Set(locked('SHARE')),
      keyShare: new Set(locked('KEY SHARE')),
      keys: new Set([
        ...inserted.flatMap(([, table = '', columns]) => this.keysOf(table, columns, 'every')),
        ...updated.flatMap((table) => this.keysOf(table, assigned, 'some')),
        ...overthrown.flatMap((table) => this.keysOf(table)),
      ]),
    };
  }

  private named(text: string): string[] {
    return (text.match(/\w+/g) ?? []).filter((word) => this.tables.has(word));
  }

  /** The tables that go by this name in the text. */
  private called(alias: string, text: string): string[] {
    const names = [...text.matchAll(new RegExp(`\\b(\\w+)\\s+(?:AS\\s+)?${alias}\\b`, 'gi'))];
    return [alias, ...names.map(([, name = '']) => name)].filter((name) => this.tables.has(name));
  }

  /** A key that a new row leaves out is NULL or drawn anew: it meets no other. */
  private keysOf(table: string, columns?: string, which: 'every' | 'some' = 'some'): string[] {
    const keys = Object.entries(this.tables.get(table)?.keys ?? {});
    const given = new Set(columns?.match(/\w+/g));
    return keys
      .filter(([, key]) => columns === undefined || key[which]((column) => given.has(column)))
      .map(([name]) => name);
  }
}

/**
 * Whether the order of two statements of different sessions can matter. Under READ COMMITTED a session notices another
 * in two ways only: by a lock that it meets (on a row that is there, or on a key that is being added), and by what a
 * commit shows and frees. Rows that are not committed yet are neither seen nor met. (The order of times and of sequences
 * is left out: no decision rests on it.)
 */
export function isDependent(a: Effect, b: Effect): boolean {
  return meet(a, b) || notices(a, b.ends) || notices(b, a.ends);
}

function meet(a: Footprint, b: Footprint): boolean {
  return (
    CONFLICTS.some(([one, other]) => overlap(a[one], b[other]) || overlap(a[other], b[one])) ||
    overlap(a.keys, b.keys)
  );
}

function notices(statement: Footprint, ended: Footprint | undefined): boolean {
  if (ended === undefined) return false;
  const { reads, update, noKeyUpdate, share, keyShare } = statement;
  return (
    meet(statement, ended) ||
    [reads, update, noKeyUpdate, share, keyShare].some((tables) => overlap(tables, ended.writes))
  );
}

export function union(a: Footprint, b: Footprint): Footprint {
  const both = (kind: keyof Footprint) => new Set([...a[kind], ...b[kind]]);
  return {
    ...{ reads: both('reads'), writes: both('writes'), keys: both('keys'), update: both('update') },
    ...{ noKeyUpdate: both('noKeyUpdate'), share: both('share'), keyShare: both('keyShare') },
  };
}

function overlap(a: Names, b: Names): boolean {
  return [...a].some((name) => b.has(name));
}
