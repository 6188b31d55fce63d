import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where `docs/scaling.md` puts a table, in the order in which it does. */
export interface Placement {
  table: string;
  kind: 'distributed' | 'reference' | 'local';
  /** Of a distributed table: what its rows are spread by, and whose shards they lie beside. */
  column?: string;
  beside?: string;
}

const STATEMENT =
  /create_reference_table\('(?<reference>\w+)'\)|create_distributed_table\('(?<distributed>\w+)', '(?<column>\w+)', colocate_with => '(?<beside>\w+)'\)|-- stays on the coordinator: (?<local>[\w, ]+)/g;

export const scalingPage = () => readFileSync(join(__dirname, '../../docs/scaling.md'), 'utf8');

export function citusPlacements(): Placement[] {
  return [...scalingPage().matchAll(STATEMENT)].flatMap(({ groups = {} }): Placement[] => {
    const { reference, distributed, column, beside, local = '' } = groups;
    if (reference) return [{ table: reference, kind: 'reference' }];
    if (distributed) return [{ table: distributed, kind: 'distributed', column, beside }];
    return local.split(', ').map((table) => ({ table, kind: 'local' }));
  });
}

/**
 * What in the catalog Citus would refuse in these places, a sentence each; empty when nothing. Its rules: a unique index of
 * a distributed table has the distribution column; a foreign key between two of them has it at the same place on both sides,
 * their shards lie beside each other, and it changes no key; a reference table refers to no distributed or local one, and
 * nothing refers from one kind to a distributed or local one of the other.
 */
export async function citusFaults(
  db: { query(sql: string, values: unknown[]): Promise<unknown> },
  placements = citusPlacements(),
): Promise<string[]> {
  const rows = (await db.query(FAULTS, [JSON.stringify(placements)])) as { fault: string }[];
  return rows.map(({ fault }) => fault);
}

const FAULTS = `
WITH placements AS (
  SELECT p.*, c.oid, a.attnum AS no, a.atttypid = 'uuid'::regtype AND a.attnotnull AS is_key
    FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS ("table" text, kind text, "column" text, beside text))
         WITH ORDINALITY AS p ("table", kind, "column", beside, place)
    LEFT JOIN pg_class c ON c.relname = p."table" AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = p."column"),
foreign_keys AS (
  SELECT f.conname AS name, s."table", s.kind, s.place, t."table" AS target, t.kind AS target_kind, t.place AS target_place,
         f.confupdtype IN ('n', 'd', 'c') OR f.confdeltype IN ('n', 'd') AS changes_keys,
         EXISTS (SELECT FROM unnest(f.conkey, f.confkey) AS pair (own, target) WHERE pair = (s.no, t.no)) AS carries_key
    FROM pg_constraint f JOIN placements s ON s.oid = f.conrelid JOIN placements t ON t.oid = f.confrelid
   WHERE f.contype = 'f')

SELECT c.relname || ' has no place' AS fault FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f') AND c.oid NOT IN (SELECT oid FROM placements WHERE oid IS NOT NULL)
UNION ALL
SELECT "table" || ' has a place and is not there' FROM placements WHERE oid IS NULL
UNION ALL
SELECT "table" || ' has two places' FROM placements GROUP BY "table" HAVING count(*) > 1
UNION ALL
SELECT "table" || '.' || "column" || ' is no uuid NOT NULL' FROM placements WHERE kind = 'distributed' AND oid IS NOT NULL AND is_key IS NOT TRUE
UNION ALL
SELECT "table" || ' does not lie beside the others' FROM placements WHERE kind = 'distributed'
   AND beside <> CASE place WHEN (SELECT min(place) FROM placements WHERE kind = 'distributed') THEN 'none'
     ELSE (SELECT "table" FROM placements WHERE kind = 'distributed' ORDER BY place LIMIT 1) END
UNION ALL
SELECT i.indexrelid::regclass || ' does not have ' || p."column" FROM pg_index i JOIN placements p ON p.oid = i.indrelid
 WHERE p.kind = 'distributed' AND (i.indisunique OR i.indisexclusion)
   AND NOT p.no = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
UNION ALL
SELECT name || ' goes from a ' || kind || ' table to a ' || target_kind || ' one' FROM foreign_keys
 WHERE target_kind <> 'reference' AND kind <> target_kind
UNION ALL
SELECT name || ' does not carry the key on both sides' FROM foreign_keys
 WHERE kind = 'distributed' AND target_kind = 'distributed' AND NOT carries_key
UNION ALL
SELECT name || ' changes keys' FROM foreign_keys WHERE kind = 'distributed' AND changes_keys
UNION ALL
SELECT "table" || ' comes before ' || target || ', which it refers to' FROM foreign_keys
 WHERE kind <> 'local' AND place < target_place
UNION ALL
SELECT p."table" || '.' || a.attname || ' counts in less than a bigint' FROM placements p JOIN pg_attribute a ON a.attrelid = p.oid
 WHERE p.kind = 'distributed' AND a.attidentity <> '' AND a.atttypid <> 'int8'::regtype
ORDER BY 1`;
