import type { OpenAPIObject } from '@nestjs/swagger';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;
type Answer = Extract<Operation['responses'][string], { description: string }>;

/** For the components of the OpenAPI document. */
export const LIMIT_HEADERS = {
  RateLimit: {
    description:
      'Of each limit, the requests that are left (`r`) and the seconds until it begins anew (`t`).',
    schema: { type: 'string', example: '"address";r=5990;t=42, "user";r=598;t=57' },
  },
  'RateLimit-Policy': {
    description: 'The limits that the request met: requests (`q`) in so many seconds (`w`).',
    schema: { type: 'string', example: '"address";q=6000;w=60, "user";q=600;w=60' },
  },
  'Retry-After': { description: 'Seconds until a retry makes sense.', schema: { type: 'string' } },
};

/** Documents that an answer of these operations tells of the limits that it met; a 429 also says when to come again. */
export function withLimits(item: PathItem): PathItem {
  const operations = Object.entries(item as Record<string, Operation>);
  return Object.fromEntries(
    operations.map(([method, operation]) => {
      const answers = Object.entries(operation.responses as Record<string, Answer>);
      const responses = Object.fromEntries(
        // the other refusals tell, too; said of each of them it would be half of the document
        answers.map(([status, answer]) => [
          status,
          /^2|^429$/.test(status) ? limited(status, answer) : answer,
        ]),
      );
      return [method, { ...operation, responses }];
    }),
  );
}

function limited(status: string, answer: Answer): Answer {
  const names = ['RateLimit', 'RateLimit-Policy', ...(status === '429' ? ['Retry-After'] : [])];
  const headers = names.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return { ...answer, headers: { ...answer.headers, ...(Object.fromEntries(headers) as Answer['headers']) } };
}
