import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { bearerToken, header } from '../common/request';
import { noteOfRequest } from '../common/request-context';
import { accessOf, needsClientKey } from './access';
import { isWellFormedApiKey } from './api-key';
import type { AuthenticatedRequest } from './authenticated-request';
import { CredentialsService } from './credentials.service';

/** On the client plane, the client key in `X-Api-Key` names the project. Contract §1. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly credentials: CredentialsService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (!needsClientKey(accessOf(context, this.reflector))) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const key = header(request, 'x-api-key');
    if (!key) throw new ApiError('MISSING_API_KEY');
    if (!isWellFormedApiKey(key)) throw new ApiError('INVALID_API_KEY');
    const session = this.credentials.sessionIn(bearerToken(request));
    // before the database is asked; and the user first, so that nobody uses up the key's with what is refused
    if (session) await request.quota.take('user', session.userId);
    await request.quota.take('key', key);
    const identity = await this.credentials.ofClient(key, session);
    if (identity === undefined) throw new ApiError('INVALID_API_KEY');
    noteOfRequest({ project_id: identity.key.projectId, key_id: identity.key.keyId });
    if (identity.key.keyType !== 'client') throw new ApiError('FORBIDDEN');
    request.projectId = identity.key.projectId;
    // for `SessionGuard` to decide on: the database was asked for both at once
    request.caller = identity.caller;
    noteOfRequest({ user_id: identity.caller?.userId });
    return true;
  }
}
