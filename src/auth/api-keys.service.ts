import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import {
  digestOf,
  generateApiKey,
  isWellFormedApiKey,
  shownPrefix,
  type Environment,
  type KeyType,
} from './api-key';

export interface ApiKeyIdentity {
  projectId: string;
  keyType: KeyType;
}

@Injectable()
export class ApiKeysService {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @returns the key itself: it is stored as a digest and cannot be shown again */
  async create(projectId: string, keyType: KeyType, environment: Environment): Promise<string> {
    const key = generateApiKey(keyType, environment);
    await this.dataSource.query(
      `INSERT INTO api_keys (project_id, key_type, environment, prefix, digest) VALUES ($1, $2, $3, $4, $5)`,
      [projectId, keyType, environment, shownPrefix(key), digestOf(key)],
    );
    return key;
  }

  /** Whose key this is; undefined for one that is unknown, deactivated or of a deleted project. */
  async identify(key: string): Promise<ApiKeyIdentity | undefined> {
    if (!isWellFormedApiKey(key)) return undefined;
    const [row] = await this.dataSource.query<{ project_id: string; key_type: KeyType }[]>(
      `SELECT k.project_id, k.key_type
         FROM api_keys k JOIN projects p ON p.id = k.project_id
        WHERE k.digest = $1 AND k.is_active AND p.deleted_at IS NULL`,
      [digestOf(key)],
    );
    return row && { projectId: row.project_id, keyType: row.key_type };
  }
}
