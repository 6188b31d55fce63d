import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { ApiError } from '../common/api-error';
import { inTransaction } from '../common/transaction';
import { CONFIG, type Config } from '../config';
import { digestOf } from './api-key';
import { childGiven, childOf, decideRefresh, generateRefreshToken, type RefreshFacts } from './refresh-token';
import { signSessionToken } from './session-token';

/** The app's user on whose behalf a request is made. */
export interface Caller {
  projectId: string;
  userId: string;
}

export interface SessionTokens {
  userId: string;
  sessionId: string;
  sessionToken: string;
  refreshToken: string;
  /** When the session token stops working; the refresh token lasts longer. */
  expiresAt: Date;
}

interface TokenRow extends RefreshFacts {
  id: string;
  sessionId: string;
  userId: string;
  /** Of the token that followed it; null for one that is not used. */
  childDigest: Buffer | null;
  now: Date;
}

/** Sessions: signed tokens that name a row, so that a revocation counts at once, and refresh tokens used once each. */
@Injectable()
export class SessionsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Opens a session for a user. @throws ApiError INVALID_TOKEN when the user is disabled */
  open(user: Caller & { anonymous: boolean }): Promise<SessionTokens> {
    return inTransaction(this.dataSource, (queryRunner) => this.openIn(queryRunner, user));
  }

  /** As `open`, in the caller's transaction. */
  async openIn(queryRunner: QueryRunner, user: Caller & { anonymous: boolean }): Promise<SessionTokens> {
    const { projectId, userId } = user;
    // the lock waits for whoever is disabling the user, and then finds nobody
    const [session] = (await queryRunner.query(
      `INSERT INTO sessions (project_id, user_id)
       SELECT project_id, id FROM app_users WHERE project_id = $1 AND id = $2 AND disabled_at IS NULL FOR KEY SHARE
       RETURNING id`,
      [projectId, userId],
    )) as { id: string }[];
    if (session === undefined) throw new ApiError('INVALID_TOKEN', { message: 'This user is disabled.' });
    const refreshToken = generateRefreshToken();
    await this.insertToken(queryRunner, { projectId, sessionId: session.id, parentId: null }, refreshToken);
    return this.sign(user, session.id, refreshToken);
  }

  /** Ends the sessions of a user who was just disabled, in the caller's transaction. */
  async suspend(queryRunner: QueryRunner, { projectId, userId }: Caller): Promise<void> {
    await queryRunner.query(
      `UPDATE sessions s SET revoked_at = u.disabled_at FROM app_users u
        WHERE s.project_id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND u.project_id = $1 AND u.id = $2`,
      [projectId, userId],
    );
  }

  /** Brings back what `suspend` ended, before the user is enabled: an anonymous user has no other way in. */
  async resume(queryRunner: QueryRunner, { projectId, userId }: Caller): Promise<void> {
    await queryRunner.query(
      `UPDATE sessions s SET revoked_at = NULL FROM app_users u
        WHERE s.project_id = $1 AND s.user_id = $2 AND s.revoked_at = u.disabled_at AND u.project_id = $1 AND u.id = $2`,
      [projectId, userId],
    );
  }

  /**
   * Exchanges a refresh token for new tokens. It works once; for ten seconds more it gives the same child again, and
   * after that its reuse revokes the whole session.
   *
   * @param isAnonymous tells what the new session token says of the user
   * @throws ApiError INVALID_TOKEN
   */
  async refresh(
    projectId: string,
    refreshToken: string,
    isAnonymous: (userId: string) => Promise<boolean>,
  ): Promise<SessionTokens> {
    // the revocation must be committed although the caller is refused: the error comes after the transaction
    const next = await inTransaction(this.dataSource, async (queryRunner) => {
      const row = await this.lockToken(queryRunner, projectId, refreshToken);
      const child = row && (await this.exchange(queryRunner, { ...row, projectId, refreshToken }));
      return child && { ...row, child };
    });
    if (!next) throw new ApiError('INVALID_TOKEN');
    const { userId, sessionId, child } = next;
    return this.sign({ projectId, userId, anonymous: await isAnonymous(userId) }, sessionId, child);
  }

  /** The token that follows a locked one; undefined when its bearer gets none. */
  private async exchange(
    queryRunner: QueryRunner,
    { projectId, refreshToken, ...row }: TokenRow & { projectId: string; refreshToken: string },
  ): Promise<string | undefined> {
    const { id, sessionId } = row;
    const { sessionSecrets } = this.config;
    const decision = decideRefresh(row, row.now);
    if (decision === 'revoke') await this.revokeIn(queryRunner, projectId, sessionId);
    if (decision === 'repeat') return childGiven(refreshToken, row.childDigest, sessionSecrets);
    if (decision !== 'rotate') return undefined;
    const child = childOf(refreshToken, sessionSecrets[0]);
    await queryRunner.query(
      `UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE project_id = $1 AND id = $2`,
      [projectId, id],
    );
    await this.insertToken(queryRunner, { projectId, sessionId, parentId: id }, child);
    return child;
  }

  /** Ends the session of a refresh token. Unknown, used and revoked tokens are no error: the session is over. */
  async revoke(projectId: string, refreshToken: string): Promise<void> {
    await inTransaction(this.dataSource, async (queryRunner) => {
      const found = await this.lockToken(queryRunner, projectId, refreshToken);
      if (found) await this.revokeIn(queryRunner, projectId, found.sessionId);
    });
  }

  /** Everything about a session is decided under the lock on its row; the token is read after it. */
  private async lockToken(
    queryRunner: QueryRunner,
    projectId: string,
    refreshToken: string,
  ): Promise<TokenRow | undefined> {
    const digest = digestOf(refreshToken);
    await queryRunner.query(
      `SELECT FROM sessions WHERE project_id = $1 AND id =
         (SELECT session_id FROM refresh_tokens WHERE project_id = $1 AND digest = $2) FOR UPDATE`,
      [projectId, digest],
    );
    const rows = (await queryRunner.query(
      `SELECT t.id, t.session_id AS "sessionId", s.user_id AS "userId", t.expires_at AS "expiresAt", t.used_at AS "usedAt",
              s.revoked_at IS NOT NULL AS "isSessionRevoked", u.disabled_at IS NOT NULL AS "isUserDisabled",
              c.digest AS "childDigest", clock_timestamp() AS now
         FROM refresh_tokens t
         JOIN sessions s ON s.project_id = t.project_id AND s.id = t.session_id
         JOIN app_users u ON u.project_id = s.project_id AND u.id = s.user_id
         LEFT JOIN refresh_tokens c ON c.project_id = t.project_id AND c.parent_id = t.id
        WHERE t.project_id = $1 AND t.digest = $2`,
      [projectId, digest],
    )) as TokenRow[];
    return rows[0];
  }

  private async insertToken(
    queryRunner: QueryRunner,
    family: { projectId: string; sessionId: string; parentId: string | null },
    refreshToken: string,
  ): Promise<void> {
    await queryRunner.query(
      `INSERT INTO refresh_tokens (project_id, session_id, parent_id, digest, expires_at)
       VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))`,
      [family.projectId, family.sessionId, family.parentId, digestOf(refreshToken), this.config.refreshTtlS],
    );
  }

  private async revokeIn(queryRunner: QueryRunner, projectId: string, sessionId: string): Promise<void> {
    await queryRunner.query(
      // one that only the disabling of its user ended must not come back with the user
      `UPDATE sessions s SET revoked_at = clock_timestamp() FROM app_users u
        WHERE s.project_id = $1 AND s.id = $2 AND u.project_id = $1 AND u.id = s.user_id
          AND (s.revoked_at IS NULL OR s.revoked_at = u.disabled_at)`,
      [projectId, sessionId],
    );
  }

  private sign(
    user: Caller & { anonymous: boolean },
    sessionId: string,
    refreshToken: string,
  ): SessionTokens {
    const { token, expiresAt } = signSessionToken(
      { ...user, sessionId },
      this.config.sessionSecrets[0],
      this.config.sessionTtlS,
    );
    return { userId: user.userId, sessionId, sessionToken: token, refreshToken, expiresAt };
  }
}
