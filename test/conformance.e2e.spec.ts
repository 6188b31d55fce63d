import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateApiKey } from '../src/auth/api-key';
import { signDeveloperTokens } from '../src/auth/developer-token';
import { generatePersonalAccessToken } from '../src/auth/personal-access-token';
import { openApiDocument } from '../src/openapi';
import { invite } from '../client/example';
import { TcpProxy } from './support/tcp-proxy';
import {
  cloneDatabase,
  limitedTo,
  startWorld,
  tally,
  useWorld,
  type Method,
  type Player,
  type Tenant,
  type TestDeveloper,
  type World,
} from './support/world';

/**
 * Every answer that any test gets through `world.http` is held against the OpenAPI document. Here each operation is
 * driven through what all of its kind can answer; the end of the run tells which documented answer nobody saw.
 */
const world = useWorld();
const ROOT = join(__dirname, '..');

/** Which credentials an operation asks for; `public` ones are those of signing in as a developer. */
type Plane = 'public' | 'key' | 'session' | 'developer' | 'project';

const ADMIN: Plane[] = ['developer', 'project'];
const CLIENT: Plane[] = ['key', 'session'];
const ALL: Plane[] = ['public', ...CLIENT, ...ADMIN];

interface Operation {
  method: Method;
  path: string;
  plane: Plane;
  hasBody: boolean;
}

function operationsOf(target: World): Operation[] {
  return Object.entries(openApiDocument(target.app).paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, any>)
      .filter(() => !path.startsWith('/health'))
      .map(([method, { security, requestBody }]) => ({
        method: method as Method,
        path,
        plane: planeOf(security),
        hasBody: requestBody !== undefined,
      })),
  );
}

function planeOf(security: Record<string, unknown>[] | undefined): Plane {
  if (security === undefined) return 'public';
  if (security.some((scheme) => scheme.ServerKey)) return 'project';
  if (security[0]?.Developer) return 'developer';
  return security[0]?.Session ? 'session' : 'key';
}

let tenant: Tenant;
let player: Player;
let developer: TestDeveloper;

beforeAll(async () => {
  world.conformance.notePromises();
  developer = await world.developer();
  tenant = await world.tenant({ ownerId: developer.id });
  await tenant.currency({ code: 'gems' });
  player = await tenant.player();
});

/** A path whose other ids name nothing. */
const fill = (path: string, projectId: string) =>
  path
    .replace('{projectId}', projectId)
    .replace('{provider}', 'apple')
    .replace(/\{\w+\}/g, randomUUID());

/** Sends a request to each operation of the planes, at both base paths, and counts the outcomes. */
async function drive(
  planes: Plane[],
  { headers, body, search = '', only = () => true, on = world, projectId = tenant.id }: DriveOptions,
): Promise<Record<string, number>> {
  const operations = operationsOf(on).filter(
    (operation) => planes.includes(operation.plane) && only(operation),
  );
  expect(operations.length).toBeGreaterThan(0);
  const responses = [];
  for (const { method, path } of operations) {
    for (const address of [path, path.replace('/v1', '')]) {
      responses.push(
        await on.http[method](fill(address, projectId) + search)
          .set(headers)
          .send(body),
      );
    }
  }
  const counts = tally(responses);
  return Object.fromEntries(
    Object.entries(counts).map(([outcome, count]) => [outcome, count / (2 * operations.length)]),
  );
}

interface DriveOptions {
  headers: Record<string, string>;
  body?: string | object;
  search?: string;
  only?: (operation: Operation) => boolean;
  on?: World;
  projectId?: string;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

function credentials(plane: Plane): Record<string, string> {
  if (plane === 'public') return {};
  return ADMIN.includes(plane) ? developer.headers : player.headers;
}

/** What a well-formed request to sign in as a developer says; each of its fields is known somewhere. */
const PUBLIC_BODIES: Record<string, () => object> = {
  signup: () => ({ email: 'new@example.com', password: 'correct horse' }),
  login: () => ({ email: developer.email, password: developer.password }),
  refresh: () => ({ refresh_token: refreshToken() }),
  logout: () => ({ refresh_token: refreshToken() }),
};

function refreshToken(): string {
  const { refreshToken: token } = signDeveloperTokens(
    { developerId: developer.id, sessionId: randomUUID(), generation: 0 },
    world.config.sessionSecrets[0],
  );
  return token;
}

/** Drives each plane with credentials that are in order, and the public one with bodies that are. */
async function driveEach(planes: Plane[], on: World = world): Promise<Record<string, number>> {
  const responses = [];
  for (const { method, path, plane } of operationsOf(on).filter((found) => planes.includes(found.plane))) {
    const name = path.split('/').at(-1) ?? '';
    const body = plane === 'public' ? PUBLIC_BODIES[name]?.() : undefined;
    responses.push(await on.http[method](fill(path, tenant.id)).set(credentials(plane)).send(body));
  }
  const counts = tally(responses);
  return Object.fromEntries(
    Object.entries(counts).map(([outcome, count]) => [outcome, count / responses.length]),
  );
}

const key = () => ({ 'x-api-key': tenant.clientKey });
const json = { 'content-type': 'application/json' };
const withBody = ({ hasBody }: Operation) => hasBody;

describe('every operation', () => {
  it('refuses missing, unknown and wrong keys', async () => {
    expect(await drive(CLIENT, { headers: {} })).toEqual({ '401 MISSING_API_KEY': 1 });
    expect(await drive(CLIENT, { headers: { 'x-api-key': generateApiKey('client', 'production') } })).toEqual(
      {
        '401 INVALID_API_KEY': 1,
      },
    );
    expect(await drive(CLIENT, { headers: { 'x-api-key': tenant.serverKey } })).toEqual({
      '403 FORBIDDEN': 1,
    });
  });

  it('refuses missing and stale sessions, where it needs one', async () => {
    expect(await drive(['session'], { headers: key() })).toEqual({ '401 MISSING_SESSION': 1 });
    expect(await drive(['session'], { headers: { ...key(), authorization: 'Bearer stale' } })).toEqual({
      '401 INVALID_TOKEN': 1,
    });
  });

  it('refuses missing, unknown and wrong tokens, where an admin is needed', async () => {
    expect(await drive(ADMIN, { headers: {} })).toEqual({ '401 MISSING_SESSION': 1 });
    for (const unknown of [
      generateApiKey('server', 'production'),
      generatePersonalAccessToken(),
      'hello',
      player.headers.authorization.slice('Bearer '.length),
    ]) {
      expect(await drive(ADMIN, { headers: bearer(unknown) })).toEqual({ '401 INVALID_TOKEN': 1 });
    }
    expect(await drive(ADMIN, { headers: bearer(tenant.clientKey) })).toEqual({ '403 FORBIDDEN': 1 });
    expect(await drive(['developer'], { headers: tenant.server })).toEqual({ '403 FORBIDDEN': 1 });
  });

  it('refuses all but the owner of the project and its server keys', async () => {
    const other = await world.tenant();
    const stranger = await world.developer();
    for (const headers of [other.server, stranger.headers]) {
      expect(await drive(['project'], { headers })).toEqual({ '403 PROJECT_FORBIDDEN': 1 });
      for (const projectId of [randomUUID(), 'no-uuid']) {
        expect(await drive(['project'], { headers, projectId })).toEqual({ '403 PROJECT_FORBIDDEN': 1 });
      }
    }
  });

  it('says 404 NOT_FOUND for a project of the caller that is deleted', async () => {
    const { id, server } = await world.tenant({ ownerId: developer.id });
    await world.http.delete(`/v1/admin/projects/${id}`).set(developer.headers).expect(200);
    expect(await drive(['project'], { headers: developer.headers, projectId: id })).toEqual({
      '404 NOT_FOUND': 1,
    });
    expect(await drive(['project'], { headers: server, projectId: id })).toEqual({ '401 INVALID_TOKEN': 1 });
  });

  it('refuses bodies that are broken, too large or something else', async () => {
    for (const plane of ALL) {
      const headers = { ...credentials(plane), ...json };
      const send = (body: string, more: object = {}, only?: (operation: Operation) => boolean) =>
        drive([plane], { headers: { ...headers, ...more }, body, only });
      expect(await send('{"a":')).toEqual({ '400 INVALID_INPUT': 1 });
      expect(await send('{"no_such_field":1}', {}, withBody)).toEqual({ '400 INVALID_INPUT': 1 });
      expect(await send(`"${'x'.repeat(17_000)}"`)).toEqual({ '413 PAYLOAD_TOO_LARGE': 1 });
      expect(await send('a=b', { 'content-type': 'text/plain' })).toEqual({
        '415 UNSUPPORTED_MEDIA_TYPE': 1,
      });
    }
  });

  it('refuses a NUL in the query, needed or not', async () => {
    expect(await drive(ALL, { headers: player.headers, search: '?x=%00' })).toEqual({
      '400 INVALID_INPUT': 1,
    });
  });

  it('says 500 INTERNAL_ERROR for a fault of its own, without a word about it', async () => {
    const tables = ['api_keys', 'developers', 'developer_sessions'];
    for (const table of tables) await world.db.query(`ALTER TABLE ${table} RENAME TO away_${table}`);
    try {
      expect(await driveEach(CLIENT)).toEqual({ '500 INTERNAL_ERROR': 1 });
      expect(await driveEach(ADMIN)).toEqual({ '500 INTERNAL_ERROR': 1 });
      expect(await driveEach(['public'])).toEqual({ '500 INTERNAL_ERROR': 1 });
      const { text } = await world.http.get('/client/currencies').set(player.headers);
      expect(text).not.toMatch(/relation|api_keys|SELECT|\.ts/);
    } finally {
      for (const table of tables) await world.db.query(`ALTER TABLE away_${table} RENAME TO ${table}`);
    }
  });

  it('says 503 SERVICE_UNAVAILABLE while the database is away', async () => {
    const database = await cloneDatabase();
    const proxy = await TcpProxy.to(database.url);
    const { world: cutOff, close } = await startWorld(proxy.url);
    await proxy.down();
    expect(await driveEach([...CLIENT, ...ADMIN, 'public'], cutOff)).toEqual({
      '503 SERVICE_UNAVAILABLE': 1,
    });
    await close();
    await database.drop();
  });

  it('says 429 RATE_LIMITED where one address may come only so often', async () => {
    const database = await cloneDatabase();
    const { world: busy, close } = await startWorld(database.url, limitedTo({ address: 1 }));
    await busy.http.get('/v1/client/config').expect(401);
    expect(await drive(ALL, { headers: {}, on: busy })).toEqual({ '429 RATE_LIMITED': 1 });
    await close();
    await database.drop();
  });

  it('says CLAIM_FAILED when a claim cannot be stored', async () => {
    await tenant.code({ code: 'BROKEN' });
    await world.db.query(`ALTER TABLE referral_claims RENAME TO away`);
    try {
      expect(tally([await world.claim(player, 'BROKEN')])).toEqual({ '500 CLAIM_FAILED': 1 });
    } finally {
      await world.db.query(`ALTER TABLE away RENAME TO referral_claims`);
    }
  });
});

describe('the generated client', () => {
  it('is made from the document as it is; if not, run: npm run client', () => {
    const fresh = mkdtempSync(join(tmpdir(), 'amba-client-'));
    const generator = join(ROOT, 'node_modules/@hey-api/openapi-ts/bin/run.js');
    execFileSync(process.execPath, [generator, '-i', './client/openapi.json', '-o', fresh], {
      cwd: ROOT,
      stdio: 'ignore',
    });
    const contents = (folder: string) =>
      Object.fromEntries(
        readdirSync(folder, { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.ts'))
          .map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
      );
    expect(contents(join(ROOT, 'client/generated'))).toEqual(contents(fresh));
    rmSync(fresh, { recursive: true });
  });

  it('is made from the routes as they are; if not, run: npm run client', () => {
    const file = JSON.parse(readFileSync(join(ROOT, 'client/openapi.json'), 'utf8'));
    expect(file).toEqual(JSON.parse(JSON.stringify(openApiDocument(world.app))));
  });

  it('does the main job in its example', async () => {
    const app = await world.tenant();
    await app.currency({ code: 'gems' });
    await app.code({ code: 'TEMPLATE', rewardReferrer: { gems: 50 }, rewardReferee: { gems: 25 } });
    const { claim, balances } = await invite(world.url, app.clientKey);
    expect(claim.rewards).toEqual([{ currency_code: 'gems', amount: 25, granted: 25, status: 'granted' }]);
    expect([balances.ada[0]?.balance, balances.grace[0]?.balance]).toEqual([50, 25]);
  });
});

/** As `fetch`, which would add a User-Agent of its own. */
function send(
  method: string,
  url: string,
  { headers, body }: { headers: Record<string, string>; body?: string },
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk))).on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    outgoing.on('error', reject).end(body);
  });
}

describe('a client as it is published', () => {
  /**
   * Three tries on 5xx, network errors and answers that are no JSON, half a second and a second apart (here shorter); no
   * idempotency key, no User-Agent, `{}` where there is nothing to say, an `Authorization` on every route.
   */
  class PublishedClient {
    token = '';

    constructor(
      private readonly baseUrl: string,
      private readonly idempotencyKey?: string,
    ) {}

    async request(
      method: string,
      path: string,
      body?: object,
    ): Promise<{ status: number; data?: any; error?: any; replayed: boolean }> {
      for (let tries = 1; ; tries += 1) {
        try {
          const { status, headers, text } = await send(method, this.baseUrl + path, {
            headers: {
              'X-Api-Key': tenant.clientKey,
              ...(this.token && { Authorization: `Bearer ${this.token}` }),
              ...(body && { 'Content-Type': 'application/json' }),
              ...(this.idempotencyKey && { 'Idempotency-Key': this.idempotencyKey }),
            },
            body: body && JSON.stringify(body),
          });
          const parsed = JSON.parse(text) as { data?: any; error?: any };
          world.conformance.check({ method, path: path.split('?', 1)[0] ?? '', status, body: parsed, text });
          if (status >= 500 && tries < 3) throw new Error(`status ${status}`);
          return { status, ...parsed, replayed: headers['idempotent-replayed'] === 'true' };
        } catch (error) {
          if (tries === 3) throw error;
          await new Promise((resolve) => setTimeout(resolve, 50 * tries));
        }
      }
    }
  }

  it.each(['/v1', ''])('lives a whole life on a base URL that ends in "%s" and a key', async (prefix) => {
    const client = new PublishedClient(world.url + prefix);
    const code = `LIFE${prefix.slice(1)}`;
    const login = { email: `${randomUUID()}@example.com`, password: 'correct horse' };
    await tenant.code({ code, rewardReferee: { gems: 3 } });

    const guest = await client.request('POST', '/client/auth/anonymous', {});
    client.token = guest.data.session_token;
    const user = await client.request('POST', '/client/auth/email/signup', login);
    client.token = 'a stale one';
    const back = await client.request('POST', '/client/auth/email/login', login);
    client.token = back.data.session_token;
    const refreshed = await client.request('POST', '/client/auth/refresh', {
      refresh_token: back.data.refresh_token,
    });
    client.token = refreshed.data.session_token;
    const profile = await client.request('PATCH', '/client/users/me', { display_name: 'Ada' });
    const me = await client.request('GET', '/client/users/me');
    const config = await client.request('GET', '/client/config');
    const mine = await client.request('GET', '/client/referrals/my-code');
    const again = await client.request('GET', '/client/referrals/my-code');
    const claim = await client.request('POST', '/client/referrals/claim', { code });
    const balances = await client.request('GET', '/client/currencies');
    const history = await client.request('GET', '/client/currencies/transactions?limit=5');
    const out = await client.request('POST', '/client/auth/logout', {
      refresh_token: refreshed.data.refresh_token,
    });
    const after = await client.request('GET', '/client/users/me');

    const signedIn = [guest, user, back, refreshed].map(({ status }) => status);
    const read = [profile, me, config, mine, again, claim, balances, history, out, after].map(
      ({ status }) => status,
    );
    expect([signedIn, read]).toEqual([
      [201, 201, 200, 200],
      [200, 200, 200, 201, 200, 201, 200, 200, 200, 401],
    ]);
    expect(me.data.display_name).toBe('Ada');
    expect(user.data.user.id).toBe(guest.data.user.id);
    expect(balances.data.find((row: { currency_code: string }) => row.currency_code === 'gems').balance).toBe(
      3,
    );
    expect(history.data[0]).toMatchObject({ amount: 3, reference_id: claim.data.id });
  });

  it.each([
    ['no idempotency key hears ALREADY_CLAIMED with the claim', undefined],
    ['an idempotency key gets the same 201 again', 'key-1'],
  ])('that loses the answer of a claim and has %s', async (_, idempotencyKey) => {
    const code = `LOST${idempotencyKey ? '2' : '1'}`;
    await tenant.code({ code, rewardReferee: { gems: 3 } });
    const proxy = await TcpProxy.to(world.url);
    const client = new PublishedClient(`${proxy.url}v1`.replace(/\/?v1$/, '/v1'), idempotencyKey);
    client.token = (await tenant.player()).headers.authorization.slice('Bearer '.length);
    let lost: any;
    proxy.onServerData = (chunk) => {
      if (lost || !chunk.includes('HTTP/1.1 201')) return 'forward';
      lost = JSON.parse(String(chunk).split('\r\n\r\n')[1] ?? '').data;
      return 'cut';
    };
    const answer = await client.request('POST', '/client/referrals/claim', { code });
    await proxy.down();
    if (idempotencyKey) expect(answer).toMatchObject({ status: 201, replayed: true, data: lost });
    else
      expect(answer).toMatchObject({
        status: 400,
        error: { code: 'ALREADY_CLAIMED', details: { claim: lost } },
      });
    const [{ claims }] = await world.db.query(
      `SELECT count(*) AS claims FROM referral_claims WHERE id = $1`,
      [lost.id],
    );
    expect(claims).toBe(1);
  });
});
