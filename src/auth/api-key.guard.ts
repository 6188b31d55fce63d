import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { IS_PUBLIC } from '../common/public.decorator';
import { header } from '../common/request';
import { ApiKeysService } from './api-keys.service';
import type { AuthenticatedRequest } from './authenticated-request';

/** First guard: the `X-Api-Key` names the project. Contract §1: MISSING_API_KEY, INVALID_API_KEY, FORBIDDEN. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly apiKeys: ApiKeysService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean>(IS_PUBLIC, [context.getHandler(), context.getClass()]))
      return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const key = header(request, 'x-api-key');
    if (!key) throw new ApiError('MISSING_API_KEY');
    const identity = await this.apiKeys.identify(key);
    if (identity === undefined) throw new ApiError('INVALID_API_KEY');
    if (identity.keyType !== 'client') throw new ApiError('FORBIDDEN');
    request.projectId = identity.projectId;
    return true;
  }
}
