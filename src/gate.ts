import cors from 'cors';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { parse } from 'node:querystring';
import { ApiError } from './common/api-error';
import { explainFailure } from './common/failure';
import { answerError } from './common/plain-answer';
import { VERSIONED_PATH, VERSION_PREFIX } from './common/version';
import type { Config } from './config';
import { networkOf } from './limits/network';
import { Quota } from './limits/quota';
import type { RateLimits } from './limits/rate-limits.service';
import { addressOf, cameOverTls, trustedProxies } from './proxies';
import { admitInput, type AdmittedRequest } from './request-input';
import { securityHeaders } from './security-headers';

/** A request that says one of these twice means two things; which one counts must not depend on a proxy. */
const SINGLE_HEADERS = ['host', 'x-api-key', 'authorization', 'idempotency-key', 'content-type'];
/** What a browser's script may read of an answer. */
const EXPOSED_HEADERS = [
  ...['etag', 'x-request-id', 'idempotent-replayed'],
  ...['retry-after', 'ratelimit', 'ratelimit-policy'],
];
const CLIENT_PLANE = new RegExp(`^(${VERSION_PREFIX})?/client(/|$)`, 'i');
/** Whoever watches the server must be heard above those who flood it. */
const UNLIMITED = /^\/(health\/(live|ready)|metrics)\/?$/i;
/** The address of a client that has closed its connection by now. */
const GONE = 'gone';
/** As a proxy is asked: `GET http://host/path`. */
const SCHEME_AND_HOST = /^https?:\/\/[^/?#]+/i;

/**
 * All that holds for every request, whichever HTTP adapter routes it: security headers, CORS, the two base paths, how
 * much one address may ask for, body limits, hostile input. What it refuses it answers itself, with the envelope; the rest
 * goes to the `application`.
 *
 * @throws StartupError when `TRUST_PROXY` is neither a number nor addresses
 */
export function gateTo(application: RequestListener, config: Config, limits: RateLimits): RequestListener {
  const trust = trustedProxies(config);
  const allowBrowsers = corsOf(config);
  return (incoming, response) => {
    const request = incoming as AdmittedRequest;
    const path = resolveAddress(request);
    response.setHeaders(securityHeaders(path, cameOverTls(request, trust)));
    if (allowBrowsers(request, response, path)) return;
    const refuse = (error: unknown) => answerError(response, explainFailure(error), request.id);
    request.address = addressOf(request, trust) ?? GONE;
    request.quota = new Quota(limits, response, networkOf(request.address));
    const admit = () => {
      const fault = faultInHeaders(request);
      if (fault) refuse(fault);
      else admitInput(request, response, (error) => (error ? refuse(error) : application(request, response)));
    };
    if (UNLIMITED.test(path)) admit();
    else request.quota.take('address').then(admit, refuse);
  };
}

/** One implementation, two paths: the version is stripped. @returns the path as it was sent */
function resolveAddress(request: AdmittedRequest): string {
  const address = toOriginForm(request.url);
  const searchAt = address.indexOf('?');
  const path = searchAt === -1 ? address : address.slice(0, searchAt);
  const isVersioned = path.slice(0, VERSION_PREFIX.length + 1).toLowerCase() === `${VERSION_PREFIX}/`;
  const isStripped = isVersioned && VERSIONED_PATH.test(path.slice(VERSION_PREFIX.length));
  request.url = isStripped ? address.slice(VERSION_PREFIX.length) : address;
  request.query = parse(searchAt === -1 ? '' : address.slice(searchAt + 1));
  return path;
}

/** Routers differ in what they make of the other forms. */
function toOriginForm(target: string): string {
  if (target.startsWith('/') && !target.includes('#')) return target;
  const local = target.replace(SCHEME_AND_HOST, '').split('#', 1)[0] ?? '';
  return local.startsWith('/') ? local : `/${local}`;
}

/** Browsers may call the client plane; the admin plane is for servers. @returns whether the request is answered */
function corsOf({ corsOrigins }: Config) {
  const allow = cors({
    origin: corsOrigins,
    methods: ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'],
    allowedHeaders: ['x-api-key', 'authorization', 'content-type', 'if-none-match', 'idempotency-key'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 600,
  });
  return (request: AdmittedRequest, response: ServerResponse, path: string): boolean => {
    const isBareOptions =
      request.method === 'OPTIONS' && request.headers['access-control-request-method'] === undefined;
    if (!isBareOptions && CLIENT_PLANE.test(path)) allow(request, response, () => undefined);
    return response.writableEnded;
  };
}

function faultInHeaders(request: IncomingMessage): ApiError | undefined {
  // CORS has answered the browsers' own by now
  if (request.method === 'OPTIONS') return new ApiError('NOT_FOUND');
  if (request.headers.host === undefined && request.httpVersion === '1.1')
    return ApiError.invalidInput({ field: 'host', message: 'must be sent' });
  const areDistinct = Object.keys(request.headers).length * 2 === request.rawHeaders.length;
  if (areDistinct) return undefined;
  const twice = SINGLE_HEADERS.find((name) => (request.headersDistinct[name]?.length ?? 0) > 1);
  return twice === undefined
    ? undefined
    : ApiError.invalidInput({ field: twice, message: 'must be sent once' });
}
