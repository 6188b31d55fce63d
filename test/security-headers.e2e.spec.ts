import { exchange } from './support/raw';
import { useWorld, type Tenant } from './support/world';

const world = useWorld({ trustProxy: 1 });

let tenant: Tenant;

beforeAll(async () => {
  tenant = await world.tenant();
});

/** On every answer. */
const COMMON = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};
const API_POLICY = `default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'`;
const API = { ...COMMON, 'content-security-policy': API_POLICY, 'cache-control': 'no-store' };
const DOCS = {
  ...COMMON,
  'content-security-policy':
    `${API_POLICY};script-src 'self';connect-src 'self';img-src 'self' data:;` +
    `style-src 'self' 'unsafe-inline'`,
};

/** Those of an answer's headers that are about security. */
function securityOf(headers: Record<string, string>): Record<string, string> {
  const names = [...Object.keys(API), 'strict-transport-security', 'x-powered-by'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));
}

const key = () => ({ 'x-api-key': tenant.clientKey });
const CLAIM = '/v1/client/referrals/claim';

describe('the answers of the API', () => {
  it.each([
    ['a success', 201, () => world.auth(tenant, 'anonymous')],
    ['a missing session', 401, () => world.http.get('/client/currencies').set(key())],
    ['an unknown route', 404, () => world.http.get('/nowhere')],
    ['a malformed address', 404, () => world.http.get('/%E0%A4%A')],
    ['a body that is too large', 413, () => world.http.post(CLAIM).send({ code: 'A'.repeat(17_000) })],
    ['another content type', 415, () => world.http.post(CLAIM).type('form').send('code=A')],
    ['a health check', 200, () => world.http.get('/health/live')],
    ['the OpenAPI document', 200, () => world.http.get('/docs-json')],
    [
      'a preflight',
      204,
      () =>
        world.http
          .options(CLAIM)
          .set({ origin: 'https://a.example', 'access-control-request-method': 'POST' }),
    ],
    [
      'a file',
      200,
      () => world.http.get(`/v1/admin/projects/${tenant.id}/reward-grants.csv`).set(tenant.server),
    ],
  ])('may be neither shown as a page nor stored: %s', async (_, status, send) => {
    const response = await send();
    expect({ status: response.status, headers: securityOf(response.headers) }).toEqual({
      status,
      headers: API,
    });
  });

  it('may not be stored either when the request was none', async () => {
    expect(securityOf(headersOf(await exchange(world.url, 'GET / HTTP/9\r\n\r\n')))).toEqual(API);
  });

  it('may be kept by the browser that asks again each time: the configuration of an app', async () => {
    const { headers } = await world.http.get('/client/config').set(key()).expect(200);
    const known = { ...key(), 'if-none-match': headers.etag! };
    const again = await world.http.get('/client/config').set(known).expect(304);
    for (const answer of [headers, again.headers]) {
      expect(securityOf(answer)).toEqual({ ...API, 'cache-control': 'private, no-cache' });
    }
  });
});

describe('Swagger UI', () => {
  it.each(['/docs', '/docs/', '/DOCS', '/docs/swagger-ui-init.js'])(
    'at %s runs scripts and calls of this server only',
    async (path) => {
      const { headers } = await world.http.get(path).expect(200);
      expect(securityOf(headers)).toEqual(DOCS);
    },
  );

  it('needs no script but files of its own, which exist', async () => {
    const { text } = await world.http.get('/docs').expect(200);
    const scripts = [...text.matchAll(/<script([^>]*)>([^<]*)/g)].map(([, attributes = '', inline = '']) => ({
      source: /src=["']([^"']+)/.exec(attributes)?.[1],
      inline: inline.trim(),
    }));
    expect(scripts).toEqual(
      ['swagger-ui-bundle.js', 'swagger-ui-standalone-preset.js', 'swagger-ui-init.js'].map((name) => ({
        source: `./docs/${name}`,
        inline: '',
      })),
    );
    expect(text).not.toMatch(/\son\w+=|javascript:/i);
    for (const { source } of scripts) {
      const { headers } = await world.http.get(source!.slice(1)).expect(200);
      expect(headers['content-type']).toMatch(/^(text|application)\/javascript/);
    }
  });
});

describe('Strict-Transport-Security', () => {
  const STAY = 'max-age=31536000';
  const direct = useWorld();
  const over = (scheme: string, path: string) => world.http.get(path).set('x-forwarded-proto', scheme);

  it.each(['/health/live', '/nowhere', '/docs'])('is sent on %s where a proxy ends TLS', async (path) => {
    expect((await over('https', path)).headers['strict-transport-security']).toBe(STAY);
    expect((await over('http', path)).headers).not.toHaveProperty('strict-transport-security');
  });

  it('is not sent on the word of somebody whom nobody trusts', async () => {
    const { headers } = await direct.http.get('/health/live').set('x-forwarded-proto', 'https').expect(200);
    expect(securityOf(headers)).toEqual(API);
  });
});

function headersOf(answer: string): Record<string, string> {
  const [, ...lines] = answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...value] = line.split(': ');
      return [name.toLowerCase(), value.join(': ')];
    }),
  );
}
