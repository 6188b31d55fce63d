import fc from 'fast-check';
import { openApiDocument } from '../src/openapi';
import { useWorld, type Player, type Tenant } from './support/world';

/**
 * Any input to any operation: an answer that is documented (`world.http` sees to it), never a 5xx, and nothing
 * written when it is refused. Repeat a run with FC_SEED=<the seed it printed>.
 */
const world = useWorld();

const SEED = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const RUNS_PER_OPERATION = 60;

jest.setTimeout(120_000);

let tenant: Tenant;
let player: Player;

beforeAll(async () => {
  process.stdout.write(`hostile input: FC_SEED=${SEED}\n`);
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
  player = await tenant.player();
});

/** UTF-16 code units as they come: NUL, lone surrogates, look-alikes, right-to-left marks. */
const anyText = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(
    '',
    ' ',
    'PROMO',
    'ſ',
    '\u212A',
    'ＡＢＣ',
    "'; DROP TABLE app_users; --",
    '${7*7}',
    '../../etc/passwd',
    '\u0000',
    '\ud800',
    '9'.repeat(400),
  ),
);
const anyValue = fc.oneof(
  { weight: 3, arbitrary: anyText },
  fc.double(),
  fc.constantFrom(-5, 1.5, 1e308, 2 ** 53 + 1, -0, null, true, [], {}, [[]], { $gt: '' }, '100'),
  fc.jsonValue({ maxDepth: 20 }),
);
const brokenJson = fc.constantFrom(
  '{',
  '{"code":1e400}',
  '{"a":1,}',
  '\u0000',
  '[',
  'null',
  '"',
  '{"__proto__":{"x":1}}',
  '{"constructor":{}}',
);

function bodies(fields: string[]): fc.Arbitrary<string> {
  const known = fc.record(Object.fromEntries(fields.map((field) => [field, anyValue])), { requiredKeys: [] });
  const withMore = fc
    .tuple(known, fc.dictionary(anyText, anyValue, { maxKeys: 3 }))
    .map(([a, b]) => ({ ...b, ...a }));
  return fc.oneof(
    { weight: 4, arbitrary: known.map((body) => JSON.stringify(body)) },
    { weight: 2, arbitrary: withMore.map((body) => JSON.stringify(body)) },
    { weight: 1, arbitrary: fc.jsonValue().map((body) => JSON.stringify(body)) },
    { weight: 1, arbitrary: brokenJson },
  );
}

const queries = fc.array(
  fc.tuple(fc.constantFrom('limit', 'offset', 'currency_code', 'x', '__proto__'), anyText),
  { maxLength: 3 },
);

/** Everything that a request could have written, in one value. */
async function fingerprint(): Promise<string> {
  const [row] = await world.db.query(
    `SELECT ${[
      'app_users',
      'sessions',
      'refresh_tokens',
      'user_identities',
      'referral_codes',
      'referral_claims',
      'reward_grants',
    ]
      .map((table) => `(SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM ${table} t)`)
      .join(' || ')} || (SELECT count(*) FROM currency_transactions) AS state`,
  );
  return row.state;
}

it('survives any input to any operation', async () => {
  const document = openApiDocument(world.app);
  const schemas = document.components?.schemas as Record<string, { properties?: object }>;
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item as Record<string, any>)) {
      if (!operation.security) continue;
      const reference: string = operation.requestBody?.content['application/json'].schema.$ref ?? '';
      const fields = Object.keys(schemas[reference.split('/').at(-1) ?? '']?.properties ?? {});
      const headers = path.startsWith('/v1/admin/')
        ? { authorization: `Bearer ${tenant.serverKey}` }
        : player.headers;
      const address = path.replace('{projectId}', tenant.id);

      await fc.assert(
        fc.asyncProperty(bodies(fields), queries, async (body, query) => {
          const search =
            method === 'get' ? `?${query.map(([name, value]) => `${name}=${encode(value)}`).join('&')}` : '';
          const before = await fingerprint();
          const request = world.http[method as 'get' | 'post' | 'patch'](address + search).set(headers);
          const response = await (method === 'get'
            ? request
            : request.set('content-type', 'application/json').send(body));
          expect(response.status).toBeLessThan(500);
          expect(response.text).not.toMatch(/node_modules|QueryFailed|syntax error at|at \w+ \(/);
          if (response.status >= 400) expect(await fingerprint()).toBe(before);
        }),
        { seed: SEED, numRuns: RUNS_PER_OPERATION },
      );
    }
  }
});

/** Percent-encodes what can be; a lone surrogate goes out as the bytes a broken client would send. */
function encode(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80';
}
