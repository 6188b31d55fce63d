import { randomUUID } from 'node:crypto';
import { IdentityProvider } from './support/identity-provider';
import { encodeText, fillPath, operations, type Operation } from './support/operations';
import { newLogin, stageProject, type Stage } from './support/stage';
import { tally, useWorld, type TestDeveloper } from './support/world';
import { WriteMeter } from './support/write-meter';

/** The input faults that are to be survived, one by one, in every field of every operation that has a body. */
const google = new IdentityProvider();
afterAll(() => google.close());

const world = useWorld(async () => ({
  signup: 'open',
  jwksUrls: await google.listen().then((url) => ({ google: url, apple: url })),
}));

jest.setTimeout(60_000);

let owner: TestDeveloper;
let stage: Stage;
let meter: WriteMeter;

beforeAll(async () => {
  owner = await world.developer();
  stage = await stageProject(world, owner);
  meter = await WriteMeter.on(world.db);
});

type Body = Record<string, unknown>;

/** A body that each operation takes, with as many fields as go together. */
const BODIES: Record<string, () => Body> = {
  NewProjectDto: () => ({ name: 'Mine', ...project, environment: 'production' }),
  UpdateProjectDto: () => ({ name: 'Mine', ...project }),
  CreateApiKeyDto: () => ({ key_type: 'client', environment: 'production' }),
  DeveloperSignUpDto: () => ({ ...newLogin(), name: 'Ada' }),
  DeveloperLoginDto: () => ({ email: owner.email, password: owner.password }),
  DeveloperRefreshDto: () => ({ refresh_token: 'x' }),
  EmptyDto: () => ({}),
  CredentialsDto: newLogin,
  RefreshDto: () => ({ refresh_token: stage.refreshToken }),
  IdentityTokenDto: () => ({ provider: 'google', id_token: 'x' }),
  ProfileDto: () => profile,
  ExternalUserDto: () => ({ ...profile, external_id: randomUUID() }),
  AudiencesDto: () => ({ audiences: ['our-app'] }),
  NewCurrencyDto: () => ({ ...currency, code: `c${randomUUID().slice(0, 8)}` }),
  UpdateCurrencyDto: () => currency,
  NewGrantDto: () => ({ app_user_id: stage.player.id, currency_code: 'gems', amount: 5, reason: 'Sorry' }),
  ReplayManyDto: () => ({ ids: [stage.ids.grantId] }),
  ReplayDto: () => ({}),
  CancelDto: () => ({ reason: 'Mine' }),
  ClaimRequestDto: () => ({ code: 'NOPE' }),
  NewCodeDto: () => ({ ...code, code: `C-${randomUUID().slice(0, 8)}` }),
  UpdateCodeDto: () => ({ ...code, is_active: true }),
};
const project = {
  bundle_id: 'com.example',
  platform: 'ios',
  referral_code_length: 8,
  max_claims_per_user: 5,
};
const profile = { display_name: 'Ada', avatar_url: null, properties: { level: 1 }, timezone: 'Europe/Paris' };
const currency = { name: 'Gold', description: 'x', is_premium: true, initial_balance: 0, max_balance: 1_000 };
const code = { reward_referrer: { gems: 1 }, reward_referee: { gems: 1 }, max_uses: 100 };

const WITH_BODY = operations().filter(({ bodyName }) => bodyName !== '');
const each = WITH_BODY.map((operation) => [operation.name, operation] as const);
const bodyOf = ({ bodyName }: Operation): Body => BODIES[bodyName]!();

async function send({ method, path }: Operation, body: string, search = '') {
  const isClient = path.startsWith('/v1/client/');
  return world.http[method](fillPath(path, { ...stage.ids, provider: 'google' }) + search)
    .set({ ...(isClient ? stage.player.headers : owner.headers), 'content-type': 'application/json' })
    .send(body);
}

/** Sends each, and holds it refused as bad input, with nothing written. */
async function expectRefused(operation: Operation, bodies: [what: string, body: string, search?: string][]) {
  for (const [what, body, search] of bodies) {
    const mark = await meter.mark();
    const answer = await send(operation, body, search);
    const outcome = Object.keys(tally([answer]))[0];
    expect({ what, outcome }).toEqual({
      what,
      outcome: expect.stringMatching(/^(400 (INVALID|WEAK)_\w+|413 PAYLOAD_TOO_LARGE)$/),
    });
    expect({ what, wrote: await meter.since(mark) }).toEqual({ what, wrote: [] });
  }
}

const withField = (body: Body, field: string, json: string) =>
  JSON.stringify({ ...body, [field]: '@' }).replace('"@"', () => json);
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

it('a body is known for every operation that takes one', () => {
  expect([...new Set(WITH_BODY.map(({ bodyName }) => bodyName))].sort()).toEqual(Object.keys(BODIES).sort());
});

describe('nested and huge', () => {
  it.each(each)('%s', (_, operation) =>
    expectRefused(operation, [
      ['17 levels', withField(bodyOf(operation), 'x', nested(17))],
      ['2,000 levels', nested(2_000)],
      ['8,000 lists', `${'['.repeat(8_000)}${']'.repeat(8_000)}`],
      ['80 kB of brackets', '['.repeat(80_000)],
      ['a text of 17 kB', withField(bodyOf(operation), 'x', JSON.stringify('A'.repeat(17_000)))],
      [
        '5,000 fields',
        JSON.stringify(Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`f${i}`, 1]))),
      ],
    ]),
  );
});

describe('the wrong type in each field', () => {
  it.each(each)('%s', async (_, operation) => {
    const body = bodyOf(operation);
    const cases = Object.keys(body).flatMap((field): [string, string][] => {
      const { type, nullable } = operation.body?.properties?.[field] ?? {};
      const wrong: Record<string, string[]> = {
        string: ['5', 'true', '{}', '[]', '["x"]', '{"$gt":""}', ...(nullable ? [] : ['null'])],
        integer: ['"5"', 'true', '{}', '[]', '[5]', ...(nullable ? [] : ['null'])],
        boolean: ['5', '"true"', '{}', '[]', '0', 'null'],
        array: ['5', '"x"', 'true', '{}', '[[]]', '[5]', '[{}]', '[null]', '{"0":"x","length":1}', 'null'],
        object: ['5', '"x"', 'true', '[]', '[[]]', 'null'],
      };
      return (wrong[type ?? ''] ?? []).map((value) => [`${field}: ${value}`, withField(body, field, value)]);
    });
    await expectRefused(operation, cases);
  });
});

describe('−5, 0.5, 1.5, 1e400, 2^53 + 1 and "100" as amounts', () => {
  const numeric = WITH_BODY.flatMap((operation) =>
    Object.entries(operation.body?.properties ?? {})
      .filter(([field, { type }]) => type === 'integer' || field.startsWith('reward_'))
      .map(([field, { type }]) => [operation.name, field, type, operation] as const),
  );

  it.each(numeric)('%s: %s', async (_, field, type, operation) => {
    const numbers = [
      '-5',
      '-1',
      '0.5',
      '1.5',
      '1e400',
      '-1e400',
      '9007199254740993',
      '1e308',
      '"100"',
      '"1e2"',
      '"0x10"',
      '""',
      '[100]',
    ];
    const values =
      type === 'integer' ? numbers : [...numbers, '0', 'null'].map((number) => `{"gems":${number}}`);
    const inPair =
      type === 'integer' ? [] : numbers.map((number) => `{"currency":"gems","amount":${number}}`);
    await expectRefused(
      operation,
      [...values, ...inPair].map((value) => [value, withField(bodyOf(operation), field, value)]),
    );
  });
});

describe('NUL, lone surrogates, prototype keys', () => {
  it.each(each)('%s', async (_, operation) => {
    const body = bodyOf(operation);
    const texts = Object.entries(operation.body?.properties ?? {}).filter(
      ([, { type }]) => type === 'string',
    );
    const broken = ['"a\\u0000b"', '"\\ud800"', '"\\udc00x"'];
    const keys = [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      '__defineGetter__',
      'valueOf',
    ];
    await expectRefused(operation, [
      ...texts.flatMap(([field]) =>
        broken.map((text): [string, string] => [`${field}: ${text}`, withField(body, field, text)]),
      ),
      ...broken.map((text): [string, string] => [`key ${text}`, `{${text}:1}`]),
      ...keys.map((key): [string, string] => [
        key,
        JSON.stringify(body).replace('{', `{"${key}":{"admin":true}${Object.keys(body).length ? ',' : ''}`),
      ]),
      ...keys.map((key): [string, string, string] => [
        `${key} in the query`,
        JSON.stringify(body),
        `?${key}=1`,
      ]),
      ...['%00', 'a%00'].map((text): [string, string, string] => [text, '{}', `?x=${text}`]),
    ]);
  });
});

/** What is stored beside what may be sent. */
const NOT_YOURS = [
  ...[
    'id',
    'project_id',
    'projectId',
    'owner_id',
    'ownerId',
    'developer_id',
    'is_admin',
    'isAdmin',
    'role',
    'user_id',
  ],
  ...[
    'created_at',
    'updated_at',
    'deleted_at',
    'disabled_at',
    'erased_at',
    'current_uses',
    'currentUses',
    'balance',
  ],
  ...[
    'granted',
    'password_hash',
    'passwordHash',
    'digest',
    'key',
    'generation',
    'used_at',
    'revoked_at',
    'anonymous_id',
  ],
];

describe('mass assignment', () => {
  it.each(each)('%s', async (_, operation) => {
    const own = Object.keys(operation.body?.properties ?? {});
    const fields = NOT_YOURS.filter((field) => !own.includes(field));
    for (const field of fields) {
      const mark = await meter.mark();
      const answer = await send(operation, JSON.stringify({ ...bodyOf(operation), [field]: randomUUID() }));
      expect({ field, status: answer.status, details: answer.body.error?.details }).toEqual({
        ...{ field, status: 400 },
        details: [{ field, message: `${field} is not a field of this request` }],
      });
      expect(await meter.since(mark)).toEqual([]);
    }
  });
});

describe('SQL in every field', () => {
  const INJECTIONS = [
    "' OR '1'='1",
    "'; SELECT pg_sleep(5); --",
    '") OR 1=1 --',
    '$1',
    "\\'; DROP SCHEMA public CASCADE; --",
    '%_%',
  ];

  it.each(
    operations()
      .filter(({ path }) => !path.startsWith('/health'))
      .map((operation) => [operation.name, operation] as const),
  )('%s', async (_, operation) => {
    const strings = Object.entries(operation.body?.properties ?? {}).filter(
      ([, { type }]) => type === 'string',
    );
    const inQuery = operation.parameters.filter((parameter) => parameter.in === 'query');
    const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    const ids = { ...stage.ids, provider: 'google' };
    const credentials = operation.path.startsWith('/v1/client/') ? stage.player.headers : owner.headers;
    const answers = [];
    for (const text of INJECTIONS) {
      for (const [field] of strings)
        answers.push(await send(operation, JSON.stringify({ ...bodyOf(operation), [field]: text })));
      for (const { name } of inQuery)
        answers.push(
          await world.http[operation.method](
            `${fillPath(operation.path, ids)}?${name}=${encodeText(text)}`,
          ).set(credentials),
        );
      for (const name of inPath) {
        const answer = await world.http[operation.method](fillPath(operation.path, { ...ids, [name]: text }))
          .set(credentials)
          .send();
        expect([400, 403, 404]).toContain(answer.status);
      }
    }
    for (const { status, text } of answers) {
      expect(status).toBeLessThan(500);
      expect(text).not.toMatch(/syntax error|pg_sleep\(5\) *FROM|unterminated/);
    }
  });

  it.each(['users', 'referrals'])('and a search of %s for a condition finds nothing', async (list) => {
    const { tenant } = await stageProject(world, owner);
    for (const text of INJECTIONS) {
      const path = `/v1/admin/projects/${tenant.id}/${list}?search=${encodeText(text)}`;
      const { body } = await world.http.get(path).set(tenant.server).expect(200);
      expect({ text, total: body.total }).toEqual({ text, total: 0 });
    }
  });

  it('and every table is there afterwards, with its rows', async () => {
    const [{ count }] = await world.db.query(`SELECT count(*) AS count FROM app_users WHERE id = $1`, [
      stage.player.id,
    ]);
    expect(Number(count)).toBe(1);
  });
});

describe('look-alikes are other letters', () => {
  const LOOK_ALIKES: [string, string][] = [
    ['a long s', 'PROMOſK'],
    ['the Kelvin sign', 'PROMOS\u212A'],
    ['full-width letters', 'ＰＲＯＭＯＳＫ'],
    ['a Cyrillic О', 'PRОMOSK'],
    ['a dotless ı and a combining mark', 'PROMOSK\u0301'],
    ['a zero-width space', 'PRO\u200BMOSK'],
    ['mathematical letters', '𝐏𝐑𝐎𝐌𝐎𝐒𝐊'],
  ];

  beforeAll(async () => {
    await stage.tenant.code({ code: 'PROMOSK', rewardReferee: { gems: 1 } });
    await stage.tenant.currency({ code: 'sk' });
  });

  it.each(LOOK_ALIKES)('%s in a code, a currency and an address', async (_, text) => {
    const mark = await meter.mark();
    expect(tally([await world.claim(stage.player, text)])).toEqual({ '404 INVALID_CODE': 1 });
    const grant = { app_user_id: stage.player.id, currency_code: text.slice(-2).toLowerCase(), amount: 1 };
    const path = `/v1/admin/projects/${stage.tenant.id}/currencies`;
    if (grant.currency_code !== 'sk')
      expect(tally([await world.http.post(`${path}/grant`).set(owner.headers).send(grant)])).toEqual({
        '404 NOT_FOUND': 1,
      });
    const made = { code: text, name: 'Other' };
    expect(tally([await world.http.post(path).set(owner.headers).send(made)])).toEqual({
      '400 INVALID_INPUT': 1,
    });
    const login = { email: `${text}@example.com`, password: 'correct horse' };
    expect(tally([await world.auth(stage.tenant, 'email/signup', login)])).toEqual({
      '400 INVALID_EMAIL': 1,
    });
    expect(await meter.since(mark)).toEqual([]);
  });

  it('and the code itself is claimed in any case', async () => {
    await world.claim(stage.player, 'promosk').expect(201);
  });
});
