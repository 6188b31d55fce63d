import fc, { type Arbitrary } from 'fast-check';
import type { Operation, Schema } from './operations';

/** A request that was made up, before the names in it (`$userId`) have become what they stand for. */
export interface Draft {
  /** `valid`: as the document says; `broken`: valid but for one thing; `wild`: anything. */
  kind: 'valid' | 'broken' | 'wild';
  ids: Record<string, string>;
  query: [string, string][];
  headers: Record<string, string>;
  /** As it is sent. */
  body?: string;
}

/** UTF-16 code units as they come: NUL, lone surrogates, look-alikes, right-to-left marks. */
export const anyText = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(
    ...['', ' ', 'PROMO', 'ſ', '\u212A', 'ＡＢＣ', '\u0000', '\ud800', '9'.repeat(400)],
    ...["'; SELECT pg_sleep(9); --", '${7*7}', '../../etc/passwd', '%', '\\', '{{constructor}}'],
  ),
);
export const anyValue: Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: anyText },
  fc.double(),
  fc.constantFrom<unknown>(-5, 1.5, 1e308, 2 ** 53 + 1, -0, null, true, [], {}, [[]], { $gt: '' }, '100'),
  fc.jsonValue({ maxDepth: 20 }),
);
const brokenJson = fc.constantFrom(
  ...['{', '{"code":1e400}', '{"a":1,}', '\u0000', '[', 'null', '"', ''],
  ...['{"__proto__":{"x":1}}', '{"constructor":{}}', '{"a":1}{"a":2}', '\ufeff{}', `${'['.repeat(9_000)}`],
);
/** What a header can carry at all. */
const anyHeader = fc
  .string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 300,
  })
  .map((text) => text.replaceAll('\x7f', ' ').trim() || 'x');

/** Headers that mean something to some layer, with what they should not have. */
const oddHeader: Arbitrary<[string, string]> = fc.oneof(
  ...Object.entries({
    authorization: ['', 'Bearer', 'Bearer x', 'Basic eDp4', `Bearer ${'a.'.repeat(2_000)}`, 'Bearer a b'],
    'x-api-key': ['', 'x', `amb_dev_ck_${'A'.repeat(38)}`, "' OR 1=1 --"],
    'idempotency-key': ['', ' ', 'a b', 'x'.repeat(256), '"'],
    'content-type': [
      ...['', 'text/plain', 'application/xml', 'application/json; charset=utf-16', 'multipart/form-data'],
      ...['application/json; charset="utf-8"', 'application/x-www-form-urlencoded', ';', 'application/json5'],
    ],
    'content-encoding': ['gzip', 'br', 'identity', 'x', 'gzip, gzip'],
    'if-none-match': ['*', 'W/"x"', '"', '"x", "y"'],
    accept: ['text/html', 'application/xml', '*/*;q=0', ';;', 'text/csv'],
    'accept-encoding': ['gzip', 'identity;q=0', ';'],
    'x-request-id': ['x', '"><script>', 'x'.repeat(300), "'; --"],
    'x-forwarded-for': [
      '1.2.3.4, ::1',
      'unknown',
      "'; --",
      '1.2.3.4.5',
      ','.repeat(300),
      '::ffff:1.2.3.4%eth0',
    ],
    'x-forwarded-proto': ['https, http', 'javascript'],
    'x-http-method-override': ['DELETE', 'TRACE'],
    connection: ['close', 'keep-alive, x-api-key', 'upgrade'],
    upgrade: ['h2c', 'websocket'],
    range: ['bytes=0-1', 'bytes=-'],
    origin: ['null', 'https://evil.example', '"'],
    host: ['evil.example', 'a b', '[::1', 'x:99999'],
    cookie: ['session=1; __proto__=x', '='],
  }).map(([name, values]) =>
    fc.oneof(fc.constantFrom(...values), anyHeader).map((value): [string, string] => [name, value]),
  ),
);

/** Values that a schema cannot foresee, by the name of their field, or of their schema and field. */
const KNOWN: Record<string, Arbitrary<unknown>> = {
  app_user_id: fc.constant('$userId'),
  currency_code: fc.constant('gems'),
  reward_referrer: fc.constantFrom({}, { gems: 5 }, { currency: 'gems', amount: 5 }),
  reward_referee: fc.constantFrom({}, { gems: 7 }),
  max_balance: fc.constantFrom(null, 2 ** 53 - 1),
  initial_balance: fc.integer({ min: 0, max: 100 }),
  timezone: fc.constantFrom('Europe/Paris', 'UTC', null),
  avatar_url: fc.constantFrom('https://example.com/ada.png', null),
  email: fc.constant('$email'),
  password: fc.constant('$password'),
  refresh_token: fc.constant('$refreshToken'),
  provider: fc.constant('google'),
  id_token: fc.constant('$idToken'),
  audiences: fc.constantFrom(['our-app'], ['our-app', 'our-other-app']),
  'ClaimRequestDto.code': fc.constantFrom('PROMO', 'promo', 'Pro-mo'),
  // a user has one code, so the next of this user's would be refused
  'NewCodeDto.app_user_id': fc.constantFrom(undefined, undefined, undefined, '$userId'),
  // one or the other
  'ReplayManyDto.ids': fc.constantFrom(['$grantId'], ['$grantId', '$userId']),
  'ReplayManyDto.status': fc.constant(undefined),
  'ReplayManyDto.from': fc.constant(undefined),
  'ReplayManyDto.to': fc.constant(undefined),
};

const visible = fc.constantFrom(...'aZ09 _-%\'"\\;<>{}$äßﬁ漢😀𝒜');

/** What the document allows in this field. */
function valid(schema: Schema, field: string, owner = ''): Arbitrary<unknown> {
  const known = KNOWN[`${owner}.${field}`] ?? KNOWN[field];
  if (known) return known;
  const value = ofType(schema, field);
  return schema.nullable ? fc.option(value, { freq: 5 }) : value;
}

function ofType(schema: Schema, field: string): Arbitrary<unknown> {
  const { minLength = 0, maxLength = 100, minimum = 0, maximum = 1_000 } = schema;
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.type === 'integer') return fc.integer({ min: minimum, max: Math.min(maximum, 2 ** 31 - 1) });
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'array')
    return fc.array(valid(schema.items ?? {}, field), { minLength: schema.minItems, maxLength: 3 });
  if (schema.type === 'object') return objectOf(schema, field);
  if (schema.format === 'uuid') return fc.uuid();
  if (schema.format === 'date') return dates().map((date) => date.slice(0, 10));
  if (schema.format === 'date-time') return dates();
  if (schema.pattern) {
    const pattern = new RegExp(schema.pattern);
    return fc
      .stringMatching(pattern, { maxLength: Math.min(maxLength, 32) })
      .filter((text) => text.length >= Math.max(minLength, 6) && text.length <= maxLength && /\w/.test(text));
  }
  return fc
    .string({ unit: visible, minLength, maxLength: Math.min(maxLength, 60) - 1 })
    .map((text) => `A${text}`);
}

const dates = () =>
  fc
    .date({ min: new Date('2026-01-01'), max: new Date('2026-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString());

function objectOf(
  { properties = {}, required = [] }: Schema,
  name: string,
): Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(properties).map(([field, schema]) => [field, valid(schema, field, name)]);
  return fc.record(Object.fromEntries(fields), { requiredKeys: required, noNullPrototype: true });
}

/** Requests as the document says. */
export function validDrafts({ path, parameters, body, bodyName }: Operation): Arbitrary<Draft> {
  const ids = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, `$${name}`]);
  const inQuery = parameters.filter((each) => each.in === 'query');
  const inHeader = parameters.filter((each) => each.in === 'header');
  const texts = (of: typeof parameters) =>
    fc.record(Object.fromEntries(of.map(({ name, schema }) => [name, valid(schema, name).map(String)])), {
      requiredKeys: [],
      noNullPrototype: true,
    });
  return fc.record({
    kind: fc.constant('valid' as const),
    ids: fc.constant(Object.fromEntries(ids) as Record<string, string>),
    query: texts(inQuery).map((query) => Object.entries(query) as [string, string][]),
    headers: texts(inHeader).map((headers) =>
      Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), header(value as string)]),
      ),
    ),
    body: body ? objectOf(body, bodyName).map((fields) => JSON.stringify(fields)) : fc.constant(undefined),
  });
}

const header = (text: string) => text.replace(/[^\x21-\x7e]/g, 'x').slice(0, 255);

/** Valid but for one thing. */
export function brokenDrafts(operation: Operation): Arbitrary<Draft> {
  const breaks: Arbitrary<(draft: Draft) => Partial<Draft>>[] = [
    oddHeader.map(([name, value]) => ({ headers }) => ({ headers: { ...headers, [name]: value } })),
    fc
      .tuple(fc.constantFrom('limit', 'x', '__proto__', 'search', 'from'), anyText)
      .map((pair) => ({ query }) => ({
        query: [...query, pair],
      })),
  ];
  const ids = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  if (ids.length > 0)
    breaks.push(
      fc
        .tuple(
          fc.constantFrom(...ids),
          fc.oneof(
            fc.uuid(),
            anyText.map((text) => text || ' '),
          ),
        )
        .map(([name, value]) => (draft) => ({ ids: { ...draft.ids, [name]: value } })),
    );
  const fields = Object.keys(operation.body?.properties ?? {});
  if (fields.length > 0) {
    const edit = (change: (body: Record<string, unknown>) => object) => (draft: Draft) => ({
      body: JSON.stringify(change(JSON.parse(draft.body ?? '{}') as Record<string, unknown>)),
    });
    const name = fc.constantFrom(...fields);
    breaks.push(
      fc.tuple(name, anyValue).map(([field, value]) => edit((body) => ({ ...body, [field]: value }))),
      fc.tuple(name, anyValue).map(([field, value]) => edit((body) => ({ ...body, [field]: value }))),
      name.map((field) => edit((body) => ({ ...body, [field]: undefined }))),
      fc.tuple(anyText, anyValue).map(([field, value]) => edit((body) => ({ ...body, [field]: value }))),
      fc.nat(60).map((cut) => (draft) => ({ body: (draft.body ?? '').slice(0, cut) })),
    );
  }
  return fc
    .tuple(validDrafts(operation), fc.oneof(...breaks))
    .map(([draft, change]) => ({ ...draft, ...change(draft), kind: 'broken' as const }));
}

/** Anything at all. */
export function wildDrafts({ path, parameters, body }: Operation): Arbitrary<Draft> {
  const fields = Object.keys(body?.properties ?? {});
  const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
  const known = fc.record(Object.fromEntries(fields.map((field) => [field, anyValue])), {
    ...{ requiredKeys: [], noNullPrototype: true },
  });
  const withMore = fc
    .tuple(known, fc.dictionary(anyText, anyValue, { maxKeys: 3 }))
    .map(([a, b]) => ({ ...b, ...a }));
  const ids = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return fc.record({
    kind: fc.constant('wild' as const),
    ids: fc.record(
      Object.fromEntries(
        ids.map((name) => [
          name,
          name === 'projectId' ? fc.constant('$projectId') : anyText.map((text) => text || ' '),
        ]),
      ),
      { noNullPrototype: true },
    ),
    query: fc.array(fc.tuple(fc.constantFrom(...names, 'limit', 'x', '__proto__'), anyText), {
      maxLength: 3,
    }),
    headers: fc.array(oddHeader, { maxLength: 2 }).map((headers) => Object.fromEntries(headers)),
    body: fc.option(
      fc.oneof(
        { weight: 3, arbitrary: known.map((value) => JSON.stringify(value)) },
        { weight: 2, arbitrary: withMore.map((value) => JSON.stringify(value)) },
        fc.jsonValue().map((value) => JSON.stringify(value)),
        brokenJson,
      ),
      { nil: undefined, freq: 10 },
    ),
  });
}
