import type { Player, Tenant } from './world';

/**
 * Requests in which routers, body parsers and file servers differ: good, bad and hostile ones, by name, as bytes. None changes
 * what another one is answered.
 */
export function tellingRequests(tenant: Tenant, player: Player): Named[] {
  const asPlayer = lines(player.headers);
  const asServer = lines(tenant.server);
  const project = `/v1/admin/projects/${tenant.id}`;
  return [
    ...plain(asPlayer),
    ...addresses(asPlayer, asServer, project),
    ...queries(asPlayer, asServer, project),
    ...bodies(asPlayer),
    ...files(asServer, project),
    ...browsers(asPlayer),
    ...oddities(asPlayer),
  ];
}

/** The bytes end in what closes the connection. */
type Named = [name: string, bytes: string];

const lines = (headers: object) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
const ask = (start: string, headers = '', body = '') =>
  `${start} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n${headers}\r\n${body}`;
const get = (path: string, headers = '') => ask(`GET ${path}`, headers);
const CLAIM = 'POST /v1/client/referrals/claim';
const JSON_TYPE = 'Content-Type: application/json\r\n';
const ETAG_OF_NOTHING = '"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"';

function plain(me: string): Named[] {
  return [
    ['a health check', get('/health/live')],
    ['a readiness check', get('/health/ready')],
    ['a read', get('/v1/client/referrals/my-code', me)],
    ['a list', get('/v1/client/currencies', me)],
    ['a page', get('/v1/client/currencies/transactions?limit=1&offset=0', me)],
    ['the configuration', get('/v1/client/config', me)],
    ['the configuration, known', get('/v1/client/config', `${me}If-None-Match: ${ETAG_OF_NOTHING}\r\n`)],
    [
      'the configuration, known weakly',
      get('/v1/client/config', `${me}If-None-Match: W/${ETAG_OF_NOTHING}\r\n`),
    ],
    ['anything known', get('/v1/client/currencies', `${me}If-None-Match: *\r\n`)],
    ['HEAD', ask('HEAD /v1/client/currencies', me)],
    ['HEAD of what is refused', ask('HEAD /v1/client/currencies')],
    ['HEAD of what needs another method', ask('HEAD /v1/client/referrals/claim', me)],
    ['no key', get('/v1/client/currencies')],
    ['an id of its own', get('/health/live', 'X-Request-Id: mine-1\r\n')],
    ['over TLS', get('/health/live', 'X-Forwarded-Proto: https\r\n')],
    ['over two proxies', get('/health/live', 'X-Forwarded-Proto: https, http\r\n')],
    ['metrics that are off', get('/metrics')],
  ];
}

function addresses(me: string, asServer: string, project: string): Named[] {
  return [
    ['without the version', get('/client/currencies', me)],
    ['in capitals', get('/V1/CLIENT/Currencies', me)],
    ['with a slash at the end', get('/v1/client/currencies/', me)],
    ['with two slashes at the end', get('/v1/client/currencies//', me)],
    ['with two slashes at the beginning', get('//v1/client/currencies', me)],
    ['with two slashes within', get('/v1/client//currencies', me)],
    ['with dots', get('/v1/client/../client/currencies', me)],
    ['with an escaped letter', get('/v1/client/%63urrencies', me)],
    ['with an escaped slash', get('/v1/client%2Fcurrencies', me)],
    ['with a semicolon', get('/v1/client/currencies;x=1', me)],
    ['with a fragment', get('/v1/client/currencies#x?y', me)],
    ['in absolute form', get('http://api.example/client/currencies?x#y', me)],
    ['in absolute form, without a path', get('http://api.example?x', me)],
    ['in absolute form of another scheme', get('ftp://api.example/client/currencies', me)],
    ['an asterisk', get('*', me)],
    ['the root', get('/')],
    ['nowhere', get('/nowhere')],
    ['nowhere in the client plane', get('/v1/client/nowhere', me)],
    ['a version where there is none', get('/v1/health/live')],
    ['two versions', get('/v1/v1/client/currencies', me)],
    ['another method', ask('DELETE /v1/client/currencies', me)],
    ['a method of no route', ask('PROPFIND /v1/client/currencies', me)],
    ['TRACE', ask('TRACE /v1/client/currencies', me)],
    ['a malformed escape', get('/%E0%A4%A')],
    ['a malformed escape in an id', get(`${project}/referrals/%E0%A4%A/stats`, asServer)],
    ['a malformed escape beside an id', get(`${project}/nowhere/%E0%A4%A`, asServer)],
    ['an escaped id', get(`${project.replaceAll('-', '%2D')}/referrals`, asServer)],
    ['an escaped escape in an id', get(`${project}/referrals/%2541/stats`, asServer)],
    ['an id of 500 characters', get(`${project}/referrals/${'a'.repeat(500)}/stats`, asServer)],
    ['an empty id', get(`${project}/referrals//stats`, asServer)],
    ['bytes that are not ASCII', get('/v1/client/curr\xe9ncies\xa0', me)],
  ];
}

function queries(me: string, asServer: string, project: string): Named[] {
  const transactions = '/v1/client/currencies/transactions';
  return [
    ['a question mark at the end', get(`${transactions}?`, me)],
    ['a number that is none', get(`${transactions}?limit=x`, me)],
    ['a parameter twice', get(`${transactions}?limit=1&limit=2`, me)],
    ['a parameter as a list', get(`${transactions}?limit[]=1`, me)],
    ['a parameter as an object', get(`${transactions}?currency_code[a]=1`, me)],
    ['an unknown parameter', get(`${transactions}?a=1;b=2&=3&c`, me)],
    ['a malformed escape in the query', get(`${transactions}?currency_code=%zz%E0`, me)],
    ['a NUL in the query', get(`${transactions}?currency_code=%00`, me)],
    ['a prototype in the query', get(`${transactions}?__proto__=1`, me)],
    ['a plus and an escape in the query', get(`${project}/users?search=a+b%2Bc%20d`, asServer)],
    ['a slash and a question in the query', get(`${project}/users?search=a/?b`, asServer)],
    ['1,100 parameters', get(`${transactions}?${'a=1&'.repeat(1100)}limit=x`, me)],
  ];
}

const post = (me: string, headers: string, body: string) => ask(CLAIM, me + headers, body);
const sized = (me: string, body: string, headers = JSON_TYPE) =>
  post(me, `${headers}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`, body);
const chunked = (me: string, body: string) =>
  post(
    me,
    `${JSON_TYPE}Transfer-Encoding: chunked\r\n`,
    `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  );

function bodies(me: string): Named[] {
  return [
    ['a body', sized(me, '{"code":"NOPE"}')],
    ['a body in chunks', chunked(me, '{"code":"NOPE"}')],
    ['a body of which all is a field', sized(me, '{"code":"PROMO"}')],
    ['no body', post(me, '', '')],
    ['no body, with a type', post(me, JSON_TYPE, '')],
    ['no body, with a type that is none', post(me, 'Content-Type: ;;\r\n', '')],
    ['an empty body', sized(me, '')],
    ['an empty body in chunks', post(me, `${JSON_TYPE}Transfer-Encoding: chunked\r\n`, '0\r\n\r\n')],
    ['an empty object', sized(me, '{}')],
    ['broken JSON', sized(me, '{"code":')],
    ['a JSON text', sized(me, '"PROMO"')],
    ['a JSON list', sized(me, '["PROMO"]')],
    ['null', sized(me, 'null')],
    ['bytes that are not UTF-8', sized(me, '{"code":"\xff"}')],
    ['another charset', sized(me, '{}', 'Content-Type: application/json; charset=latin1\r\n')],
    [
      'a charset in quotes',
      sized(me, '{"code":"NOPE"}', 'Content-Type: Application/JSON ; charset="UTF-8"\r\n'),
    ],
    ['a charset that is none', sized(me, '{}', 'Content-Type: application/json; charset\r\n')],
    ['a form', sized(me, 'code=PROMO', 'Content-Type: application/x-www-form-urlencoded\r\n')],
    ['plain text', sized(me, '{"code":"NOPE"}', 'Content-Type: text/plain\r\n')],
    ['JSON of another type', sized(me, '{"code":"NOPE"}', 'Content-Type: application/problem+json\r\n')],
    ['a body without a type', sized(me, '{"code":"NOPE"}', '')],
    ['gzip', sized(me, '{"code":"NOPE"}', `${JSON_TYPE}Content-Encoding: gzip\r\n`)],
    ['17 kB', sized(me, JSON.stringify({ code: 'A'.repeat(17_000) }))],
    ['17 kB in chunks', chunked(me, JSON.stringify({ code: 'A'.repeat(17_000) }))],
    ['16,384 bytes', sized(me, JSON.stringify({ code: 'A'.repeat(16_373) }))],
    ['16,385 bytes', sized(me, JSON.stringify({ code: 'A'.repeat(16_374) }))],
    ['17 kB for nobody', ask('POST /nowhere', `${JSON_TYPE}Content-Length: 17000\r\n`, 'x'.repeat(17_000))],
    ['2,000 levels', sized(me, `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`)],
    ['a prototype', sized(me, '{"code":"NOPE","__proto__":{"a":1}}')],
    ['a constructor', sized(me, '{"code":"NOPE","constructor":{"prototype":{}}}')],
    ['a number that is too large', sized(me, '{"code":1e999}')],
    ['an unknown field', sized(me, '{"code":"NOPE","admin":true}')],
    ['a body with a GET', ask('GET /v1/client/currencies', `${me}${JSON_TYPE}Content-Length: 2\r\n`, '{}')],
    [
      'a broken body with a GET',
      ask('GET /v1/client/currencies', `${me}${JSON_TYPE}Content-Length: 1\r\n`, '{'),
    ],
    [
      'a body with a DELETE',
      ask('DELETE /v1/client/nowhere', `${me}${JSON_TYPE}Content-Length: 2\r\n`, '{}'),
    ],
    [
      'a change',
      ask('PATCH /v1/client/users/me', `${me}${JSON_TYPE}Content-Length: 22\r\n`, '{"display_name":"Ada"}'),
    ],
  ];
}

function files(asServer: string, project: string): Named[] {
  return [
    ['a file', get(`${project}/reward-grants.csv`, asServer)],
    ['HEAD of a file', ask(`HEAD ${project}/reward-grants.csv`, asServer)],
    ['Swagger UI', get('/docs')],
    ['Swagger UI with a slash', get('/docs/')],
    ['Swagger UI in capitals', get('/DOCS')],
    ['HEAD of Swagger UI', ask('HEAD /docs')],
    ['its script', get('/docs/swagger-ui-init.js')],
    ['its style', get('/docs/swagger-ui.css')],
    ['HEAD of its style', ask('HEAD /docs/swagger-ui.css')],
    ['a part of its style', get('/docs/swagger-ui.css', 'Range: bytes=0-9\r\n')],
    ['its icon', get('/docs/favicon-32x32.png')],
    ['its style, escaped', get('/docs/swagger%2Dui.css')],
    ['a file that is not there', get('/docs/nothing.css')],
    ['a file outside', get('/docs/../package.json')],
    ['a file outside, escaped', get('/docs/..%2F..%2Fpackage.json')],
    ['a malformed file', get('/docs/%E0%A4%A')],
    ['a NUL in a file', get('/docs/%00')],
    ['the document', get('/docs-json')],
    ['the document as YAML', get('/docs-yaml')],
  ];
}

function browsers(me: string): Named[] {
  const origin = 'Origin: https://game.example\r\n';
  const method = 'Access-Control-Request-Method: POST\r\n';
  return [
    ['a call from a browser', get('/v1/client/currencies', me + origin)],
    ['a refused call from a browser', get('/client/currencies', origin)],
    ['a browser on the admin plane', get('/v1/admin/projects', origin)],
    ['a preflight', ask('OPTIONS /v1/client/referrals/claim', origin + method)],
    ['a preflight for nowhere', ask('OPTIONS /client/nowhere', origin + method)],
    ['a preflight on the admin plane', ask('OPTIONS /v1/admin/projects', origin + method)],
    ['OPTIONS that are no preflight', ask('OPTIONS /client/currencies', origin)],
    ['OPTIONS of an asterisk', ask('OPTIONS *')],
  ];
}

function oddities(me: string): Named[] {
  const close = 'Connection: close\r\n';
  return [
    ['no host', `GET /health/live HTTP/1.1\r\n${close}\r\n`],
    ['two hosts', `GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n${close}\r\n`],
    ['HTTP/1.0', 'GET /health/live HTTP/1.0\r\n\r\n'],
    ['two keys', get('/v1/client/currencies', `${me}X-Api-Key: other\r\n`)],
    ['two sessions', get('/v1/client/currencies', `${me}Authorization: Bearer other\r\n`)],
    ['two types', post(me, `${JSON_TYPE}${JSON_TYPE}Content-Length: 2\r\n`, '{}')],
    ['two of what may come twice', get('/v1/client/currencies', `${me}Accept: a\r\nAccept: b\r\n`)],
    ['a length and chunks', post(me, 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['an expectation', get('/health/live', 'Expect: foo\r\n')],
    ['headers of 20 kB', get('/health/live', `X-Large: ${'a'.repeat(20_000)}\r\n`)],
    ['another version of HTTP', 'GET / HTTP/9\r\n\r\n'],
    ['an override of the method', post(me, 'X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n', '')],
    [
      'three on one connection',
      [
        `GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n`,
        `${CLAIM} HTTP/1.1\r\nHost: x\r\n${me}${JSON_TYPE}Content-Length: 15\r\n\r\n{"code":"NOPE"}`,
        get('/nowhere'),
      ].join(''),
    ],
  ];
}
