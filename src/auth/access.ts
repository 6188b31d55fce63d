import { SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';

/**
 * What a route asks of its caller. `session` is the default, so that a forgotten decorator closes a route.
 *
 * - `public`: nothing
 * - `key`: the project's client key; a session, if a valid one comes along, is known but not needed
 * - `session`: the client key and the user's session
 * - `developer`: an access token or a personal access token of a developer
 * - `project`: the same of the developer who owns the project in the path, or a server key of that project
 */
export type Access = 'public' | 'key' | 'session' | 'developer' | 'project';

const ACCESS = 'access';

/** Opens a route to callers without credentials. */
export const Public = () => SetMetadata(ACCESS, 'public' satisfies Access);

/** Opens a route to every holder of the client key, signed in or not. */
export const KeyOnly = () => SetMetadata(ACCESS, 'key' satisfies Access);

/** Opens a route to every developer. */
export const DeveloperOnly = () => SetMetadata(ACCESS, 'developer' satisfies Access);

/** Opens a route to those who may administer the project that `:projectId` names. */
export const ProjectAdmin = () => SetMetadata(ACCESS, 'project' satisfies Access);

export function accessOf(context: ExecutionContext, reflector: Reflector): Access {
  return (
    reflector.getAllAndOverride<Access | undefined>(ACCESS, [context.getHandler(), context.getClass()]) ??
    'session'
  );
}

/** Whether the route belongs to the client plane, where a client key names the project. */
export function needsClientKey(access: Access): access is 'key' | 'session' {
  return access === 'key' || access === 'session';
}
