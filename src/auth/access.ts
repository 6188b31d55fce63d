import { SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';

/**
 * What a route asks of its caller. `session` is the default, so that a forgotten decorator closes a route.
 *
 * - `public`: nothing
 * - `key`: the project's client key; a session, if a valid one comes along, is known but not needed
 * - `session`: the client key and the user's session
 * - `server`: a server key of the project in the path
 */
export type Access = 'public' | 'key' | 'session' | 'server';

const ACCESS = 'access';

/** Opens a route to callers without credentials. */
export const Public = () => SetMetadata(ACCESS, 'public' satisfies Access);

/** Opens a route to every holder of the client key, signed in or not. */
export const KeyOnly = () => SetMetadata(ACCESS, 'key' satisfies Access);

/** Opens a route to the servers of the project that `:projectId` names. */
export const ServerKey = () => SetMetadata(ACCESS, 'server' satisfies Access);

export function accessOf(context: ExecutionContext, reflector: Reflector): Access {
  return (
    reflector.getAllAndOverride<Access | undefined>(ACCESS, [context.getHandler(), context.getClass()]) ??
    'session'
  );
}
