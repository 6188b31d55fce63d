import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { IS_PUBLIC } from '../common/public.decorator';
import { header } from '../common/request';
import type { AuthenticatedRequest } from './authenticated-request';
import { SessionsService } from './sessions.service';

/** Second guard: the Bearer session, which must be of the key's project. Contract §1: MISSING_SESSION, INVALID_TOKEN. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly sessions: SessionsService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean>(IS_PUBLIC, [context.getHandler(), context.getClass()]))
      return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const [, token] = /^bearer +(\S+) *$/i.exec(header(request, 'authorization') ?? '') ?? [];
    if (token === undefined) throw new ApiError('MISSING_SESSION');
    const caller = request.projectId && (await this.sessions.identify(token, request.projectId));
    if (!caller) throw new ApiError('INVALID_TOKEN');
    request.caller = caller;
    return true;
  }
}
