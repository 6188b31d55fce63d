import 'reflect-metadata';
import { ConsoleLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { AppModule } from './app.module';
import { configureApp } from './app.setup';
import { explain } from './common/run-command';
import { StartupError } from './common/startup-error';
import { loadConfig, type Config } from './config';
import { openDatabase, type Database } from './database/database';
import { describeDemo, seedDemo } from './demo';

/** How long a shutdown waits for requests under way. */
const SHUTDOWN_TIMEOUT_MS = 10_000;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Opens the database, serves, and returns what stops both. */
async function start(): Promise<() => Promise<void>> {
  const config = loadConfig();
  const database = await openDatabase(config, { role: 'server', log: say });
  try {
    const app = await serve(config, database);
    return async () => {
      await closeApp(app);
      await database.close();
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function serve(config: Config, database: Database): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.on(config, database.url), {
    bodyParser: false,
    abortOnError: false,
    logger: new ConsoleLogger({ json: config.production, logLevels: ['fatal', 'error', 'warn'] }),
  });
  try {
    configureApp(app, config);
    const url = await listen(app, config);
    say(`\nAmba Referrals is ready.\n\n  API         ${url}/v1\n  Swagger UI  ${url}/docs`);
    const demo = config.seedDemo ? await seedDemo(app, config) : undefined;
    if (demo) say(describeDemo(demo, url));
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Not through Nest's own `listen`, which logs a taken port before we can explain it. @returns the URL */
async function listen(app: NestExpressApplication, { host, port }: Config): Promise<string> {
  await app.init();
  const server = app.getHttpServer();
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new StartupError(
        `Port ${port} is taken. Stop what listens there, or start with another one: PORT=3001 npm start`,
      );
    }
    throw new StartupError(
      `Cannot listen on ${host}:${port} (${code}). Set HOST and PORT to an address of this machine.`,
      { cause: error },
    );
  }
  const { port: actual } = server.address() as AddressInfo;
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${actual}`;
}

/** No new connections, then no new work; in-flight requests finish, one that does not within the limit is cut. */
async function closeApp(app: NestExpressApplication): Promise<void> {
  const server = app.getHttpServer();
  server.close();
  const cut = setTimeout(() => server.closeAllConnections(), SHUTDOWN_TIMEOUT_MS);
  await app.close();
  clearTimeout(cut);
}

function stopOnSignal(started: Promise<() => Promise<void>>): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    // npm passes a Ctrl-C on that the terminal already delivered
    if (stopping) return;
    stopping = true;
    say(`\n${signal}: stopping …`);
    // a start that still waits for its database has nothing to stop
    setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS * 2).unref();
    started
      .then((stop) => stop())
      .then(() => {
        say('Stopped.');
        process.exit(0);
      })
      .catch(fail);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

function fail(error: unknown): void {
  process.stderr.write(`\n${explain(error)}\n`);
  process.exit(1);
}

// a reader of our output that goes away is no reason to stop
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
const started = start();
stopOnSignal(started);
started.catch(fail);
