import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { RequestWithId } from '../common/request';
import type { Caller } from './sessions.service';

/** A request on its way through the guards. */
export interface AuthenticatedRequest extends RequestWithId {
  /** Set by `ApiKeyGuard`. */
  projectId?: string;
  /** Set by `SessionGuard`. */
  caller?: Caller;
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
  (_: unknown, context: ExecutionContext): string => requestOf(context).ip,
);

/** The project of the key that the request was sent with. */
export const CurrentProject = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const { projectId } = requestOf(context);
  if (projectId === undefined) throw new Error('CurrentProject is used on a public route');
  return projectId;
});
