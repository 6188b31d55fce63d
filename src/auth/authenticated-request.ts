import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { RequestWithId } from '../common/request';
import type { Quota } from '../limits/quota';
import type { Actor, Developer } from './actor';
import type { Caller } from './sessions.service';

/** A request on its way through the guards. */
export interface AuthenticatedRequest extends RequestWithId {
  /** Set by the gate, which has counted the network address against it. */
  quota: Quota;
  /** Set by `ApiKeyGuard`, and by `AdminGuard` on the routes of one project. */
  projectId?: string;
  /** Set by `ApiKeyGuard`, when a session that is good came along. */
  caller?: Caller;
  /** Set by `AdminGuard`. */
  actor?: Actor;
  /** Set by `AdminGuard`, when a developer's token was sent. */
  developer?: Developer;
}

const requestOf = (context: ExecutionContext) => context.switchToHttp().getRequest<AuthenticatedRequest>();

/** The app's user who sent the request, as the guards established it. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = requestOf(context);
  if (caller === undefined) throw new Error('CurrentCaller is used on a route without a session');
  return caller;
});

/** The user whose session came along on a route that needs only the key; undefined when none, or a stale one, did. */
export const MaybeCaller = createParamDecorator(
  (_: unknown, context: ExecutionContext): Caller | undefined => requestOf(context).caller,
);

/** The network address that the request came from, behind trusted proxies the one that they name. */
export const ClientAddress = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => requestOf(context).address,
);

/** Who administers, for the audit log. */
export const CurrentActor = createParamDecorator((_: unknown, context: ExecutionContext): Actor => {
  const { actor } = requestOf(context);
  if (actor === undefined) throw new Error('CurrentActor is used outside of the admin plane');
  return actor;
});

/** The developer who sent the request, on a route for developers only. */
export const CurrentDeveloper = createParamDecorator((_: unknown, context: ExecutionContext): Developer => {
  const { developer } = requestOf(context);
  if (developer === undefined)
    throw new Error('CurrentDeveloper is used on a route that is not for developers only');
  return developer;
});

/** The id that the answer carries as `X-Request-Id`. */
export const RequestId = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => requestOf(context).id,
);

/** The project of the client key, or on the admin plane the one in the path. */
export const CurrentProject = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const { projectId } = requestOf(context);
  if (projectId === undefined) throw new Error('CurrentProject is used on a public route');
  return projectId;
});
