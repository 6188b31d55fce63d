import helmet, { strictTransportSecurity, type HelmetOptions } from 'helmet';
import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http';
import { Socket } from 'node:net';
import { DOCS_PATH } from './openapi';

type Policy = Exclude<HelmetOptions['contentSecurityPolicy'], boolean | undefined>;
type Directives = NonNullable<Policy['directives']>;

const NOTHING: Directives = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

/** Swagger UI: scripts and calls of this server only. Its page has style elements and a style attribute of its own. */
const SWAGGER_UI: Directives = {
  ...NOTHING,
  scriptSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  styleSrc: ["'self'", "'unsafe-inline'"],
};

/** What a middleware sets does not depend on the request here: it runs once, not for each. */
function headersSetBy(middleware: (...args: [...Parameters<RequestListener>, () => void]) => void) {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  middleware(request, response, () => undefined);
  return Object.entries(response.getHeaders()).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
}

const headersUnder = (directives: Directives) =>
  headersSetBy(
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives },
      frameguard: { action: 'deny' },
      // set for requests over TLS only
      strictTransportSecurity: false,
    }),
  );

/** For a year, and for this host only: the operator's other hosts are not ours to decide on. */
const STAY_ON_TLS = headersSetBy(strictTransportSecurity({ includeSubDomains: false }));
// tokens, keys and personal data are everywhere; the files of the page may be kept
const API = new Map([['cache-control', 'no-store'], ...headersUnder(NOTHING)] as const);
const API_OVER_TLS = new Map([...API, ...STAY_ON_TLS]);
const DOCS = new Map(headersUnder(SWAGGER_UI));
const DOCS_OVER_TLS = new Map([...DOCS, ...STAY_ON_TLS]);

const docs = new RegExp(`^/${DOCS_PATH}(/|$)`, 'i');

/**
 * What tells browsers and caches what the answer at this path may be used for. A route may set its own `Cache-Control`.
 */
export function securityHeaders(path: string, isOverTls: boolean): Map<string, string> {
  if (docs.test(path)) return isOverTls ? DOCS_OVER_TLS : DOCS;
  return isOverTls ? API_OVER_TLS : API;
}

/** The same headers, for an answer that the application has no part in. */
export function bareSecurityHeaders(): Map<string, string> {
  return API;
}
