import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { API_KEY_SCHEME, DEVELOPER_SCHEME, SERVER_KEY_SCHEME, SESSION_SCHEME } from './auth/route.decorators';
import { VERSIONED_PATH, VERSION_PREFIX } from './common/version';
import { LIMIT_HEADERS, withLimits } from './limits/limits.docs';

/** Swagger UI is there, and everything that it loads below it. */
export const DOCS_PATH = 'docs';

const DESCRIPTION = `Referral codes and currency rewards for apps.

**Try it:** press *Authorize*, paste the client key and the second user's session token that \`npm start\` printed,
then run *Claim a referral code* and look at the balances. Sign in as the first user to see the other reward.

Every versioned route also answers without the \`${VERSION_PREFIX}\` prefix. Answers are \`{ "data": … }\`; failures are
\`{ "error": { "code", "message", "details"?, "request_id" } }\`, also where HTTP itself fails: 408 \`REQUEST_TIMEOUT\` and
431 \`HEADERS_TOO_LARGE\` can come from any route. Every answer has an \`X-Request-Id\`; 429, 503 and \`CLAIM_FAILED\` have a
\`Retry-After\` in seconds.`;

/** The OpenAPI document: what the decorators say, under the paths that clients send. */
export function openApiDocument(app: INestApplication): OpenAPIObject {
  const settings = new DocumentBuilder()
    .setTitle('Amba Referrals')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .addTag('Referrals', 'Codes and claims')
    .addTag('Currencies', 'Balances and history')
    .addTag('Sessions', 'Signing in and staying signed in')
    .addTag('Users', 'Profiles')
    .addTag('Config', 'What an app reads before sign-in')
    .addTag('Developers (admin)', 'Accounts of developers')
    .addTag('Projects (admin)', 'Projects and their API keys')
    .addTag('Referral codes (admin)', 'Templates, promo codes and users’ own codes')
    .addTag('Currencies (admin)', 'Currencies, grants by hand and the ledger')
    .addTag('Users (admin)', 'The users of an app, for its developer and its servers')
    .addTag('Analytics (admin)', 'Numbers about the referrals of a project')
    .addTag('Integrity (admin)', 'Whether the stored data is as it must be')
    .addTag('Rewards (admin)', 'Every promised reward, and whether the totals agree')
    .addTag('Audit log (admin)', 'Who changed what')
    .addTag('Health', 'For load balancers and orchestrators')
    .addApiKey(
      { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: "The project's client key." },
      API_KEY_SCHEME,
    )
    .addBearerAuth(
      { type: 'http', scheme: 'bearer', description: "The user's session token." },
      SESSION_SCHEME,
    )
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        description: "A developer's access token or personal access token, for admin routes.",
      },
      DEVELOPER_SCHEME,
    )
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'API key',
        description: 'A server key, for the admin routes of its project.',
      },
      SERVER_KEY_SCHEME,
    )
    .build();
  const document = SwaggerModule.createDocument(app, settings, {
    operationIdFactory: (_controller, method) => method,
  });
  const paths = Object.entries(document.paths).map(([path, item]) =>
    VERSIONED_PATH.test(path) ? [VERSION_PREFIX + path, withLimits(item)] : [path, item],
  );
  return {
    ...document,
    paths: Object.fromEntries(paths) as OpenAPIObject['paths'],
    components: { ...document.components, headers: LIMIT_HEADERS },
  };
}

/** Serves Swagger UI at `/docs` and the document at `/docs-json` and `/docs-yaml`. */
export function serveDocs(app: INestApplication): void {
  SwaggerModule.setup(DOCS_PATH, app, () => openApiDocument(app), {
    customSiteTitle: 'Amba Referrals API',
    jsonDocumentUrl: `${DOCS_PATH}-json`,
    yamlDocumentUrl: `${DOCS_PATH}-yaml`,
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true, tryItOutEnabled: true },
  });
}
