import 'reflect-metadata';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';
import { adapterOn, openApp } from './app.setup';
import { explain, runCommand } from './common/run-command';
import { StartupError } from './common/startup-error';
import { loadConfig, type Config } from './config';
import { openDatabase, type Database } from './database/database';
import { describeDemo, seedDemo } from './demo';
import { FrontDoor } from './front-door';
import { RequestLog } from './http.log';
import { NestLog, openLog, type ServerLog } from './log';
import { trustedProxies } from './proxies';
import { startTracing } from './tracing';

/** How long a shutdown may take after its drain. */
const SHUTDOWN_LIMIT_MS = 20_000;

/** What a server is made of. */
interface Server {
  config: Config;
  log: ServerLog;
  door: FrontDoor;
  database: Database;
  url: string;
}

/**
 * Listens, opens the database, serves, and returns what ends all three. Until the database is there the process is
 * alive and not ready (`FrontDoor`); `stopping` ends the wait for it.
 */
async function start(
  config: Config,
  log: ServerLog,
  stopping: AbortSignal,
): Promise<(drainMs: number) => Promise<void>> {
  const stopTracing = await startTracing(config);
  const door = new FrontDoor(new RequestLog(log.lines, trustedProxies(config)));
  const url = await door.listen(config);
  const database = await openDatabase(config, { role: 'server', log: log.say, signal: stopping });
  try {
    const app = await serve({ config, log, door, database, url });
    return async (drainMs) => {
      await door.close(drainMs);
      await app.close();
      await database.close();
      await stopTracing();
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function serve({ config, log, door, database, url }: Server): Promise<INestApplication> {
  const module = AppModule.on(config, database.url);
  const app = await NestFactory.create(module, await adapterOn(door.server, config), {
    bodyParser: false,
    abortOnError: false,
    logger: new NestLog(log.lines),
  });
  try {
    door.open(await openApp(app, config));
    log.say(`\nAmba Referrals is ready.\n\n  API         ${url}/v1\n  Swagger UI  ${url}/docs`, { url });
    const demo = config.seedDemo ? await seedDemo(app, config) : undefined;
    if (demo) log.say(describeDemo(demo, url));
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Serves until a signal. SIGTERM leaves balancers time to notice; who presses Ctrl-C has none. */
function run(config: Config, log: ServerLog): void {
  const stopping = new AbortController();
  const started = start(config, log, stopping.signal);
  const onSignal = (signal: NodeJS.Signals) => {
    // npm passes a Ctrl-C on that the terminal already delivered
    if (stopping.signal.aborted) return;
    log.say(`\n${signal}: stopping …`);
    stopping.abort();
    const drainMs = signal === 'SIGTERM' ? config.shutdownDrainMs : 0;
    setTimeout(
      () => void fail(log, new StartupError('The shutdown took too long and was cut off.')),
      drainMs + SHUTDOWN_LIMIT_MS,
    ).unref();
    started.then((stop) => stop(drainMs)).then(() => end(), end);
  };
  const end = async (error?: unknown) => {
    // a start that was told to stop waiting for its database says so by this reason
    if (error !== undefined && error !== stopping.signal.reason) return fail(log, error);
    log.say('Stopped.');
    await log.close();
    process.exit(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  started.catch((error: unknown) => {
    if (!stopping.signal.aborted) void fail(log, error);
  });
}

/** What ends a server too soon is told in text on stderr, also in production. */
async function fail(log: ServerLog, error: unknown): Promise<never> {
  await log.close();
  process.stderr.write(`\n${explain(error)}\n`);
  process.exit(1);
}

// a reader of our output that goes away is no reason to stop
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
runCommand(async () => {
  const config = loadConfig();
  run(config, await openLog(config));
});
