import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import type { OpenAPIObject } from '@nestjs/swagger';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint } from './support/fingerprint';
import { useWorld, type Method } from './support/world';

/**
 * Any input to any operation: an answer that is documented (`world.http` sees to it), never a 5xx, and nothing
 * written when it is refused. Repeat a run with FC_SEED=<the seed it printed>.
 */
const world = useWorld();

const SEED = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const RUNS_PER_OPERATION = 60;

jest.setTimeout(120_000);

beforeAll(() => {
  process.stdout.write(`hostile input: FC_SEED=${SEED}\n`);
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

const queries = (names: string[]) =>
  fc.array(fc.tuple(fc.constantFrom(...names, 'limit', 'x', '__proto__'), anyText), { maxLength: 3 });
/** What a header can carry at all. */
const headerValue = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code === 0x7f ? 0x20 : code)),
  maxLength: 300,
});

interface Operation {
  method: Method;
  path: string;
  fields: string[];
  parameters: { name: string; in: string }[];
}

function operations(): Operation[] {
  // a test holds the file against the routes
  const document = JSON.parse(
    readFileSync(join(__dirname, '../client/openapi.json'), 'utf8'),
  ) as OpenAPIObject;
  const schemas = document.components?.schemas as Record<string, { properties?: object }>;
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, any>)
      .filter(() => !path.startsWith('/health'))
      .map(([method, { requestBody, parameters }]) => {
        const reference: string = requestBody?.content['application/json'].schema.$ref ?? '';
        const fields = Object.keys(schemas[reference.split('/').at(-1) ?? '']?.properties ?? {});
        return { method: method as Method, path, fields, parameters };
      }),
  );
}

/** Somebody who may do it, and the ids that are there; made anew, since some operations end what they are given. */
async function stage({ path }: Operation) {
  const owner = await world.developer();
  const tenant = await world.tenant({ ownerId: owner.id });
  const { id: currencyId } = await tenant.currency({ code: 'gems' });
  const { id: codeId } = await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
  const player = await tenant.player();
  const ids: Record<string, string> = {
    ...{ projectId: tenant.id, currencyId, codeId, userId: player.id, provider: 'google' },
  };
  return { headers: path.startsWith('/v1/client/') ? player.headers : owner.headers, ids };
}

it.each(operations().map((operation) => [operation.method, operation.path, operation] as const))(
  '%s %s survives any input',
  async (method, path, operation) => {
    const { headers, ids } = await stage(operation);
    const names = operation.parameters.filter((each) => each.in === 'query').map(({ name }) => name);
    let known = await fingerprint(world.db);
    const property = fc.asyncProperty(
      bodies(operation.fields),
      queries(names),
      fc.option(headerValue),
      fc.option(anyText, { freq: 1 }),
      async (body, query, key, id) => {
        const address = path.replace(/\{(\w+)\}/g, (_, name: string) =>
          name === 'projectId' || id === null ? (ids[name] ?? randomUUID()) : encode(id) || '%20',
        );
        const search = `?${query.map(([name, value]) => `${name}=${encode(value)}`).join('&')}`;
        const request = world.http[method](address + (method === 'get' ? search : '')).set(headers);
        if (key !== null) request.set('idempotency-key', key.trim() || 'x');
        const response = await (method === 'get'
          ? request
          : request.set('content-type', 'application/json').send(body));
        expect(response.status).toBeLessThan(500);
        expect(response.text).not.toMatch(/node_modules|QueryFailed|syntax error at|at \w+ \(/);
        const now = await fingerprint(world.db);
        if (response.status >= 400) expect(now).toBe(known);
        known = now;
      },
    );
    await fc.assert(property, { seed: SEED, numRuns: RUNS_PER_OPERATION });
  },
);

/** Percent-encodes what can be; a lone surrogate goes out as the bytes a broken client would send. */
function encode(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80';
}
