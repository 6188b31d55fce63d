import helmet, { strictTransportSecurity, type HelmetOptions } from 'helmet';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { DOCS_PATH } from './openapi';

/** What decides on the headers of an answer. */
interface Asked extends IncomingMessage {
  path: string;
  /** Whether the request came over TLS, as a trusted proxy says. */
  secure: boolean;
}

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

const headersUnder = (directives: Directives) =>
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    frameguard: { action: 'deny' },
    // set for requests over TLS only
    strictTransportSecurity: false,
  });

const apiHeaders = headersUnder(NOTHING);
const docsHeaders = headersUnder(SWAGGER_UI);
/** For a year, and for this host only: the operator's other hosts are not ours to decide on. */
const stayOnTls = strictTransportSecurity({ includeSubDomains: false });
const docs = new RegExp(`^/${DOCS_PATH}(/|$)`, 'i');

/** Tells browsers and caches what an answer may be used for. A route may set its own `Cache-Control`. */
export function secureAnswer(
  request: Asked,
  response: ServerResponse,
  next: (error?: unknown) => void,
): void {
  const isDocs = docs.test(request.path);
  // tokens, keys and personal data are everywhere; the files of the page may be kept
  if (!isDocs) response.setHeader('Cache-Control', 'no-store');
  const setHeaders = isDocs ? docsHeaders : apiHeaders;
  if (request.secure) stayOnTls(request, response, () => setHeaders(request, response, next));
  else setHeaders(request, response, next);
}

/** The same headers, for an answer that the application has no part in. */
export function bareSecurityHeaders(): Map<string, string> {
  const request = Object.assign(new IncomingMessage(new Socket()), { path: '', secure: false });
  const response = new ServerResponse(request);
  secureAnswer(request, response, () => undefined);
  return new Map(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
}
