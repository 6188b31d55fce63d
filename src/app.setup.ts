import type { INestApplication } from '@nestjs/common';
import type { RequestListener, Server } from 'node:http';
import { Registry } from 'prom-client';
import type { Config } from './config';
import type { ExpressOnServer } from './express.setup';
import type { FastifyOnServer } from './fastify.setup';
import { gateTo } from './gate';
import { countDroppedConnections, measureRequests } from './http.metrics';
import { RateLimits } from './limits/rate-limits.service';
import { serveDocs } from './openapi';
import { trustedProxies } from './proxies';

type Adapter = ExpressOnServer | FastifyOnServer;

/**
 * The HTTP adapter of the setting `HTTP_ADAPTER`, on a server of ours, which may listen before there is an application. The other
 * one is not even loaded.
 *
 * @throws StartupError when `TRUST_PROXY` is neither a number nor addresses
 */
export async function adapterOn(server: Server, config: Config): Promise<Adapter> {
  const trust = trustedProxies(config);
  if (config.httpAdapter === 'fastify') {
    const { FastifyOnServer } = await import('./fastify.setup.js');
    return new FastifyOnServer(server, trust);
  }
  const { ExpressOnServer } = await import('./express.setup.js');
  return new ExpressOnServer(server, trust);
}

/** Initialises the application, on an `adapterOn` a server. @returns what that server's requests are given to */
export async function openApp(app: INestApplication, config: Config): Promise<RequestListener> {
  serveDocs(app);
  await app.init();
  const adapter = app.getHttpAdapter() as Adapter;
  const server = adapter.getHttpServer();
  measureRequests(server, app.get(Registry));
  countDroppedConnections(server, app.get(Registry));
  return gateTo(await adapter.listener(), config, app.get(RateLimits));
}
