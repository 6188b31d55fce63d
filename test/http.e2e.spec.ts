import { exchange } from './support/raw';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase, startWorld, useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
let ada: Player;

beforeAll(async () => {
  tenant = await world.tenant();
  await tenant.code({ code: 'PROMO' });
  ada = await tenant.player();
});

const CLAIM = '/v1/client/referrals/claim';
const envelope = (code: string) => ({
  error: expect.objectContaining({ code, message: expect.any(String), request_id: expect.any(String) }),
});
const post = (body: string, headers: Record<string, string> = {}) =>
  world.http.post(CLAIM).set(ada.headers).set('content-type', 'application/json').set(headers).send(body);

describe('the error envelope', () => {
  it.each([
    ['an unknown route', () => world.http.get('/nowhere'), 404, 'NOT_FOUND'],
    [
      'an unknown client route',
      () => world.http.get('/v1/client/nowhere').set(ada.headers),
      404,
      'NOT_FOUND',
    ],
    ['an unversioned route with a version', () => world.http.get('/v1/health/live'), 404, 'NOT_FOUND'],
    ['a wrong method', () => world.http.delete(CLAIM).set(ada.headers), 404, 'NOT_FOUND'],
    ['a malformed address', () => world.http.get('/%E0%A4%A'), 404, 'NOT_FOUND'],
    ['broken JSON', () => post('{"code":'), 400, 'INVALID_INPUT'],
    ['a JSON string', () => post('"PROMO"'), 400, 'INVALID_INPUT'],
    ['a JSON array', () => post('["PROMO"]'), 400, 'INVALID_INPUT'],
    ['80 kB of brackets', () => post('['.repeat(80_000)), 413, 'PAYLOAD_TOO_LARGE'],
    ['16 kB of brackets', () => post(`${'['.repeat(8_000)}${']'.repeat(8_000)}`), 400, 'INVALID_INPUT'],
    ['deep objects', () => post(`${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`), 400, 'INVALID_INPUT'],
    ['__proto__', () => post('{"code":"PROMO","__proto__":{"admin":true}}'), 400, 'INVALID_INPUT'],
    ['constructor', () => post('{"code":"PROMO","constructor":{"prototype":{}}}'), 400, 'INVALID_INPUT'],
    ['toString', () => post('{"code":"PROMO","toString":"x"}'), 400, 'INVALID_INPUT'],
    [
      'hasOwnProperty',
      () => world.http.get('/client/currencies?hasOwnProperty=1').set(ada.headers),
      400,
      'INVALID_INPUT',
    ],
    ['OPTIONS that are no preflight', () => world.http.options('/client/currencies'), 404, 'NOT_FOUND'],
    ['a large body', () => post(JSON.stringify({ code: 'A'.repeat(17_000) })), 413, 'PAYLOAD_TOO_LARGE'],
    [
      'another content type',
      () => post('code=PROMO', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'another charset',
      () => post('{}', { 'content-type': 'application/json; charset=latin1' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['a compressed body', () => post('{}', { 'content-encoding': 'gzip' }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['no body', () => world.http.post(CLAIM).set(ada.headers), 400, 'INVALID_INPUT'],
    [
      'a NUL in the query',
      () => world.http.get('/client/currencies/transactions?currency_code=a%00').set(ada.headers),
      400,
      'INVALID_INPUT',
    ],
    [
      'a parameter twice',
      () => world.http.get('/client/currencies/transactions?limit=1&limit=2').set(ada.headers),
      400,
      'INVALID_INPUT',
    ],
  ])('is there for %s', async (_, send, status, code) => {
    const response = await send();
    expect({ status: response.status, body: response.body }).toEqual({ status, body: envelope(code) });
    expect(response.headers['content-type']).toMatch(/^application\/json/);
    expect(response.body.error.request_id).toBe(response.headers['x-request-id']);
    expect(JSON.stringify(response.body)).not.toMatch(/SELECT|INSERT|node_modules|\.ts:|\.js:/);
  });

  it.each([
    ['broken HTTP', 'GET / HTTP/9\r\n\r\n', 400, 'INVALID_INPUT'],
    [
      'two lengths',
      `POST ${CLAIM} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'INVALID_INPUT',
    ],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: x\r\nExpect: foo\r\n\r\n', 400, 'INVALID_INPUT'],
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'INVALID_INPUT'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n', 400, 'INVALID_INPUT'],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'INVALID_INPUT'],
    [
      'huge headers',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'HEADERS_TOO_LARGE',
    ],
    [
      'two API keys',
      `GET /client/currencies HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: a\r\nX-Api-Key: b\r\n\r\n`,
      400,
      'INVALID_INPUT',
    ],
    [
      'two sessions',
      `GET /client/currencies HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n`,
      400,
      'INVALID_INPUT',
    ],
  ])('is there for %s', async (_, request, status, code) => {
    const answer = await exchange(world.url, request);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toEqual(envelope(code));
  });

  it('is there for a request that does not arrive in time: 408', async () => {
    const server = world.app.getHttpServer();
    expect(server.headersTimeout).toBe(10_000);
    expect(server.requestTimeout).toBe(15_000);
    server.headersTimeout = 300;
    try {
      const answer = await exchange(world.url, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout/);
      expect(answer).toContain('"code":"REQUEST_TIMEOUT"');
    } finally {
      server.headersTimeout = 10_000;
    }
  });

  it('is there when the database is gone: 503 with Retry-After, until it is back', async () => {
    const database = await cloneDatabase();
    const proxy = await TcpProxy.to(database.url);
    const { world: cutOff, close } = await startWorld(proxy.url);
    const { headers } = await (await cutOff.tenant()).player();
    const balances = () => cutOff.http.get('/client/currencies').set(headers);
    await balances().expect(200);

    await proxy.down();
    const response = await balances().expect(503);
    expect(response.body).toEqual(envelope('SERVICE_UNAVAILABLE'));
    expect(response.headers['retry-after']).toBe('1');
    expect((await cutOff.http.get('/health/ready').expect(503)).body).toEqual(
      envelope('SERVICE_UNAVAILABLE'),
    );
    await cutOff.http.get('/health/live').expect(200);

    await proxy.up();
    await balances().expect(200);
    await cutOff.http.get('/health/ready').expect(200);
    await close();
    await proxy.down();
    await database.drop();
  });
});

describe('request ids', () => {
  it("keeps the caller's when it is a plain one, and makes its own otherwise", async () => {
    expect(
      (await world.http.get('/health/live').set('x-request-id', 'abc-1_2')).headers['x-request-id'],
    ).toBe('abc-1_2');
    const { headers } = await world.http.get('/health/live').set('x-request-id', 'a"b<c>');
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('CORS', () => {
  const preflight = (path: string) =>
    world.http.options(path).set({ origin: 'https://game.example', 'access-control-request-method': 'POST' });

  it.each(['/client/referrals/claim', '/v1/client/referrals/claim'])(
    'lets browsers call %s',
    async (path) => {
      const { headers } = await preflight(path).expect(204);
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers['access-control-allow-headers']).toBe(
        'x-api-key,authorization,content-type,if-none-match,idempotency-key',
      );
    },
  );

  it('and routes do not care for the case of a path', async () => {
    for (const path of ['/V1/Client/currencies', '/CLIENT/currencies']) {
      const { headers } = await world.http
        .get(path)
        .set({ ...ada.headers, origin: 'https://game.example' })
        .expect(200);
      expect(headers['access-control-allow-origin']).toBe('*');
    }
  });

  it('shows browsers the errors and the headers they may read', async () => {
    const { headers } = await world.http
      .get('/client/currencies')
      .set('origin', 'https://game.example')
      .expect(401);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-expose-headers']).toBe(
      'etag,x-request-id,idempotent-replayed,retry-after,ratelimit,ratelimit-policy',
    );
  });

  it('is for the client plane only', async () => {
    for (const path of ['/admin/projects', '/v1/admin/projects', '/health/live', '/clients']) {
      expect((await preflight(path)).headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

describe('CORS with chosen origins', () => {
  const chosen = useWorld({ corsOrigins: ['https://a.example', 'https://b.example'] });

  it('answers these and no others', async () => {
    const allowed = async (origin: string) =>
      (await chosen.http.get('/client/currencies').set('origin', origin)).headers[
        'access-control-allow-origin'
      ];
    expect(await allowed('https://b.example')).toBe('https://b.example');
    expect(await allowed('https://evil.example')).toBeUndefined();
  });
});
