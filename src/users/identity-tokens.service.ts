import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { createRemoteJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import type { DataSource, QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { ApiError } from '../common/api-error';
import { CONFIG, type Config } from '../config';

export const PROVIDERS = ['apple', 'google'] as const;
export type Provider = (typeof PROVIDERS)[number];

/** A user's account at a provider. */
export interface ProviderAccount {
  provider: Provider;
  /** The provider's `sub`. */
  providerId: string;
}

const ISSUERS: Record<Provider, string[]> = {
  apple: ['https://appleid.apple.com'],
  google: ['https://accounts.google.com', 'accounts.google.com'],
};
const JWKS_TIMEOUT_MS = 3_000;
/** No answer in time, an answer that is no key set, and (`GENERIC`) another status than 200. */
const KEY_SERVER_FAULTS = ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'];

/** Identity tokens of Apple and Google: checked against the provider's keys and the project's audiences. */
@Injectable()
export class IdentityTokensService {
  private readonly keys: Record<Provider, JWTVerifyGetKey>;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly auditLog: AuditLogService,
    @Inject(CONFIG) { jwksUrls }: Config,
  ) {
    const options = { timeoutDuration: JWKS_TIMEOUT_MS };
    this.keys = {
      apple: createRemoteJWKSet(new URL(jwksUrls.apple), options),
      google: createRemoteJWKSet(new URL(jwksUrls.google), options),
    };
  }

  /** Accepts a provider's tokens in a project when they are issued for one of these audiences (client ids). */
  async configure(by: Actor, projectId: string, provider: Provider, audiences: string[]): Promise<void> {
    await this.auditLog.write(by, { projectId }, 'identity_provider.set', async (queryRunner) => {
      const before = await lockAudiences(queryRunner, projectId, provider);
      await queryRunner.query(
        `INSERT INTO identity_providers (project_id, provider, audiences) VALUES ($1, $2, $3)
         ON CONFLICT (project_id, provider) DO UPDATE SET audiences = EXCLUDED.audiences`,
        [projectId, provider, audiences],
      );
      return { result: undefined, targetId: provider, before, after: { audiences } };
    });
  }

  /** Accepts a provider's tokens no more. Users who signed in with them stay. @throws ApiError NOT_FOUND */
  async remove(by: Actor, projectId: string, provider: Provider): Promise<void> {
    await this.auditLog.write(by, { projectId }, 'identity_provider.delete', async (queryRunner) => {
      const before = await lockAudiences(queryRunner, projectId, provider);
      if (before === undefined)
        throw new ApiError('NOT_FOUND', { message: `${provider} is not configured.` });
      await queryRunner.query(`DELETE FROM identity_providers WHERE project_id = $1 AND provider = $2`, [
        projectId,
        provider,
      ]);
      return { result: undefined, targetId: provider, before };
    });
  }

  /** The providers whose tokens a project accepts. */
  list(projectId: string): Promise<{ provider: Provider; audiences: string[] }[]> {
    return this.dataSource.query(
      `SELECT provider, audiences FROM identity_providers WHERE project_id = $1 ORDER BY provider`,
      [projectId],
    );
  }

  /**
   * The provider's id for the user.
   *
   * @throws ApiError UNSUPPORTED_PROVIDER when the project has no audience for it, INVALID_TOKEN, and
   *   SERVICE_UNAVAILABLE when the provider's keys cannot be fetched
   */
  async verify(projectId: string, provider: string, token: string): Promise<ProviderAccount> {
    const known = PROVIDERS.find((name) => name === provider);
    const audiences = known && (await this.audiences(projectId, known));
    if (known === undefined || audiences === undefined) throw new ApiError('UNSUPPORTED_PROVIDER');
    try {
      const { payload } = await jwtVerify(token, this.keys[known], {
        issuer: ISSUERS[known],
        audience: audiences,
        algorithms: ['RS256', 'ES256'],
        requiredClaims: ['sub', 'exp', 'iat'],
      });
      if (!isProviderId(payload.sub))
        throw new errors.JWTClaimValidationFailed('unusable "sub"', payload, 'sub');
      return { provider: known, providerId: payload.sub };
    } catch (error) {
      // what is wrong with the key server is no fault of the token, and worth a retry
      const isTokensFault = error instanceof errors.JOSEError && !KEY_SERVER_FAULTS.includes(error.code);
      if (isTokensFault) throw new ApiError('INVALID_TOKEN', { cause: error });
      throw new ApiError('SERVICE_UNAVAILABLE', { cause: error, retryAfterS: 1 });
    }
  }

  private async audiences(projectId: string, provider: Provider): Promise<string[] | undefined> {
    const [row] = await this.dataSource.query<{ audiences: string[] }[]>(
      `SELECT audiences FROM identity_providers WHERE project_id = $1 AND provider = $2`,
      [projectId, provider],
    );
    return row?.audiences;
  }
}

async function lockAudiences(
  queryRunner: QueryRunner,
  projectId: string,
  provider: Provider,
): Promise<{ audiences: string[] } | undefined> {
  const [row] = (await queryRunner.query(
    `SELECT audiences FROM identity_providers WHERE project_id = $1 AND provider = $2 FOR UPDATE`,
    [projectId, provider],
  )) as { audiences: string[] }[];
  return row;
}

function isProviderId(sub: unknown): sub is string {
  return (
    typeof sub === 'string' &&
    sub.length >= 1 &&
    sub.length <= 255 &&
    sub.isWellFormed() &&
    !sub.includes('\u0000')
  );
}
