import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_CATALOGUE, type ErrorCode } from '../src/common/error-catalogue';
import { useWorld } from './support/world';

const world = useWorld();

let document: OpenAPIObject;

beforeAll(async () => {
  document = (await world.http.get('/docs-json').expect(200)).body;
});

const EVERYWHERE: ErrorCode[] = [
  'MISSING_API_KEY',
  'INVALID_API_KEY',
  'MISSING_SESSION',
  'INVALID_TOKEN',
  'FORBIDDEN',
  'INTERNAL_ERROR',
  'SERVICE_UNAVAILABLE',
];

/** The contract's answers, route by route. */
const CONTRACT: Record<string, { successes: string[]; errors: ErrorCode[] }> = {
  'get /v1/client/referrals/my-code': {
    successes: ['200', '201'],
    errors: [...EVERYWHERE, 'RETRY_EXHAUSTED', 'CREATE_FAILED'],
  },
  'post /v1/client/referrals/claim': {
    successes: ['201'],
    errors: [
      ...EVERYWHERE,
      'INVALID_INPUT',
      'SELF_REFERRAL',
      'ALREADY_CLAIMED',
      'MAX_USES_REACHED',
      'CLAIM_LIMIT_REACHED',
      'INVALID_CODE',
      'PAYLOAD_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'IDEMPOTENCY_MISMATCH',
      'CLAIM_FAILED',
    ],
  },
  'get /v1/client/currencies': { successes: ['200'], errors: EVERYWHERE },
  'get /v1/client/currencies/transactions': {
    successes: ['200'],
    errors: [...EVERYWHERE, 'INVALID_INPUT', 'FETCH_FAILED'],
  },
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
        const examples: [string, any][] = Object.entries(response.content['application/json'].examples ?? {});
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
  });
  for (const { path, operation } of operations()) {
    expect({ path, security: operation.security }).toEqual({
      path,
      security: path.startsWith('/v1/client/') ? [{ ApiKey: [], Session: [] }] : undefined,
    });
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
  expect(parameters).toEqual([
    'get /v1/client/currencies/transactions limit false',
    'get /v1/client/currencies/transactions offset false',
    'get /v1/client/currencies/transactions currency_code false',
    'post /v1/client/referrals/claim Idempotency-Key false',
  ]);
});

it('serves Swagger UI at /docs without a foreign address', async () => {
  const { text } = await world.http.get('/docs').expect(200).expect('content-type', /html/);
  expect(text).toContain('swagger-ui');
  expect(text).not.toMatch(/(src|href)="https?:/);
});
