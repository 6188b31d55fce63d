import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Counter, Histogram, type Registry } from 'prom-client';
import { methodOf, routeOf } from './route';

const BUCKETS_S = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * Measures every request of a server, in seconds from its headers to the last byte of its answer, by method, route and status;
 * also those that are refused before they are routed. `none` as the route is an address that is nobody's or a refusal
 * before routing; as the status it is a client that went away before its answer.
 */
export function measureRequests(server: Server, registry: Registry): void {
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  // kept, since to look one up by its labels costs more than to observe
  const known = new Map<string, Observer>();
  const observerOf = (request: IncomingMessage, response: ServerResponse) => {
    const method = methodOf(request);
    const route = routeOf(request);
    const status = response.writableFinished ? response.statusCode : 'none';
    const key = `${method} ${status} ${route}`;
    let observer = known.get(key);
    if (observer === undefined) {
      observer = durations.labels({ method, route, status });
      known.set(key, observer);
    }
    return observer;
  };
  // before all others, whose work is measured
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const begin = performance.now();
    response.on('close', () => observerOf(request, response).observe((performance.now() - begin) / 1000));
  });
}

/** Counts the connections that a server closed at once, since it had as many as it may have. */
export function countDroppedConnections(server: Server, registry: Registry): void {
  const dropped = new Counter({
    name: 'amba_connections_dropped_total',
    help: 'Connections that were closed at once: MAX_CONNECTIONS were open.',
    registers: [registry],
  });
  server.on('drop', () => dropped.inc());
}

type Observer = ReturnType<Histogram['labels']>;
