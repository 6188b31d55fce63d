import { BadRequestException } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { Trust } from './proxies';
import type { AdmittedRequest } from './request-input';

/** Longer than any address that node's parser lets pass. */
const MAX_PARAM_LENGTH = 65_536;
/** The gate has read the body: without these Fastify looks for none. */
const OF_THE_BODY = ['content-type', 'content-length', 'transfer-encoding'];

interface RoutedRequest extends AdmittedRequest {
  originalUrl: string;
}

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
    this.getInstance().addHook('onRequest', (request, _reply, done) => {
      const raw = request.raw as RoutedRequest;
      raw.url = raw.originalUrl;
      request.body = raw.body;
      request.query = raw.query;
      done(request.is404 ? undefined : decode(request.params as Record<string, string>));
    });
  }

  /** What routes a request, once the application is initialised. */
  async listener(): Promise<RequestListener> {
    const fastify = this.getInstance();
    await fastify.ready();
    return (incoming, response) => {
      const request = incoming as RoutedRequest;
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

/** In place. @returns what is wrong with them */
function decode(params: Record<string, string>): Error | undefined {
  try {
    for (const [name, value] of Object.entries(params))
      if (value.includes('%')) params[name] = decodeURIComponent(value);
    return undefined;
  } catch (cause) {
    return new BadRequestException('Malformed address', { cause });
  }
}
