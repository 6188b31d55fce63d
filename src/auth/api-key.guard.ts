import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { bearerToken, header } from '../common/request';
import { accessOf } from './access';
import { ApiKeysService } from './api-keys.service';
import type { AuthenticatedRequest } from './authenticated-request';

/**
 * First guard: a key names the project. On the client plane it is the client key in `X-Api-Key`, on the admin plane
 * a server key as Bearer, for the project in the path only. Contract §1.
 */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly apiKeys: ApiKeysService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = accessOf(context, this.reflector);
    if (access === 'public') return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    request.projectId = access === 'server' ? await this.ofServer(request) : await this.ofClient(request);
    return true;
  }

  private async ofClient(request: AuthenticatedRequest): Promise<string> {
    const key = header(request, 'x-api-key');
    if (!key) throw new ApiError('MISSING_API_KEY');
    const identity = await this.apiKeys.identify(key);
    if (identity === undefined) throw new ApiError('INVALID_API_KEY');
    if (identity.keyType !== 'client') throw new ApiError('FORBIDDEN');
    return identity.projectId;
  }

  private async ofServer(request: AuthenticatedRequest): Promise<string> {
    const key = bearerToken(request);
    if (key === undefined) throw new ApiError('MISSING_SESSION', { message: SEND_SERVER_KEY });
    const identity = await this.apiKeys.identify(key);
    if (identity === undefined) throw new ApiError('INVALID_TOKEN', { message: SEND_SERVER_KEY });
    if (identity.keyType !== 'server') throw new ApiError('FORBIDDEN', { message: SEND_SERVER_KEY });
    if (identity.projectId !== request.params.projectId?.toLowerCase())
      throw new ApiError('PROJECT_FORBIDDEN');
    return identity.projectId;
  }
}

const SEND_SERVER_KEY = 'Send an active server key of this project as "Authorization: Bearer <key>".';
