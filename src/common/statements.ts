import type { QueryResult } from 'pg';
import { QueryRunnerAlreadyReleasedError, type QueryRunner } from 'typeorm';

/** What the driver can always put on the wire. */
export type Value = string | number | boolean | Date | Buffer | null | readonly (string | number)[];

/** A statement and its values, which somebody else decides when to send. */
export interface Statement<Row = unknown> {
  text: string;
  values: Value[];
  /** What it returns; for the compiler only. */
  readonly row?: Row;
}

/** For each statement the rows that it returned; none for one that there was not. */
export type Rows<Statements extends readonly (Statement | undefined)[]> = {
  -readonly [Index in keyof Statements]: NonNullable<Statements[Index]> extends Statement<infer Row>
    ? Row[]
    : never;
};

/**
 * Writes as one statement, which costs one of everything instead of one for each. They see what others return by name
 * (`FROM code`), nothing else of each other; foreign keys between them are checked when all are done.
 *
 * @param parts none begins with WITH; those without a statement are left out
 * @param returns whose rows the statement returns; none by default
 */
export function asOne<Row>(
  parts: Record<string, Statement | undefined>,
  returns?: keyof typeof parts,
): Statement<Row> {
  const values: Value[] = [];
  const named = Object.entries(parts).flatMap(([name, part]) => {
    if (part === undefined) return [];
    const before = values.length;
    values.push(...part.values);
    return `${name} AS (${part.text.replace(/\$(\d+)/g, (_, no) => `$${Number(no) + before}`)})`;
  });
  const rows = returns === undefined ? '' : ` * FROM ${returns}`;
  return { text: `WITH ${named.join(', ')} SELECT${rows}`, values };
}

/**
 * Rows for `FROM`, as in `(VALUES …) AS w (id, amount)`. As parameters the planner sees how many they are, and looks them up
 * one by one in an index; of an array or of JSON it assumes many, and reads the whole table for them. Rows of NULL are added up
 * to the next power of two, so that there are few texts to prepare: an INSERT has to leave them out.
 *
 * @param rows at least one
 * @param columns the type of each column that is wanted of the rows
 * @param from how many parameters stand before
 */
export function rowsFrom<Column extends string>(
  rows: readonly Record<Column, Value>[],
  columns: Record<Column, string>,
  from: number,
) {
  const names = Object.keys(columns) as Column[];
  const values: Value[] = [];
  const texts: string[] = [];
  for (let row = 0; row < rows.length || !isPowerOfTwo(row); row += 1) {
    const parameters = names.map(
      (name) => `$${from + values.push(rows[row]?.[name] ?? null)}::${columns[name]}`,
    );
    texts.push(parameters.join(', '));
  }
  const list = `(${texts.join('), (')})`;
  return { list, text: `(VALUES ${list}) AS w (${names.join(', ')})`, values };
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}

type Answer = Pick<QueryResult, 'rows'>;

interface Connection {
  query(text: string, values: unknown[]): Promise<Answer>;
}

const NO_ANSWER: Answer = { rows: [] };

/**
 * Sends statements at once and waits for all of them: one round trip (`Flight`). The server runs them one after the other,
 * so that each sees what was committed while those before it waited for a lock, and none after one that failed.
 *
 * @param statements where one is undefined, there is nothing to send
 * @throws what the first of them failed with that failed
 */
export async function sendTogether<const Statements extends readonly (Statement | undefined)[]>(
  queryRunner: QueryRunner,
  ...statements: Statements
): Promise<Rows<Statements>> {
  return rowsOf<Statements>(await Promise.allSettled(await send(queryRunner, statements)));
}

/** Hands statements to the driver in this order; what is sent after this has resolved comes after them. */
export async function send(
  queryRunner: QueryRunner,
  statements: readonly (Statement | undefined)[],
): Promise<Promise<Answer>[]> {
  // after a lost link it would connect anew, and what follows would run outside of the transaction
  if (queryRunner.isReleased) throw new QueryRunnerAlreadyReleasedError();
  const connection = (await queryRunner.connect()) as Connection;
  return statements.map((statement) => {
    if (statement === undefined) return Promise.resolve(NO_ANSWER);
    const { text, values } = statement;
    queryRunner.dataSource.logger.logQuery(text, values, queryRunner);
    return connection.query(text, values);
  });
}

export function rowsOf<Statements extends readonly (Statement | undefined)[]>(
  answers: PromiseSettledResult<Answer>[],
): Rows<Statements> {
  return answers.map((answer) => {
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value.rows as unknown[];
  }) as Rows<Statements>;
}
