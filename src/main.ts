import 'reflect-metadata';
import { ConsoleLogger, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';
import { adapterOn, openApp } from './app.setup';
import { explain } from './common/run-command';
import { StartupError } from './common/startup-error';
import { loadConfig, type Config } from './config';
import { openDatabase, type Database } from './database/database';
import { describeDemo, seedDemo } from './demo';
import { FrontDoor } from './front-door';

/** How long a shutdown may take after its drain. */
const SHUTDOWN_LIMIT_MS = 20_000;

const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Listens, opens the database, serves, and returns what ends all three. Until the database is there the process is
 * alive and not ready (`FrontDoor`); `stopping` ends the wait for it.
 */
async function start(config: Config, stopping: AbortSignal): Promise<(drainMs: number) => Promise<void>> {
  const door = new FrontDoor();
  const url = await door.listen(config);
  const database = await openDatabase(config, { role: 'server', log: say, signal: stopping });
  try {
    const app = await serve(config, { door, database, url });
    return async (drainMs) => {
      await door.close(drainMs);
      await app.close();
      await database.close();
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function serve(
  config: Config,
  { door, database, url }: { door: FrontDoor; database: Database; url: string },
): Promise<INestApplication> {
  const module = AppModule.on(config, database.url);
  const app = await NestFactory.create(module, adapterOn(door.server, config), {
    bodyParser: false,
    abortOnError: false,
    logger: new ConsoleLogger({ json: config.production, logLevels: ['fatal', 'error', 'warn'] }),
  });
  try {
    door.open(await openApp(app, config));
    say(`\nAmba Referrals is ready.\n\n  API         ${url}/v1\n  Swagger UI  ${url}/docs`);
    const demo = config.seedDemo ? await seedDemo(app, config) : undefined;
    if (demo) say(describeDemo(demo, url));
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Serves until a signal. SIGTERM leaves balancers time to notice; who presses Ctrl-C has none. */
function run(config: Config): void {
  const stopping = new AbortController();
  const started = start(config, stopping.signal);
  const onSignal = (signal: NodeJS.Signals) => {
    // npm passes a Ctrl-C on that the terminal already delivered
    if (stopping.signal.aborted) return;
    say(`\n${signal}: stopping …`);
    stopping.abort();
    const drainMs = signal === 'SIGTERM' ? config.shutdownDrainMs : 0;
    setTimeout(
      () => fail(new StartupError('The shutdown took too long and was cut off.')),
      drainMs + SHUTDOWN_LIMIT_MS,
    ).unref();
    started.then((stop) => stop(drainMs)).then(() => end(), end);
  };
  const end = (error?: unknown) => {
    // a start that was told to stop waiting for its database says so by this reason
    if (error !== undefined && error !== stopping.signal.reason) fail(error);
    say('Stopped.');
    process.exit(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  started.catch((error: unknown) => {
    if (!stopping.signal.aborted) fail(error);
  });
}

function fail(error: unknown): never {
  process.stderr.write(`\n${explain(error)}\n`);
  process.exit(1);
}

// a reader of our output that goes away is no reason to stop
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
try {
  run(loadConfig());
} catch (error) {
  fail(error);
}
