import { BadRequestException } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { RouteOptions } from 'fastify';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { DOCS_PATH } from './openapi';
import type { Trust } from './proxies';
import type { AdmittedRequest } from './request-input';
import type { RoutedRequest } from './route';

/** Longer than any address that node's parser lets pass. */
const MAX_PARAM_LENGTH = 65_536;
/** The gate has read the body: without these Fastify looks for none. */
const OF_THE_BODY = ['content-type', 'content-length', 'transfer-encoding'];

type AddressedRequest = AdmittedRequest & RoutedRequest & { originalUrl: string };

/** Nest's Fastify adapter on a server of ours, behind the gate, made to route as Express does. */
export class FastifyOnServer extends FastifyAdapter {
  constructor(
    private readonly server: Server,
    trust: Trust,
  ) {
    super({
      serverFactory: () => server,
      // the front door answers what never became a request, and closes itself
      clientErrorHandler: () => undefined,
      return503OnClosing: false,
      trustProxy: trust,
      genReqId: (request: IncomingMessage) => (request as AdmittedRequest).id,
      skipMiddie: true,
      routerOptions: {
        ...{ caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
      },
    });
    const fastify = this.getInstance();
    fastify.decorateRequest('quota');
    fastify.decorateRequest('address');
    fastify.addHook('onRoute', (route) => {
      if (route.url.startsWith(`/${DOCS_PATH}`)) serveDocsAsExpressDoes(route);
    });
    fastify.addHook('onRequest', (request, _reply, done) => {
      const raw = request.raw as AddressedRequest;
      raw.url = raw.originalUrl;
      request.body = raw.body;
      request.query = raw.query;
      const { quota, address } = raw;
      Object.assign(request, { quota, address });
      const fault = decode(request.params as Record<string, string>);
      if (!fault) raw.route = patternOf(request.routeOptions.url);
      done(fault);
    });
  }

  /** What routes a request, once the application is initialised. */
  async listener(): Promise<RequestListener> {
    const fastify = this.getInstance();
    await fastify.ready();
    return (incoming, response) => {
      const request = incoming as AddressedRequest;
      request.originalUrl = request.url;
      request.url = withLiteralEscapes(request.url);
      for (const name of OF_THE_BODY) if (name in request.headers) delete request.headers[name];
      fastify.routing(request, response);
    };
  }

  /** Fastify leaves a server that it did not make, and start, as it is. */
  override async close(): Promise<void> {
    await super.close();
    if (this.server.listening) await once(this.server.close(), 'close');
  }
}

/** Fastify would decode a path before it matches, Express matches first and decodes what it takes for parameters. */
function withLiteralEscapes(url: string): string {
  if (!url.includes('%')) return url;
  const [path = '', search] = url.split(/\?(.*)/s, 2);
  return path.replaceAll('%', '%25') + (search === undefined ? '' : `?${search}`);
}

/** Text says its charset, and what cannot be a file is not found. */
function serveDocsAsExpressDoes(route: RouteOptions): void {
  route.onSend = (_request, reply, payload, done) => {
    const type = reply.getHeader('content-type');
    if (typeof payload === 'string' && typeof type === 'string' && !type.includes('charset'))
      reply.header('content-type', `${type}; charset=utf-8`);
    done(null, payload);
  };
  if (!route.url.endsWith('*')) return;
  const { errorHandler } = route;
  route.errorHandler = function (error, request, reply) {
    const isNoFile = [400, 403, 404].includes(error.statusCode ?? 500);
    if (isNoFile) reply.callNotFound();
    else errorHandler?.call(this, error, request, reply);
  };
}

/** Express serves files by no route. */
function patternOf(url: string | undefined): RoutedRequest['route'] {
  return url === undefined || url.endsWith('*') ? undefined : { path: url };
}

/** In place. @returns what is wrong with them */
function decode(params: Record<string, string>): Error | undefined {
  try {
    for (const [name, value] of Object.entries(params))
      // a file's name is decoded where it is looked for
      if (name !== '*' && value.includes('%')) params[name] = decodeURIComponent(value);
    return undefined;
  } catch (cause) {
    return new BadRequestException('Malformed address', { cause });
  }
}
