import { answersIn, exchange, RawClient } from './support/raw';
import { useWorld, type Player } from './support/world';

/** Bytes that two parties could read as different requests: one reading or a refusal, and nothing after a refusal. */
const world = useWorld();

let ada: Player;
let credentials: string;

beforeAll(async () => {
  const tenant = await world.tenant();
  await tenant.code({ code: 'PROMO' });
  ada = await tenant.player();
  credentials = `X-Api-Key: ${ada.headers['x-api-key']}\r\nAuthorization: ${ada.headers.authorization}\r\n`;
});

const CLAIM = '/v1/client/referrals/claim';
const JSON_TYPE = 'Content-Type: application/json\r\n';
/** A claim that would work, smuggled in behind the request that is under test. */
const smuggled = () =>
  `POST ${CLAIM} HTTP/1.1\r\nHost: x\r\n${credentials}${JSON_TYPE}Content-Length: 16\r\n\r\n{"code":"PROMO"}`;
const post = (headers: string, rest: string) =>
  `POST ${CLAIM} HTTP/1.1\r\nHost: x\r\n${credentials}${JSON_TYPE}${headers}\r\n${rest}`;
const get = (headers = '') => `GET /health/live HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const outcomes = (received: string) =>
  answersIn(received).map(({ status, code }) => (code ? `${status} ${code}` : String(status)));
const claims = async () => {
  const [{ count }] = await world.db.query(
    `SELECT count(*) AS count FROM referral_claims WHERE referee_id = $1`,
    [ada.id],
  );
  return Number(count);
};

describe('a request with a claim smuggled in behind it is refused, and the claim is not read', () => {
  it.each<[string, () => string]>([
    [
      'a length and chunks',
      () => post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled()}`),
    ],
    [
      'chunks and a length',
      () => post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${smuggled()}`),
    ],
    ['two lengths that differ', () => post('Content-Length: 0\r\nContent-Length: 5\r\n', smuggled())],
    ['two lengths that agree', () => post('Content-Length: 2\r\nContent-Length: 2\r\n', `{}${smuggled()}`)],
    ['two lengths in one', () => post('Content-Length: 2, 2\r\n', `{}${smuggled()}`)],
    ['a negative length', () => post('Content-Length: -1\r\n', smuggled())],
    ['a length with a sign', () => post('Content-Length: +2\r\n', `{}${smuggled()}`)],
    ['a hexadecimal length', () => post('Content-Length: 0x2\r\n', `{}${smuggled()}`)],
    ['a length that is none', () => post('Content-Length: two\r\n', smuggled())],
    ['a length beyond all numbers', () => post(`Content-Length: ${'9'.repeat(30)}\r\n`, smuggled())],
    ['an unknown transfer encoding', () => post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${smuggled()}`)],
    [
      'chunks that are not the last encoding',
      () => post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${smuggled()}`),
    ],
    ['a space before the colon', () => post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${smuggled()}`)],
    ['a tab in a name', () => post('Transfer\tEncoding: chunked\r\n', `0\r\n\r\n${smuggled()}`)],
    ['a line that is folded into a name', () => post(' Transfer-Encoding: chunked\r\n', smuggled())],
    ['a chunk size that is none', () => post('Transfer-Encoding: chunked\r\n', `G\r\n${smuggled()}`)],
    ['a chunk size that is negative', () => post('Transfer-Encoding: chunked\r\n', `-1\r\n${smuggled()}`)],
    [
      'a chunk size beyond all numbers',
      () => post('Transfer-Encoding: chunked\r\n', `${'F'.repeat(20)}\r\n${smuggled()}`),
    ],
    [
      'a chunk longer than it says',
      () => post('Transfer-Encoding: chunked\r\n', `1\r\n{}\r\n0\r\n\r\n${smuggled()}`),
    ],
    ['a NUL in a header', () => post('X-Odd: a\x00b\r\n', smuggled())],
    ['a carriage return in a header', () => post('X-Odd: a\rTransfer-Encoding: chunked\r\n', smuggled())],
    [
      'lines that end in a bare line feed',
      () => `POST ${CLAIM} HTTP/1.1\nHost: x\nContent-Length: 0\n\n${smuggled()}`,
    ],
    ['HTTP/0.9', () => `GET /health/live\r\n\r\n${smuggled()}`],
    ['HTTP/2', () => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled()}`],
    ['a version that does not exist', () => `GET / HTTP/1.2\r\nHost: x\r\n\r\n${smuggled()}`],
    ['an unknown method', () => `HACK ${CLAIM} HTTP/1.1\r\nHost: x\r\n\r\n${smuggled()}`],
    ['a method in small letters', () => `post ${CLAIM} HTTP/1.1\r\nHost: x\r\n\r\n${smuggled()}`],
    ['a space in the target', () => `GET /health /live HTTP/1.1\r\nHost: x\r\n\r\n${smuggled()}`],
    ['no target', () => `GET  HTTP/1.1\r\nHost: x\r\n\r\n${smuggled()}`],
    ['TLS', () => `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${smuggled()}`],
  ])('%s', async (_, bytes) => {
    const received = await exchange(world.url, bytes());
    expect(outcomes(received)).toEqual(['400 INVALID_INPUT']);
    expect(await claims()).toBe(0);
  });

  it('headers larger than 16 kB', async () => {
    for (const headers of [
      `X: ${'a'.repeat(17_000)}\r\n`,
      'X: aaaaaaaa\r\n'.repeat(4_000),
      `${'X'.repeat(17_000)}: a\r\n`,
    ]) {
      const received = await exchange(world.url, post(headers, smuggled()));
      expect(outcomes(received)).toEqual(['431 HEADERS_TOO_LARGE']);
    }
    const received = await exchange(world.url, `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(outcomes(received)).toEqual(['431 HEADERS_TOO_LARGE']);
    expect(await claims()).toBe(0);
  });
});

describe('what is unusual and has one meaning is answered', () => {
  it.each<[string, () => string, string[]]>([
    ['HEAD', () => `HEAD /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, ['200']],
    ['TRACE', () => `TRACE /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, ['404 NOT_FOUND']],
    ['PROPFIND', () => `PROPFIND / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, ['404 NOT_FOUND']],
    ['HTTP/1.0, which needs no host', () => 'GET /health/live HTTP/1.0\r\n\r\n', ['200']],
    [
      'an address of its own in the target',
      () => `GET http://evil.example/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      ['200'],
    ],
    ['an asterisk', () => `OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, ['404 NOT_FOUND']],
    [
      'an upgrade that is not offered',
      () => get('Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n'),
      ['200'],
    ],
    [
      'an upgrade to HTTP/2',
      () => get('Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
      ['200'],
    ],
    [
      'a chunk extension',
      () => post('Transfer-Encoding: chunked\r\nConnection: close\r\n', '2;x=y\r\n{}\r\n0\r\n\r\n'),
      ['400 INVALID_INPUT'],
    ],
    [
      'a trailer that claims a key',
      () =>
        `POST ${CLAIM} HTTP/1.1\r\nHost: x\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\nTrailer: X-Api-Key\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n${credentials}\r\n`,
      ['401 MISSING_API_KEY'],
    ],
  ])('%s', async (_, bytes, expected) => {
    const received = await exchange(world.url, bytes());
    const heads = received.replace(/content-length: \d+/i, _.startsWith('HEAD') ? 'content-length: 0' : '$&');
    expect(outcomes(heads)).toEqual(expected);
    expect(received).not.toMatch(/^HTTP\/1.1 (101|[23]\d\d).*evil/s);
  });

  it('pipelined requests, each in its turn', async () => {
    const more = `Host: x\r\n${credentials}`;
    const received = await exchange(
      world.url,
      [
        `GET /v1/client/users/me HTTP/1.1\r\n${more}\r\n`,
        'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n',
        `POST ${CLAIM} HTTP/1.1\r\n${more}${JSON_TYPE}Content-Length: 15\r\n\r\n{"code":"NOPE"}`,
        'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      ].join(''),
    );
    expect(outcomes(received)).toEqual(['200', '404 NOT_FOUND', '404 INVALID_CODE', '200']);
    expect(answersIn(received)[0]?.body).toContain(ada.id);
  });

  it('a request whose credentials are not those of the one before it on the connection', async () => {
    const received = await exchange(
      world.url,
      `GET /v1/client/users/me HTTP/1.1\r\nHost: x\r\n${credentials}\r\n` +
        'GET /v1/client/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(outcomes(received)).toEqual(['200', '401 MISSING_API_KEY']);
  });

  it('an expectation of a go-ahead: it is given before the body', async () => {
    const client = new RawClient(world.url).send(
      post('Content-Length: 15\r\nExpect: 100-continue\r\nConnection: close\r\n', ''),
    );
    while (!client.received.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
      await new Promise((resolve) => setTimeout(resolve, 10));
    client.send('{"code":"NOPE"}');
    expect(outcomes((await client.closed).replace('HTTP/1.1 100 Continue\r\n\r\n', ''))).toEqual([
      '404 INVALID_CODE',
    ]);
  });
});
