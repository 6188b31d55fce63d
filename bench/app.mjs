import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../scripts/prepare.mjs';

prepare();

/** A module of the built application, by its path below `dist`. */
export const load = (path) => import(join(import.meta.dirname, '../dist', path));

const { EmbeddedPostgres } = await load('src/database/embedded-postgres.js');
const { migrate } = await load('src/database/migrate.js');
const { loadConfig } = await load('src/config.js');
const { AppModule } = await load('src/app.module.js');
const { adapterOn, openApp } = await load('src/app.setup.js');
const { FrontDoor } = await load('src/front-door.js');
const { NestFactory } = await import('@nestjs/core');

/** Whom the audit log names. */
export const BENCH = { kind: 'command_line', id: null, name: 'bench', address: null, requestId: null };

/**
 * Runs a measurement on the application and an embedded PostgreSQL in a temporary folder (as the tests do: without `fsync`), and removes both.
 *
 * @param overrides settings other than the defaults
 */
export async function withApp(overrides, measure) {
  const dataDir = mkdtempSync(join(tmpdir(), 'amba-bench-'));
  // PostgreSQL may have to run under another account, which must find its way in
  chmodSync(dataDir, 0o755);
  const postgres = await EmbeddedPostgres.open(dataDir, 'server', { throwaway: true });
  try {
    await migrate(postgres.url);
    const app = await startApp(postgres.url, overrides);
    try {
      await measure(app, postgres.url);
    } finally {
      await app.close();
    }
  } finally {
    await postgres.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The application on a database, listening on loopback; to be closed. */
export async function startApp(url, overrides) {
  const config = {
    ...loadConfig({ DATABASE_URL: url, SESSION_SECRET: 'only for the length of a benchmark' }),
    ...{ sweepIntervalMs: 0, ...overrides },
  };
  const door = new FrontDoor();
  const app = await NestFactory.create(AppModule.on(config, url), await adapterOn(door.server, config), {
    ...{ bodyParser: false, logger: ['error'] },
  });
  door.open(await openApp(app, config));
  await app.listen(0, '127.0.0.1');
  return app;
}
