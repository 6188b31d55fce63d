import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import type { CorsOptionsDelegate } from '@nestjs/common/interfaces/external/cors-options.interface';
import type { NextFunction, Request, Response } from 'express';
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { ApiError } from './common/api-error';
import { refuseHostileInput } from './common/hostile-input';
import { StartupError } from './common/startup-error';
import { VERSIONED_PATH, VERSION_PREFIX } from './common/version';
import type { Config } from './config';
import { serveDocs } from './openapi';
import { secureAnswer } from './security-headers';

const BODY_LIMIT = '16kb';
/** A request that says one of these twice means two things; which one counts must not depend on a proxy. */
const SINGLE_HEADERS = ['host', 'x-api-key', 'authorization', 'idempotency-key', 'content-type'];
const OTHER_CHARSET = /charset\s*=\s*(?!"?utf-8)/i;
const OUR_REQUEST_ID = /^[\w-]{1,64}$/;

type RequestWithId = Request & { id: string };

/** Nest's Express adapter on a server of ours, which may listen before there is an application. */
class ExpressOnServer extends ExpressAdapter {
  constructor(private readonly server: Server) {
    super();
  }

  override initHttpServer(): void {
    this.setHttpServer(this.server);
  }
}

export function adapterOn(server: Server): ExpressAdapter {
  return new ExpressOnServer(server);
}

/** Everything that is specific to HTTP and its adapter, shared by `main.ts` and the tests. */
export function configureApp(app: NestExpressApplication, config: Config): void {
  app.disable('x-powered-by');
  app.disable('etag');
  trustProxies(app, config);
  app.use(identifyRequest);
  app.use(secureAnswer);
  app.use(leaveFreshnessToRoutes);
  app.enableCors(corsOf(config));
  app.use(refuseBareOptions);
  app.use(stripVersion);
  app.use(refuseDuplicateHeaders);
  app.use(refuseUnreadableBody);
  app.useBodyParser('json', { ...{ verify: assertUtf8 }, limit: BODY_LIMIT, inflate: false });
  app.use(explainBrokenJson);
  app.use(refuseHostileRequest);
  serveDocs(app);
}

/** @throws StartupError when `TRUST_PROXY` is neither a number nor addresses */
function trustProxies(app: NestExpressApplication, { trustProxy }: Config): void {
  try {
    // not through Nest, which logs what it throws
    const express = app.getHttpAdapter().getInstance();
    if (trustProxy !== undefined) express.set('trust proxy', trustProxy);
  } catch (error) {
    throw new StartupError(
      `TRUST_PROXY is not valid: ${(error as Error).message}. Give the number of proxies in front, or their addresses.`,
    );
  }
}

function identifyRequest(request: Request, response: Response, next: NextFunction): void {
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && OUR_REQUEST_ID.test(given) ? given : randomUUID();
  (request as RequestWithId).id = id;
  response.setHeader('X-Request-Id', id);
  next();
}

/** Express would answer `If-None-Match: *` with 304 on every GET; a route that has an ETag says it itself. */
function leaveFreshnessToRoutes(request: Request, _response: Response, next: NextFunction): void {
  Object.defineProperty(request, 'fresh', { value: false });
  next();
}

/** Browsers may call the client plane; the admin plane is for servers. */
function corsOf({ corsOrigins }: Config): CorsOptionsDelegate<Request> {
  const clientPlane = new RegExp(`^(${VERSION_PREFIX})?/client(/|$)`, 'i');
  const options = {
    origin: corsOrigins,
    methods: ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'],
    allowedHeaders: ['x-api-key', 'authorization', 'content-type', 'if-none-match', 'idempotency-key'],
    exposedHeaders: ['etag', 'x-request-id', 'idempotent-replayed', 'retry-after'],
    maxAge: 600,
  };
  const isCrossOrigin = ({ method, headers }: Request) =>
    method !== 'OPTIONS' || headers['access-control-request-method'] !== undefined;
  return (request, done) =>
    done(null, clientPlane.test(request.path) && isCrossOrigin(request) ? options : { origin: false });
}

/** One implementation, two paths. */
function stripVersion(request: Request, _response: Response, next: NextFunction): void {
  const rest = request.url.toLowerCase().startsWith(`${VERSION_PREFIX}/`)
    ? request.url.slice(VERSION_PREFIX.length)
    : '';
  if (VERSIONED_PATH.test(rest.split('?', 1)[0] ?? '')) request.url = rest;
  next();
}

/** CORS has answered the browsers' own OPTIONS by now. */
function refuseBareOptions(request: Request, _response: Response, next: NextFunction): void {
  next(request.method === 'OPTIONS' ? new ApiError('NOT_FOUND') : undefined);
}

function refuseDuplicateHeaders(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    next(ApiError.invalidInput({ field: 'host', message: 'must be sent' }));
    return;
  }
  const twice = SINGLE_HEADERS.find((name) => (request.headersDistinct[name]?.length ?? 0) > 1);
  next(twice && ApiError.invalidInput({ field: twice, message: 'must be sent once' }));
}

function refuseUnreadableBody(request: Request, _response: Response, next: NextFunction): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || length !== '0';
  const isJson = request.is('application/json') && !OTHER_CHARSET.test(request.headers['content-type'] ?? '');
  next(hasBody && !isJson ? new ApiError('UNSUPPORTED_MEDIA_TYPE') : undefined);
}

/** Broken bytes would be read as U+FFFD and stored as what nobody sent. */
function assertUtf8(_request: unknown, _response: unknown, body: Buffer): void {
  if (!isUtf8(body)) throw new Error('not UTF-8');
}

const BODY_FAULTS: Record<string, string> = {
  'entity.parse.failed': 'must be a JSON object',
  'entity.verify.failed': 'must be UTF-8',
};

function explainBrokenJson(error: unknown, _request: Request, _response: Response, next: NextFunction): void {
  const message = BODY_FAULTS[(error as { type?: string }).type ?? ''];
  next(message === undefined ? error : ApiError.invalidInput({ field: 'body', message }));
}

function refuseHostileRequest(request: Request, _response: Response, next: NextFunction): void {
  const body: unknown = request.body;
  if (Array.isArray(body)) throw ApiError.invalidInput({ field: 'body', message: 'must be a JSON object' });
  refuseHostileInput(body, 'body');
  refuseHostileInput(request.query, 'query');
  next();
}
