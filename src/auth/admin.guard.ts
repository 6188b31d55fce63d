import { CanActivate, ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiError } from '../common/api-error';
import { bearerToken } from '../common/request';
import { noteOfRequest } from '../common/request-context';
import { accessOf } from './access';
import type { AuthenticatedRequest } from './authenticated-request';
import { CredentialsService, type AdminIdentity } from './credentials.service';

/**
 * On the admin plane, the Bearer is a developer's access token or personal access token, or a server key, which
 * administers its own project only. Ownership is checked here for every route with a `:projectId`. Contract §1, §5.
 */
@Injectable()
export class AdminGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly credentials: CredentialsService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = accessOf(context, this.reflector);
    if (access !== 'developer' && access !== 'project') return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const bearer = bearerToken(request);
    if (bearer === undefined) throw new ApiError('MISSING_SESSION', { message: SEND_TOKEN });
    const token = this.credentials.adminTokenIn(bearer);
    if (token === undefined) throw new ApiError('INVALID_TOKEN', { message: RENEW_TOKEN });
    // before the database is asked
    if (token.kind === 'developer') await request.quota.take('user', token.claims.developerId);
    else await request.quota.take('key', token.secret);
    const identity = await this.credentials.ofAdmin(token);
    if (identity === undefined) throw new ApiError('INVALID_TOKEN', { message: RENEW_TOKEN });
    if (identity.kind === 'client_key') throw new ApiError('FORBIDDEN', { message: NO_CLIENT_KEY });
    noteOfRequest({ [identity.developer ? 'developer_id' : 'key_id']: identity.id });
    if (access === 'project') request.projectId = await this.ownProject(identity, request.params.projectId);
    else if (identity.developer === undefined) throw new ApiError('FORBIDDEN', { message: NO_SERVER_KEY });
    noteOfRequest({ project_id: request.projectId });
    request.developer = identity.developer;
    const { kind, id, name } = identity;
    request.actor = { kind, id, name, address: request.address, requestId: request.id };
    return true;
  }

  /** @throws ApiError PROJECT_FORBIDDEN for another's project and for none, NOT_FOUND for one's own that is deleted */
  private async ownProject(identity: AdminIdentity, named: string | undefined): Promise<string> {
    const projectId = named?.toLowerCase() ?? '';
    if (identity.projectId === projectId) return projectId;
    const { developer } = identity;
    const found = developer && (await this.credentials.projectOf(developer.id, projectId));
    if (!found) throw new ApiError('PROJECT_FORBIDDEN');
    if (found.isDeleted) throw new ApiError('NOT_FOUND', { message: 'This project is deleted.' });
    return projectId;
  }
}

const SEND_TOKEN =
  'Send a developer access token, a personal access token or a server key as "Authorization: Bearer <token>".';
const RENEW_TOKEN = 'The token is unknown, expired or revoked. Log in again, or send an active key.';
const NO_CLIENT_KEY = 'A client key may not call this route. Send a developer token or a server key.';
const NO_SERVER_KEY = 'A server key may not call this route. Send a developer token.';
