import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { bearerToken } from '../common/request';
import { accessOf, needsClientKey } from './access';
import type { AuthenticatedRequest } from './authenticated-request';

/**
 * On the client plane, the Bearer session, which must be of the key's project. Where a key is enough, a stale session hurts
 * nobody. Contract §1: MISSING_SESSION, INVALID_TOKEN.
 */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const access = accessOf(context, this.reflector);
    if (!needsClientKey(access)) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    if (access === 'key' || request.caller) return true;
    throw new ApiError(bearerToken(request) === undefined ? 'MISSING_SESSION' : 'INVALID_TOKEN');
  }
}
