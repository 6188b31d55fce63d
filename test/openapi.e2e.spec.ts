import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_CATALOGUE, type ErrorCode } from '../src/common/error-catalogue';
import { useWorld } from './support/world';

const world = useWorld();

let document: OpenAPIObject;

beforeAll(async () => {
  document = (await world.http.get('/docs-json').expect(200)).body;
});

/** What every route can answer, whoever asks. */
const ANY: ErrorCode[] = [
  'INVALID_INPUT',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'RATE_LIMITED',
  'INTERNAL_ERROR',
  'SERVICE_UNAVAILABLE',
];
const KEY: ErrorCode[] = ['MISSING_API_KEY', 'INVALID_API_KEY', 'FORBIDDEN', ...ANY];
const SESSION: ErrorCode[] = [...KEY, 'MISSING_SESSION', 'INVALID_TOKEN'];
const DEVELOPER: ErrorCode[] = ['MISSING_SESSION', 'INVALID_TOKEN', 'FORBIDDEN', ...ANY];
const PROJECT: ErrorCode[] = [...DEVELOPER, 'PROJECT_FORBIDDEN', 'NOT_FOUND'];

/** The contract's answers, route by route. */
const CONTRACT: Record<string, { successes: string[]; errors: ErrorCode[] }> = {
  'get /v1/client/referrals/my-code': {
    successes: ['200', '201'],
    errors: [...SESSION, 'RETRY_EXHAUSTED', 'CREATE_FAILED'],
  },
  'post /v1/client/referrals/claim': {
    successes: ['201'],
    errors: [
      ...SESSION,
      'SELF_REFERRAL',
      'ALREADY_CLAIMED',
      'MAX_USES_REACHED',
      'CLAIM_LIMIT_REACHED',
      'INVALID_CODE',
      'IDEMPOTENCY_MISMATCH',
      'CLAIM_FAILED',
    ],
  },
  'get /v1/client/currencies': { successes: ['200'], errors: SESSION },
  'get /v1/client/currencies/transactions': {
    successes: ['200'],
    errors: [...SESSION, 'FETCH_FAILED'],
  },
  'post /v1/client/auth/anonymous': { successes: ['201'], errors: [...KEY] },
  'post /v1/client/auth/email/signup': {
    successes: ['201'],
    errors: [...KEY, 'INVALID_EMAIL', 'WEAK_PASSWORD', 'USER_EXISTS'],
  },
  'post /v1/client/auth/email/login': {
    successes: ['200'],
    errors: [...KEY, 'INVALID_CREDENTIALS'],
  },
  'post /v1/client/auth/refresh': { successes: ['200'], errors: [...KEY, 'INVALID_TOKEN'] },
  'post /v1/client/auth/logout': { successes: ['200'], errors: [...KEY] },
  'post /v1/client/auth/social': {
    successes: ['200', '201'],
    errors: [...KEY, 'UNSUPPORTED_PROVIDER', 'INVALID_TOKEN'],
  },
  'post /v1/client/auth/link': {
    successes: ['200'],
    errors: [...SESSION, 'UNSUPPORTED_PROVIDER', 'USER_EXISTS'],
  },
  'get /v1/client/users/me': { successes: ['200'], errors: SESSION },
  'patch /v1/client/users/me': { successes: ['200'], errors: [...SESSION] },
  'get /v1/client/config': { successes: ['200'], errors: KEY },
  'post /v1/auth/developer/signup': {
    successes: ['201'],
    errors: [...ANY, 'WEAK_PASSWORD', 'SIGNUP_CLOSED', 'EMAIL_EXISTS'],
  },
  'post /v1/auth/developer/login': { successes: ['200'], errors: [...ANY, 'INVALID_CREDENTIALS'] },
  'post /v1/auth/developer/refresh': { successes: ['200'], errors: [...ANY, 'INVALID_TOKEN'] },
  'post /v1/auth/developer/logout': { successes: ['200'], errors: ANY },
  'get /v1/auth/developer/me': { successes: ['200'], errors: DEVELOPER },
  'post /v1/auth/developer/pat/rotate': { successes: ['201'], errors: DEVELOPER },
  'get /v1/auth/developer/audit-log': { successes: ['200'], errors: DEVELOPER },
  'post /v1/admin/projects': { successes: ['201'], errors: DEVELOPER },
  'get /v1/admin/projects': { successes: ['200'], errors: DEVELOPER },
  'get /v1/admin/projects/{projectId}': { successes: ['200'], errors: PROJECT },
  'patch /v1/admin/projects/{projectId}': { successes: ['200'], errors: PROJECT },
  'delete /v1/admin/projects/{projectId}': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/api-keys': { successes: ['201'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/api-keys': { successes: ['200'], errors: PROJECT },
  'delete /v1/admin/projects/{projectId}/api-keys/{keyId}': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/audit-log': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/referrals': {
    successes: ['201'],
    errors: [...PROJECT, 'INVALID_REWARD', 'CODE_EXISTS', 'USER_ERASED', 'RETRY_EXHAUSTED'],
  },
  'get /v1/admin/projects/{projectId}/referrals': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/referrals/{codeId}/stats': { successes: ['200'], errors: PROJECT },
  'patch /v1/admin/projects/{projectId}/referrals/{codeId}': {
    successes: ['200'],
    errors: [...PROJECT, 'INVALID_REWARD', 'MAX_USES_TOO_LOW'],
  },
  'delete /v1/admin/projects/{projectId}/referrals/{codeId}': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/currencies': {
    successes: ['201'],
    errors: [...PROJECT, 'CURRENCY_EXISTS', 'MAX_BALANCE_TOO_LOW'],
  },
  'get /v1/admin/projects/{projectId}/currencies': { successes: ['200'], errors: PROJECT },
  'patch /v1/admin/projects/{projectId}/currencies/{currencyId}': {
    successes: ['200'],
    errors: [...PROJECT, 'MAX_BALANCE_TOO_LOW'],
  },
  'delete /v1/admin/projects/{projectId}/currencies/{currencyId}': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/currencies/grant': {
    successes: ['201'],
    errors: [...PROJECT, 'USER_ERASED', 'IDEMPOTENCY_MISMATCH'],
  },
  'get /v1/admin/projects/{projectId}/currencies/transactions/{userId}': {
    successes: ['200'],
    errors: [...PROJECT, 'FETCH_FAILED'],
  },
  'get /v1/admin/projects/{projectId}/users': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/users/{userId}': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/users/{userId}/export': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/users/{userId}/disable': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/users/{userId}/enable': {
    successes: ['200'],
    errors: [...PROJECT, 'USER_ERASED'],
  },
  'delete /v1/admin/projects/{projectId}/users/{userId}': {
    successes: ['200'],
    errors: [...PROJECT, 'USER_ERASED'],
  },
  'get /v1/admin/projects/{projectId}/identity-providers': { successes: ['200'], errors: PROJECT },
  'put /v1/admin/projects/{projectId}/identity-providers/{provider}': { successes: ['200'], errors: PROJECT },
  'delete /v1/admin/projects/{projectId}/identity-providers/{provider}': {
    successes: ['200'],
    errors: PROJECT,
  },
  'post /v1/admin/projects/{projectId}/users/session': { successes: ['201'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/integrity': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/analytics': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/reward-grants': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/reward-grants.csv': { successes: ['200'], errors: PROJECT },
  'get /v1/admin/projects/{projectId}/reward-grants/{grantId}': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/reward-grants/replay': { successes: ['200'], errors: PROJECT },
  'post /v1/admin/projects/{projectId}/reward-grants/{grantId}/replay': {
    successes: ['200'],
    errors: [...PROJECT, 'NOT_REPLAYABLE'],
  },
  'post /v1/admin/projects/{projectId}/reward-grants/{grantId}/cancel': {
    successes: ['200'],
    errors: [...PROJECT, 'NOT_CANCELLABLE'],
  },
  'get /v1/admin/projects/{projectId}/reconciliation': { successes: ['200'], errors: PROJECT },
  'get /health/live': { successes: ['200'], errors: [] },
  'get /health/ready': { successes: ['200'], errors: ['SERVICE_UNAVAILABLE'] },
};

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, any>).map(([method, operation]) => ({
      name: `${method} ${path}`,
      path,
      operation,
    })),
  );

it('lists every route with its successes and each error code it can give, with an example', () => {
  const listed = Object.fromEntries(
    operations().map(({ name, operation }) => {
      const codes = Object.entries<any>(operation.responses).flatMap(([status, response]) => {
        const examples: [string, any][] = Object.entries(
          response.content?.['application/json']?.examples ?? {},
        );
        for (const [code, { value }] of examples) {
          expect({ code, status: Number(status) }).toEqual({
            code,
            status: ERROR_CATALOGUE[code as ErrorCode].status,
          });
          expect(value.error.code).toBe(code);
        }
        return examples.map(([code]) => code as ErrorCode);
      });
      const successes = Object.keys(operation.responses).filter((status) => status.startsWith('2'));
      return [name, { successes, errors: codes.sort() }];
    }),
  );
  const contract = Object.entries(CONTRACT).map(([name, { successes, errors }]) => [
    name,
    { successes, errors: [...errors].sort() },
  ]);
  expect(listed).toEqual(Object.fromEntries(contract));
});

it('has every credential in the Authorize dialog, required by the routes of its plane', () => {
  expect(document.components?.securitySchemes).toEqual({
    ApiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: expect.any(String) },
    Session: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: expect.any(String) },
    Developer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: expect.any(String) },
    ServerKey: { type: 'http', scheme: 'bearer', bearerFormat: 'API key', description: expect.any(String) },
  });
  const planes: [RegExp, object[] | undefined][] = [
    [/^\/health|^\/v1\/auth\/developer\/(signup|login|refresh|logout)$/, undefined],
    [/^\/v1\/client\/(config|auth\/(?!link))/, [{ ApiKey: [] }]],
    [/^\/v1\/client\//, [{ ApiKey: [], Session: [] }]],
    [/^\/v1\/admin\/projects\/\{projectId\}/, [{ Developer: [] }, { ServerKey: [] }]],
    [/^\/v1\/(admin|auth)\//, [{ Developer: [] }]],
  ];
  for (const { path, operation } of operations()) {
    const needed = planes.find(([pattern]) => pattern.test(path))?.[1];
    expect({ path, security: operation.security }).toEqual({ path, security: needed });
  }
});

it('has a summary and a name of its own for every operation, and no reference that leads nowhere', () => {
  const names = operations().map(({ operation }) => operation.operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const { operation } of operations()) expect(operation.summary).toMatch(/\w/);
  for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(document.components?.schemas).toHaveProperty(name ?? '');
  }
});

it('demands the ids in a path and no other parameter', () => {
  const parameters = operations().flatMap(({ path, operation }) =>
    operation.parameters.map((parameter: any) => ({ path, ...parameter })),
  );
  for (const { path, name, required, in: place } of parameters)
    expect({ path, name, required }).toEqual({ path, name, required: place === 'path' });
  const optional = parameters.filter(({ in: place }) => place !== 'path').map(({ name }) => name);
  expect([...new Set(optional)].sort()).toEqual([
    ...['Idempotency-Key', 'If-None-Match'],
    ...['action', 'app_user_id', 'claim_id', 'currency_code', 'from', 'kind', 'limit', 'offset'],
    ...['search', 'status', 'target_id', 'to', 'top'],
  ]);
  for (const { path, operation } of operations()) {
    const inPath = operation.parameters.filter((parameter: any) => parameter.in === 'path');
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect({ path, named: inPath.map((parameter: any) => parameter.name).sort() }).toEqual({
      path,
      named: named.sort(),
    });
  }
});

it('serves Swagger UI at /docs without a foreign address', async () => {
  const { text } = await world.http.get('/docs').expect(200).expect('content-type', /html/);
  expect(text).toContain('swagger-ui');
  expect(text).not.toMatch(/(src|href)="https?:/);
});
