import type { INestApplication } from '@nestjs/common';
import type { RequestListener, Server } from 'node:http';
import { Registry } from 'prom-client';
import type { Config } from './config';
import { ExpressOnServer } from './express.setup';
import { FastifyOnServer } from './fastify.setup';
import { gateTo } from './gate';
import { countDroppedConnections, measureRequests } from './http.metrics';
import { RateLimits } from './limits/rate-limits.service';
import { serveDocs } from './openapi';
import { trustedProxies } from './proxies';

const ADAPTERS = { express: ExpressOnServer, fastify: FastifyOnServer };

type Adapter = InstanceType<(typeof ADAPTERS)[Config['httpAdapter']]>;

/**
 * The HTTP adapter of the setting `HTTP_ADAPTER`, on a server of ours, which may listen before there is an application.
 *
 * @throws StartupError when `TRUST_PROXY` is neither a number nor addresses
 */
export function adapterOn(server: Server, config: Config): Adapter {
  return new ADAPTERS[config.httpAdapter](server, trustedProxies(config));
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
