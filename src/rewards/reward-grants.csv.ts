import { stringify } from 'csv-stringify/sync';
import { Readable } from 'node:stream';
import type { GrantRow } from './reward-grant-list';

const COLUMNS = [
  ...['id', 'claim_id', 'side', 'app_user_id', 'currency_code', 'promised', 'granted', 'clamped', 'status'],
  ...['attempts', 'last_error', 'next_attempt_at', 'created_at', 'settled_at'],
  ...['transaction.id', 'transaction.balance_after', 'transaction.created_at'],
].map((key) => ({ key, header: key.replace('.', '_') }));

/**
 * The rows as CSV (RFC 4180), for a spreadsheet: a text that it would take for a formula begins with an apostrophe
 * instead, since what is in `last_error` others may have written.
 *
 * Reads a batch when the last one is on its way to the client, and no more once the client is gone.
 *
 * @throws what the first batch throws, before there is a stream; what a later one throws ends the stream with it
 */
export async function toCsv(batches: AsyncGenerator<GrantRow[], void>): Promise<Readable> {
  const first = await batches.next();
  const texts = async function* () {
    yield toLines(first.value ?? [], { header: true });
    for await (const rows of batches) yield toLines(rows, { header: false });
  };
  return Readable.from(texts());
}

function toLines(rows: GrantRow[], { header }: { header: boolean }): string {
  return stringify(rows, {
    header,
    columns: COLUMNS,
    record_delimiter: 'windows',
    // otherwise only the delimiter itself is quoted, and half of one is a new line all the same
    quote_record_delimiter: true,
    escape_formulas: true,
    cast: { date: (time) => time.toISOString() },
  });
}
