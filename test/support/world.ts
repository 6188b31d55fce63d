import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { AppModule } from '../../src/app.module';
import { adapterOn, openApp } from '../../src/app.setup';
import type { Actor } from '../../src/auth/actor';
import { LIMITS, loadConfig, type Config, type LimitName, type RateLimitsConfig } from '../../src/config';
import { CurrencyService, type NewCurrency } from '../../src/currency/currency.service';
import { DevelopersService } from '../../src/developers/developers.service';
import { FrontDoor } from '../../src/front-door';
import { RequestLog } from '../../src/http.log';
import { openApiDocument } from '../../src/openapi';
import { trustedProxies } from '../../src/proxies';
import { ProjectsService, type NewProject } from '../../src/projects/projects.service';
import { ReferralCodesService, type NewCode } from '../../src/referrals/referral-codes.service';
import { SignInService } from '../../src/users/sign-in.service';
import { UsersService } from '../../src/users/users.service';
import { databaseUrl } from './global-setup';
import { Conformance } from './conformance';
import { expectInvariants, expectInvariantsAt } from './invariants';
import { Output } from './output';

const MANY = 1e6;

/** So much a minute, or in `perS`, of what is named, and as much as a test can ask for of everything else. */
export function limitedTo(
  requests: Partial<Record<LimitName, number>>,
  perS = 60,
): Pick<Config, 'rateLimits'> {
  const limits = LIMITS.map((name) => [name, { requests: requests[name] ?? MANY, perS }]);
  return { rateLimits: Object.fromEntries(limits) as RateLimitsConfig };
}

/** The sweeper stands still unless a test moves it, and nobody asks for too much. */
const TEST_CONFIG: Partial<Config> = {
  ...{ sweepIntervalMs: 0, integrityIntervalMs: 0, housekeepingIntervalMs: 0, rateLimitIntervalMs: 0 },
  ...limitedTo({}),
};

/** Whom the audit log names for what a test sets up. */
export const TESTER: Actor = {
  ...({ kind: 'command_line', id: null, name: 'test', address: null, requestId: null } as const),
};

export type Method = 'get' | 'post' | 'patch' | 'put' | 'delete' | 'options';

/** A user of an app, as HTTP sees one. */
export interface Player {
  id: string;
  headers: { 'x-api-key': string; authorization: string };
}

/** An app (a project) with its users, over HTTP. */
export class Tenant {
  constructor(
    private readonly world: World,
    readonly id: string,
    readonly clientKey: string,
    readonly serverKey: string,
  ) {}

  /** As a server of the app. */
  get server() {
    return { authorization: `Bearer ${this.serverKey}` };
  }

  async player(externalId: string = randomUUID()): Promise<Player> {
    const users = this.world.app.get(UsersService);
    const { id } = await users.create(this.id, { externalId });
    const { sessionToken: token } = (await this.world.app.get(SignInService).known(this.id, id)).tokens;
    return { id, headers: { 'x-api-key': this.clientKey, authorization: `Bearer ${token}` } };
  }

  players(count: number): Promise<Player[]> {
    return Promise.all(Array.from({ length: count }, () => this.player()));
  }

  currency(currency: Partial<NewCurrency> & { code: string }) {
    return this.world.app.get(CurrencyService).create(TESTER, this.id, { name: currency.code, ...currency });
  }

  async deleteCurrency(code: string): Promise<void> {
    const currencies = this.world.app.get(CurrencyService);
    await currencies.delete(TESTER, this.id, (await currencies.getByCode(this.id, code)).id);
  }

  code(code: NewCode) {
    return this.world.app.get(ReferralCodesService).create(TESTER, this.id, code);
  }
}

/** A developer, with a personal access token. */
export interface TestDeveloper {
  id: string;
  email: string;
  password: string;
  headers: { authorization: string };
}

/** The application on a database of its own, cloned from the migrated template. */
export class World {
  readonly url: string;
  readonly config: Config;

  constructor(
    readonly app: INestApplication,
    readonly db: DataSource,
    place: { url: string; config: Config },
    readonly conformance: Conformance,
  ) {
    this.url = place.url;
    this.config = place.config;
  }

  /** Requests whose answers must be as the OpenAPI document says. */
  get http() {
    const agent = request(this.url);
    const checked = (method: Method) => (path: string) =>
      agent[method](path).expect(({ status, body, text }) =>
        this.conformance.check({ method, path: path.split('?', 1)[0] ?? '', status, body, text }),
      );
    return {
      ...{ get: checked('get'), post: checked('post'), patch: checked('patch') },
      ...{ put: checked('put'), delete: checked('delete'), options: checked('options') },
    };
  }

  async tenant(project: Partial<NewProject> = {}): Promise<Tenant> {
    const values = { name: 'Test app', ...project };
    const { project: made, keys } = await this.app.get(ProjectsService).create(TESTER, values, 'development');
    return new Tenant(this, made.id, keys.client.key, keys.server.key);
  }

  async developer(): Promise<TestDeveloper> {
    const credentials = { email: `${randomUUID()}@example.com`, password: 'correct horse' };
    const { developer, pat } = await this.app.get(DevelopersService).create(TESTER, credentials);
    return { id: developer.id, ...credentials, headers: { authorization: `Bearer ${pat}` } };
  }

  myCode(player: Player) {
    return this.http.get('/v1/client/referrals/my-code').set(player.headers);
  }

  claim(player: Player, code: string, headers: Record<string, string> = {}) {
    return this.http.post('/v1/client/referrals/claim').set(player.headers).set(headers).send({ code });
  }

  /** One of the `/client/auth/…` routes, with a session along if one is given. */
  auth(tenant: Tenant, path: string, body: object = {}, token?: string) {
    return this.http
      .post(`/v1/client/auth/${path}`)
      .set({ 'x-api-key': tenant.clientKey, ...(token && { authorization: `Bearer ${token}` }) })
      .send(body);
  }

  /**
   * For a test that disables a user by SQL alone, to see that this suffices, when it has seen it: a disabled user has
   * no live session, says the invariant that is checked after every test.
   */
  async signOutTheDisabled(): Promise<void> {
    await this.db.query(
      `UPDATE sessions s SET revoked_at = clock_timestamp() FROM app_users u
        WHERE u.project_id = s.project_id AND u.id = s.user_id AND u.disabled_at IS NOT NULL AND s.revoked_at IS NULL`,
    );
  }

  async balance(player: Player, currencyCode: string): Promise<number> {
    const { body } = await this.http.get('/v1/client/currencies').set(player.headers).expect(200);
    return body.data.find((row: { currency_code: string }) => row.currency_code === currencyCode).balance;
  }

  async transactions(player: Player, query: Record<string, string | number> = {}) {
    const { body } = await this.http
      .get('/v1/client/currencies/transactions')
      .query(query)
      .set(player.headers)
      .expect(200);
    return body.data;
  }
}

/** Gives each test of a file the same world, and checks after every test that all invariants hold. */
export function useWorld(overrides: Partial<Config> | (() => Promise<Partial<Config>>) = {}): World {
  const holder = {} as { world: World; close: () => Promise<void> };
  beforeAll(async () => {
    const database = await cloneDatabase();
    Object.assign(
      holder,
      await startWorld(database.url, typeof overrides === 'function' ? await overrides() : overrides),
    );
    const { close } = holder;
    holder.close = async () => {
      await close();
      await database.discard();
    };
  });
  afterEach(() => expectInvariants(holder.world.db));
  afterAll(() => holder.close());
  return new Proxy({} as World, {
    get: (_, name: keyof World) => Reflect.get(holder.world, name, holder.world),
  });
}

/** Runs a test on a world of its own, and checks after it that all invariants hold. */
export async function onWorld(
  overrides: Partial<Config>,
  test: (own: World) => Promise<void>,
): Promise<void> {
  const database = await cloneDatabase();
  const { world: own, close } = await startWorld(database.url, overrides);
  try {
    await test(own);
    await expectInvariants(own.db);
  } finally {
    await close();
    await database.discard();
  }
}

/** The same for every application of a file: the document does not depend on the configuration, and takes long to make. */
let conformance: Conformance | undefined;

/** An application on the given database, listening on loopback. */
export async function startWorld(
  databaseUrl: string,
  overrides: Partial<Config> = {},
  { isPooled = true } = {},
) {
  const config: Config = { ...testConfig(), ...TEST_CONFIG, ...overrides };
  const module = await Test.createTestingModule({
    imports: [AppModule.on(config, isPooled ? pooled(databaseUrl) : databaseUrl)],
  }).compile();
  const door = new FrontDoor(new RequestLog(Output.log, trustedProxies(config)));
  const app = module.createNestApplication(await adapterOn(door.server, config), {
    bodyParser: false,
    logger: false,
  });
  door.open(await openApp(app, config));
  const { maxConnections } = config;
  const url = await door.listen({ host: '127.0.0.1', port: 0, maxConnections });
  conformance ??= new Conformance(openApiDocument(app));
  const world = new World(app, app.get(DataSource), { url, config }, conformance);
  return { world, close: () => app.close() };
}

export interface TestDatabase {
  name: string;
  url: string;
  /** Removes it, and fails when an invariant does not hold in what the test leaves behind. */
  drop: () => Promise<void>;
  /** Removes it unseen: for a test that broke it on purpose or has looked itself. */
  discard: () => Promise<void>;
}

/**
 * A database of one's own on the run's server: migrated, or (`empty`) as PostgreSQL makes it, or a copy of another
 * one that nobody is connected to (`of`).
 */
export async function cloneDatabase({ empty = false, of = '' } = {}): Promise<TestDatabase> {
  const server = testServer();
  const name = `${server.template}_${randomUUID().slice(0, 8)}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${of || (empty ? 'template0' : server.template)}`);
  const url = databaseUrl(server.url, name);
  if (server.poolerUrl !== undefined)
    await onServer(
      SETTINGS.map((setting) => `ALTER ROLE CURRENT_USER IN DATABASE ${name} SET ${setting}`).join(';'),
    );
  const discard = () => onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  return { name, url, discard, drop: () => expectInvariantsAt(url).finally(discard) };
}

/** What a role has behind PgBouncer: docs/operations.md. */
const SETTINGS = [
  `statement_timeout = '3s'`,
  `lock_timeout = '2s'`,
  `idle_in_transaction_session_timeout = '4s'`,
];

/** The way of an application to its database: through PgBouncer, if this run has one, unless the test has a way of its own. */
export function pooled(url: string): string {
  const { url: serverUrl, poolerUrl } = testServer();
  if (poolerUrl === undefined || new URL(url).host !== new URL(serverUrl).host) return url;
  return databaseUrl(poolerUrl, new URL(url).pathname.slice(1));
}

/** The way of a test to the same database, past PgBouncer. */
export function direct(url: string): string {
  return databaseUrl(testServer().url, new URL(url).pathname.slice(1));
}

/** The server of this run, as `global-setup.ts` left it. */
function testServer(): { url: string; template: string; poolerUrl?: string } {
  return JSON.parse(process.env.TEST_SERVER ?? '') as { url: string; template: string; poolerUrl?: string };
}

/** Runs a statement outside of the database under test. */
async function onServer(sql: string): Promise<void> {
  const { url } = testServer();
  const admin = await new DataSource({ type: 'postgres', url, installExtensions: false }).initialize();
  try {
    await admin.query(sql);
  } finally {
    await admin.destroy();
  }
}

function testConfig(): Config {
  return loadConfig({
    DATABASE_URL: 'postgres://unused',
    SESSION_SECRET: 'a secret that only the tests know, 32+',
    HTTP_ADAPTER: process.env.HTTP_ADAPTER,
    DATABASE_PREPARED_STATEMENTS: process.env.DATABASE_PREPARED_STATEMENTS,
  });
}

/** How often each outcome occurred, as in `{ '201': 5, '400 MAX_USES_REACHED': 95 }`. */
export function tally(
  responses: { status: number; body: { error?: { code: string } } }[],
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of responses) {
    const outcome = body.error ? `${status} ${body.error.code}` : String(status);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
