import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare } from './prepare.mjs';

/**
 * Writes src/database/guard-digests.ts: the guards of a database that was migrated just now, `DATABASE_URL` (one that is
 * empty) or a throw-away one of our own.
 */
prepare();
const require = createRequire(import.meta.url);
const { EmbeddedPostgres } = require('../dist/src/database/embedded-postgres.js');
const { ARMED_GUARDS } = require('../dist/src/database/guards.js');
const { migrate } = require('../dist/src/database/migrate.js');
const { queryOnce } = require('../dist/src/database/query-once.js');

const dataDir = mkdtempSync(join(tmpdir(), 'amba-guards-'));
const given = process.env.DATABASE_URL;
const postgres = given ? undefined : await EmbeddedPostgres.open(dataDir, 'server', { throwaway: true });
const url = given ?? postgres.url;
await migrate(url);
const guards = await queryOnce(url, `${ARMED_GUARDS} ORDER BY name COLLATE "C"`);
await postgres?.close();
rmSync(dataDir, { recursive: true, force: true });
writeFileSync(
  join(import.meta.dirname, '../src/database/guard-digests.ts'),
  `/**
 * Every trigger, constraint, unique index and function of the schema, with a digest of its definition: what is true of
 * stored rows rests on them. Written by \`npm run guards\`; a test holds it against the catalog of a migrated database.
 */
export const GUARDS: Record<string, string> = {
${guards.map(({ name, digest }) => `  ${/^\w+$/.test(name) ? name : `'${name}'`}: '${digest}',\n`).join('')}};
`,
);
