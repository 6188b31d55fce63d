import type { DataSource } from 'typeorm';
import { isDatabaseUnavailable, isRetryable } from '../common/database-error';
import type { Value } from '../common/statements';
import type { ResilientClient } from './resilient-client';

/** One that is slow holds up those behind it, so they are not many. */
const MAX_SHARING = 8;

interface Read {
  text: string;
  values: (Value | undefined)[];
  resolve: (rows: never[]) => void;
  reject: (error: unknown) => void;
}

/** What was asked for in this turn of the event loop. */
const asked = new WeakMap<DataSource, Read[]>();

/**
 * Looks a few rows up, as many requests do at the same time. Those that are asked for in one turn of the event loop share a
 * connection and a round trip, eight at most: a packet costs both sides more than such a look itself. Nobody waits for
 * others to come.
 *
 * @param text finds its rows by their keys, changes nothing and waits for no lock: others may wait behind it
 * @returns what is committed when it is read
 * @throws what this statement fails with, or the way to the database. Whoever fails for another, or with it, is sent again alone.
 */
export function sharedRead<Row>(
  dataSource: DataSource,
  text: string,
  values: (Value | undefined)[],
): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const reads = asked.get(dataSource) ?? [];
    // after all requests that have arrived by now
    if (reads.length === 0) setImmediate(() => depart(dataSource));
    reads.push({ text, values, resolve, reject });
    asked.set(dataSource, reads);
  });
}

function depart(dataSource: DataSource): void {
  const reads = asked.get(dataSource) ?? [];
  asked.delete(dataSource);
  while (reads.length > 1) void sendTogether(dataSource, reads.splice(0, MAX_SHARING));
  for (const read of reads) sendAlone(dataSource, read);
}

function sendAlone(dataSource: DataSource, { text, values, resolve, reject }: Read): void {
  dataSource.query<never[]>(text, values).then(resolve, reject);
}

async function sendTogether(dataSource: DataSource, reads: Read[]): Promise<void> {
  const queryRunner = dataSource.createQueryRunner();
  try {
    const connection = (await queryRunner.connect()) as ResilientClient;
    for (const { text, values } of reads) dataSource.logger.logQuery(text, values, queryRunner);
    const answers = await Promise.allSettled(connection.readTogether(reads));
    const failed = answers.findIndex(({ status }) => status === 'rejected');
    answers.forEach((answer, i) => {
      const read = reads[i] as Read;
      if (answer.status === 'fulfilled') read.resolve(answer.value.rows as never[]);
      else if (i === failed && isOfItsOwn(answer.reason)) read.reject(answer.reason);
      else sendAlone(dataSource, read);
    });
  } catch (error) {
    for (const { reject } of reads) reject(error);
  } finally {
    await queryRunner.release();
  }
}

/** It would fail alone too. The others make a transaction of a read: they keep its locks, and its link is silent, for longer. */
function isOfItsOwn(error: unknown): boolean {
  return !isDatabaseUnavailable(error) && !isRetryable(error);
}
