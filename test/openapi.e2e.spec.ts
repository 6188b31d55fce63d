import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_CATALOGUE, type ErrorCode } from '../src/common/error-catalogue';
import { useWorld } from './support/world';

const world = useWorld();

let document: OpenAPIObject;

beforeAll(async () => {
  document = (await world.http.get('/docs-json').expect(200)).body;
});

const KEY: ErrorCode[] = [
  'MISSING_API_KEY',
  'INVALID_API_KEY',
  'FORBIDDEN',
  'INVALID_INPUT',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INTERNAL_ERROR',
  'SERVICE_UNAVAILABLE',
];
const SESSION: ErrorCode[] = [...KEY, 'MISSING_SESSION', 'INVALID_TOKEN'];
const SERVER: ErrorCode[] = [
  ...[
    'MISSING_SESSION',
    'INVALID_TOKEN',
    'FORBIDDEN',
    'PROJECT_FORBIDDEN',
    'INVALID_INPUT',
    'PAYLOAD_TOO_LARGE',
    'UNSUPPORTED_MEDIA_TYPE',
    'INTERNAL_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
] as ErrorCode[];

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
      'RATE_LIMITED',
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
    errors: [...KEY, 'INVALID_EMAIL', 'WEAK_PASSWORD', 'USER_EXISTS', 'RATE_LIMITED'],
  },
  'post /v1/client/auth/email/login': {
    successes: ['200'],
    errors: [...KEY, 'INVALID_CREDENTIALS', 'RATE_LIMITED'],
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
  'post /v1/admin/projects/{projectId}/users/session': { successes: ['201'], errors: [...SERVER] },
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
          response.content?.['application/json'].examples ?? {},
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

it('has both credentials in the Authorize dialog, required together by every client route', () => {
  expect(document.components?.securitySchemes).toEqual({
    ApiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: expect.any(String) },
    Session: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: expect.any(String) },
    ServerKey: { type: 'http', scheme: 'bearer', bearerFormat: 'API key', description: expect.any(String) },
  });
  const withoutSession = /^\/v1\/client\/(config|auth\/(?!link))/;
  for (const { path, operation } of operations()) {
    const needed = path.startsWith('/health')
      ? undefined
      : path.startsWith('/v1/admin')
        ? [{ ServerKey: [] }]
        : [{ ApiKey: [], ...(!withoutSession.test(path) && { Session: [] }) }];
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

it('demands no parameter that a caller may leave out', () => {
  const parameters = operations().flatMap(({ name, operation }) =>
    operation.parameters.map((parameter: any) => `${name} ${parameter.name} ${parameter.required}`),
  );
  expect(parameters.sort()).toEqual([
    'get /v1/client/config If-None-Match false',
    'get /v1/client/currencies/transactions currency_code false',
    'get /v1/client/currencies/transactions limit false',
    'get /v1/client/currencies/transactions offset false',
    'post /v1/admin/projects/{projectId}/users/session projectId true',
    'post /v1/client/referrals/claim Idempotency-Key false',
  ]);
});

it('serves Swagger UI at /docs without a foreign address', async () => {
  const { text } = await world.http.get('/docs').expect(200).expect('content-type', /html/);
  expect(text).toContain('swagger-ui');
  expect(text).not.toMatch(/(src|href)="https?:/);
});
