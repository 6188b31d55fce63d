import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../config';
import { signSessionToken, verifySessionToken } from './session-token';

/** The app's user on whose behalf a request is made. */
export interface Caller {
  projectId: string;
  userId: string;
}

@Injectable()
export class SessionsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Opens a session for a user. @returns the session token, a JWT that lasts `SESSION_TTL_DAYS` */
  async open(user: Caller & { anonymous: boolean }): Promise<string> {
    const [row] = await this.dataSource.query<[{ id: string }]>(
      `INSERT INTO sessions (project_id, user_id) VALUES ($1, $2) RETURNING id`,
      [user.projectId, user.userId],
    );
    return signSessionToken(
      { ...user, sessionId: row.id },
      this.config.sessionSecret,
      this.config.sessionTtlS,
    );
  }

  /**
   * The caller behind a session token; undefined when the token is forged, expired, revoked, of another project,
   * or its user is disabled.
   */
  async identify(token: string, projectId: string): Promise<Caller | undefined> {
    const claims = await verifySessionToken(token, this.config.sessionSecret);
    if (claims?.projectId !== projectId) return undefined;
    const [row] = await this.dataSource.query<{ user_id: string }[]>(
      `SELECT s.user_id
         FROM sessions s JOIN app_users u ON u.project_id = s.project_id AND u.id = s.user_id
        WHERE s.project_id = $1 AND s.id = $2 AND s.user_id = $3 AND s.revoked_at IS NULL AND u.disabled_at IS NULL`,
      [projectId, claims.sessionId, claims.userId],
    );
    return row && { projectId, userId: row.user_id };
  }
}
