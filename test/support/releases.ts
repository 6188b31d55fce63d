import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { cloneDatabase, type TestDatabase } from './world';

const FOLDER = join(__dirname, '../releases');

interface KnownUser {
  id: string;
  session_token: string;
  refresh_token: string;
}

/** What the users of an old installation have in their hands: `test/releases/make.mjs`. */
export interface Known {
  secret: string;
  projectId: string;
  clientKey: string;
  adaCode: string;
  claimId: string;
  login: { email: string; password: string };
  ada: KnownUser;
  grace: KnownUser;
  gone: KnownUser;
  refreshed: KnownUser;
}

export const RELEASES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.replace(/\.sql$/, ''));

/** The database that a release left, on the run's server, and what its users know. */
export async function releasedDatabase(release: string): Promise<TestDatabase & { known: Known }> {
  const read = (extension: string) => readFileSync(join(FOLDER, `${release}.${extension}`), 'utf8');
  const database = await cloneDatabase({ empty: true });
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(read('sql'));
  // or this test would end with the tokens, years after the release
  await client.query(`UPDATE public.refresh_tokens SET expires_at = now() + interval '30 days'`);
  await client.end();
  return { ...database, known: JSON.parse(read('json')) as Known };
}

/** The token as the release signed it, but today. */
export function signedToday({ session_token: token }: KnownUser, secret: string): string {
  const [header, payload] = token.split('.') as [string, string];
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  const iat = Math.floor(Date.now() / 1000);
  const today = Buffer.from(JSON.stringify({ ...claims, iat, exp: iat + 3600 })).toString('base64url');
  const signature = createHmac('sha256', secret).update(`${header}.${today}`).digest('base64url');
  return `${header}.${today}.${signature}`;
}
