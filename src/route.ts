import type { IncomingMessage } from 'node:http';
import { VERSIONED_PATH, VERSION_PREFIX } from './common/version';

/** Names are ours alone: what a client makes up would be another one each time. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS']);

/** What machines ask for every few seconds. */
export const PROBED = /^\/(health|metrics)([/?]|$)/i;

/** A request that a router gave to a route, as either HTTP adapter leaves it. */
export interface RoutedRequest extends IncomingMessage {
  route?: { path: string };
}

/** The method of a request; `other` for one that no route has. */
export function methodOf({ method = '' }: IncomingMessage): string {
  return METHODS.has(method) ? method : 'other';
}

/**
 * The pattern of the route that took a request, as in `/v1/client/referrals/claim`, whether the client sent the version or not;
 * `none` where there was none.
 */
export function routeOf(request: IncomingMessage): string {
  const path = (request as RoutedRequest).route?.path ?? 'none';
  return VERSIONED_PATH.test(path) ? `${VERSION_PREFIX}${path}` : path;
}
