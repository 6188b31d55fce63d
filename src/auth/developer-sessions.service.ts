import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { ApiError } from '../common/api-error';
import { inTransaction } from '../common/transaction';
import { CONFIG, type Config } from '../config';
import type { Developer } from './actor';
import {
  signDeveloperTokens,
  verifyDeveloperRefreshToken,
  type DeveloperClaims,
  type DeveloperRefreshClaims,
} from './developer-token';
import { decideRefresh } from './refresh-token';

export interface DeveloperTokens {
  developerId: string;
  accessToken: string;
  refreshToken: string;
  /** When the access token stops working; the refresh token lasts longer. */
  expiresAt: Date;
}

interface SessionRow {
  generation: number;
  rotatedAt: Date | null;
  isRevoked: boolean;
  now: Date;
}

/** Sessions of developers: signed tokens that name a row, so that a logout counts at once on every instance. */
@Injectable()
export class DeveloperSessionsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Opens a session for a developer whose password was found right, within the caller's transaction if there is one.
   *
   * @param passwordHash of the password that was checked; a reset meanwhile is waited for, and then refuses
   * @throws ApiError INVALID_CREDENTIALS
   */
  async open(
    developerId: string,
    passwordHash: string,
    executor: DataSource | QueryRunner = this.dataSource,
  ): Promise<DeveloperTokens> {
    const [session] = (await executor.query(
      `INSERT INTO developer_sessions (developer_id)
       SELECT id FROM developers WHERE id = $1 AND password_hash = $2 FOR SHARE RETURNING id`,
      [developerId, passwordHash],
    )) as { id: string }[];
    if (session === undefined) throw new ApiError('INVALID_CREDENTIALS');
    return this.sign({ developerId, sessionId: session.id, generation: 0 });
  }

  /** The developer behind an access token that we signed; undefined when it is revoked. */
  async identify(claims: DeveloperClaims): Promise<Developer | undefined> {
    const [row] = await this.dataSource.query<Developer[]>(
      `SELECT d.id, d.email FROM developer_sessions s JOIN developers d ON d.id = s.developer_id
        WHERE s.id = $1 AND d.id = $2 AND s.revoked_at IS NULL`,
      [claims.sessionId, claims.developerId],
    );
    return row;
  }

  /**
   * Exchanges a refresh token for new tokens. It works once; for ten seconds more it gives the same next one again,
   * and after that its reuse revokes the session.
   *
   * @throws ApiError INVALID_TOKEN
   */
  async refresh(refreshToken: string): Promise<DeveloperTokens> {
    const claims = verifyDeveloperRefreshToken(refreshToken, this.config.sessionSecrets);
    // the revocation must be committed although the caller is refused: the error comes after the transaction
    const isAccepted =
      claims && (await inTransaction(this.dataSource, (queryRunner) => rotate(queryRunner, claims)));
    if (!isAccepted) {
      throw new ApiError('INVALID_TOKEN', {
        message: 'The refresh token is unknown, expired or used. Log in again.',
      });
    }
    return this.sign({ ...claims, generation: claims.generation + 1 });
  }

  /** Ends the session of a refresh token. Unknown, used and expired tokens are no error. */
  async revoke(refreshToken: string): Promise<void> {
    const claims = verifyDeveloperRefreshToken(refreshToken, this.config.sessionSecrets);
    if (claims) await revokeSession(this.dataSource, claims.sessionId);
  }

  private sign(claims: DeveloperRefreshClaims): DeveloperTokens {
    const tokens = signDeveloperTokens(claims, this.config.sessionSecrets[0]);
    return { developerId: claims.developerId, ...tokens };
  }
}

const LONG_AGO = new Date(0);

/** Whether the bearer of a refresh token gets the next one. */
async function rotate(queryRunner: QueryRunner, claims: DeveloperRefreshClaims): Promise<boolean> {
  const row = await lockSession(queryRunner, claims);
  const decision = row ? decide(row, claims.generation) : 'refuse';
  if (decision === 'revoke') await revokeSession(queryRunner, claims.sessionId);
  if (decision === 'rotate') {
    await queryRunner.query(
      `UPDATE developer_sessions SET generation = generation + 1, rotated_at = clock_timestamp() WHERE id = $1`,
      [claims.sessionId],
    );
  }
  return decision === 'rotate' || decision === 'repeat';
}

/** The same rule as for the users of apps, where a token's row says when it was used. */
function decide({ generation, rotatedAt, isRevoked, now }: SessionRow, presented: number) {
  const usedAt = presented === generation - 1 ? rotatedAt : LONG_AGO;
  return decideRefresh(
    {
      isSessionRevoked: isRevoked,
      isUserDisabled: false,
      // its signature said that it has not expired
      expiresAt: new Date(now.getTime() + 1),
      usedAt: presented === generation ? null : usedAt,
    },
    now,
  );
}

async function lockSession(
  queryRunner: QueryRunner,
  { sessionId, developerId }: DeveloperRefreshClaims,
): Promise<SessionRow | undefined> {
  const [row] = (await queryRunner.query(
    `SELECT generation, rotated_at AS "rotatedAt", revoked_at IS NOT NULL AS "isRevoked", clock_timestamp() AS now
       FROM developer_sessions WHERE id = $1 AND developer_id = $2 FOR UPDATE`,
    [sessionId, developerId],
  )) as SessionRow[];
  return row;
}

async function revokeSession(executor: DataSource | QueryRunner, id: string): Promise<void> {
  await executor.query(
    `UPDATE developer_sessions SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL`,
    [id],
  );
}
