import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { isUUID } from 'class-validator';
import type { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../config';
import { sharedRead } from '../database/shared-read';
import type { Actor, Developer } from './actor';
import { digestOf, isWellFormedApiKey, type KeyType } from './api-key';
import { DeveloperSessionsService } from './developer-sessions.service';
import { verifyDeveloperToken, type DeveloperClaims } from './developer-token';
import { isPersonalAccessToken } from './personal-access-token';
import { verifySessionToken, type SessionClaims } from './session-token';
import type { Caller } from './sessions.service';

export interface ApiKeyIdentity {
  projectId: string;
  keyId: string;
  keyType: KeyType;
  /** What a list shows of the key. */
  prefix: string;
}

/** Who stands behind a request of the client plane. */
export interface ClientIdentity {
  key: ApiKeyIdentity;
  /** Undefined for no session token, and for one that is forged, expired, revoked, of another project or of a disabled user. */
  caller: Caller | undefined;
}

/** Who stands behind a Bearer of the admin plane. */
export interface AdminIdentity {
  kind: Exclude<Actor['kind'], 'command_line'>;
  id: string;
  name: string;
  /** Of a developer's token. */
  developer?: Developer;
  /** Of a server key: the one project that it administers. */
  projectId?: string;
}

/** What a Bearer of the admin plane is, before anybody has looked whether it is known. */
export type AdminToken =
  | { kind: 'api_key' | 'personal_access_token'; secret: string }
  | { kind: 'developer'; claims: DeveloperClaims };

interface KeyUse {
  isUseNoted: boolean;
}

/** Whose credential it is. Keys and tokens are known by their digest only. */
@Injectable()
export class CredentialsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly developerSessions: DeveloperSessionsService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** What a session token says that we signed, revoked or not; undefined for none and for any other. */
  sessionIn(token: string | undefined): SessionClaims | undefined {
    return token === undefined ? undefined : verifySessionToken(token, this.config.sessionSecrets);
  }

  /** Whose API key this is and whose session, in one look; undefined for a key as in `ofApiKey`. */
  async ofClient(key: string, session?: SessionClaims): Promise<ClientIdentity | undefined> {
    const { projectId, sessionId, userId } = session ?? {};
    const [row] = await sharedRead<ApiKeyIdentity & KeyUse & { userId: string | null }>(
      this.dataSource,
      `SELECT k.project_id AS "projectId", k.id AS "keyId", k.key_type AS "keyType", k.prefix,
              ${isUseNoted('k')} AS "isUseNoted", u.id AS "userId"
         FROM api_keys k
         JOIN projects p ON p.id = k.project_id
         LEFT JOIN sessions s ON s.project_id = k.project_id AND s.project_id = $2 AND s.id = $3 AND s.user_id = $4
                             AND s.revoked_at IS NULL
         LEFT JOIN app_users u ON u.project_id = s.project_id AND u.id = s.user_id AND u.disabled_at IS NULL
        WHERE k.digest = $1 AND k.is_active AND p.deleted_at IS NULL`,
      [digestOf(key), projectId, sessionId, userId],
    );
    if (row === undefined) return undefined;
    if (!row.isUseNoted) await this.noteUse('api_keys', key);
    return {
      key: row,
      caller: row.userId === null ? undefined : { projectId: row.projectId, userId: row.userId },
    };
  }

  /** Whose API key this is; undefined for one that is unknown, deactivated or of a deleted project. */
  async ofApiKey(key: string): Promise<ApiKeyIdentity | undefined> {
    const [row] = await sharedRead<ApiKeyIdentity & KeyUse>(
      this.dataSource,
      `SELECT k.project_id AS "projectId", k.id AS "keyId", k.key_type AS "keyType", k.prefix,
              ${isUseNoted('k')} AS "isUseNoted"
         FROM api_keys k JOIN projects p ON p.id = k.project_id
        WHERE k.digest = $1 AND k.is_active AND p.deleted_at IS NULL`,
      [digestOf(key)],
    );
    if (row && !row.isUseNoted) await this.noteUse('api_keys', key);
    return row;
  }

  /** What kind of token of the admin plane it is, as far as it tells itself; undefined for none of ours. */
  adminTokenIn(token: string): AdminToken | undefined {
    if (isWellFormedApiKey(token)) return { kind: 'api_key', secret: token };
    if (isPersonalAccessToken(token)) return { kind: 'personal_access_token', secret: token };
    const claims = verifyDeveloperToken(token, this.config.sessionSecrets);
    return claims && { kind: 'developer', claims };
  }

  /** Who administers with this token; `client_key` for a key of the wrong kind, undefined for an unknown one. */
  async ofAdmin(token: AdminToken): Promise<AdminIdentity | { kind: 'client_key' } | undefined> {
    if (token.kind === 'api_key') {
      const key = await this.ofApiKey(token.secret);
      if (key?.keyType === 'client') return { kind: 'client_key' };
      return key && { kind: 'server_key', id: key.keyId, name: key.prefix, projectId: key.projectId };
    }
    const developer =
      token.kind === 'developer'
        ? await this.developerSessions.identify(token.claims)
        : await this.ofPersonalAccessToken(token.secret);
    return developer && { kind: token.kind, id: developer.id, name: developer.email, developer };
  }

  /** A developer's own project, deleted or not; undefined for another's, and for none. */
  async projectOf(developerId: string, projectId: string): Promise<{ isDeleted: boolean } | undefined> {
    if (!isUUID(projectId)) return undefined;
    const [row] = await this.dataSource.query<{ isDeleted: boolean }[]>(
      `SELECT deleted_at IS NOT NULL AS "isDeleted" FROM projects WHERE id = $1 AND owner_id = $2`,
      [projectId, developerId],
    );
    return row;
  }

  private async ofPersonalAccessToken(token: string): Promise<Developer | undefined> {
    const [row] = await this.dataSource.query<(Developer & KeyUse)[]>(
      `SELECT d.id, d.email, ${isUseNoted('t')} AS "isUseNoted"
         FROM personal_access_tokens t JOIN developers d ON d.id = t.developer_id
        WHERE t.digest = $1 AND t.revoked_at IS NULL`,
      [digestOf(token)],
    );
    if (row && !row.isUseNoted) await this.noteUse('personal_access_tokens', token);
    return row && { id: row.id, email: row.email };
  }

  /** Of many requests at once one writes, and nobody waits for it. */
  private async noteUse(table: 'api_keys' | 'personal_access_tokens', secret: string): Promise<void> {
    await this.dataSource.query(
      `UPDATE ${table} SET last_used_at = clock_timestamp()
        WHERE ctid = (SELECT ctid FROM ${table} WHERE digest = $1 FOR UPDATE SKIP LOCKED)`,
      [digestOf(secret)],
    );
  }
}

/** The last use is kept to the minute, so that a busy key does not cost a write a request. */
function isUseNoted(table: string): string {
  return `coalesce(${table}.last_used_at > now() - interval '1 minute', false)`;
}
