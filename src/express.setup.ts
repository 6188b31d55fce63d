import { ExpressAdapter } from '@nestjs/platform-express';
import type { Application, Request } from 'express';
import type { RequestListener, Server } from 'node:http';
import type { Trust } from './proxies';

/** Nest's Express adapter on a server of ours, behind the gate, which has read the query and the body. */
export class ExpressOnServer extends ExpressAdapter {
  constructor(
    private readonly server: Server,
    trust: Trust,
  ) {
    super();
    const express = this.getInstance<Application & { request: Request }>();
    express.set('trust proxy', trust);
    express.disable('x-powered-by');
    express.disable('etag');
    // it would answer `If-None-Match: *` with 304 on every GET; a route that has an ETag says it itself
    Object.defineProperty(express.request, 'fresh', { value: false });
  }

  override initHttpServer(): void {
    this.setHttpServer(this.server);
  }

  /** What routes a request, once the application is initialised. */
  listener(): Promise<RequestListener> {
    return Promise.resolve(this.getInstance());
  }
}
