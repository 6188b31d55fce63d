import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig, type QueryResultRow } from 'pg';

const CONNECTION_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 5_000;
const END_TIMEOUT_MS = 1_000;

/**
 * One quick query on a connection of its own, for a start that has no pool yet. On a link that has gone silent it fails
 * after 5 s instead of waiting for ever.
 *
 * @param settings what else the connection asks for
 */
export async function queryOnce<Row extends QueryResultRow>(
  url: string,
  sql: string,
  settings: ClientConfig = {},
): Promise<Row[]> {
  const client = new Client({
    ...settings,
    connectionString: url,
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  // a connection lost after the answer is not our concern here
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    const ended = client.end().catch(() => undefined);
    await Promise.race([ended, sleep(END_TIMEOUT_MS, undefined, { ref: false })]);
  }
}
