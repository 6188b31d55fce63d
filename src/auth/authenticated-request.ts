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

/** The app's user who sent the request, as the guards established it. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (caller === undefined) throw new Error('CurrentCaller is used on a route without a session');
  return caller;
});
