import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { digestOf, generateApiKey, shownPrefix, type Environment, type KeyType } from '../auth/api-key';
import { ApiError } from '../common/api-error';
import { Page, type PageQuery } from '../common/page';

/** A key as it can be shown: never itself. */
export interface ApiKeyRow {
  id: string;
  key_type: KeyType;
  environment: Environment;
  prefix: string;
  is_active: boolean;
  last_used_at: Date | null;
  created_at: Date;
}

/** A key that was just made, which is stored as a digest and cannot be shown again. */
export interface NewApiKey {
  key: string;
  shown: ApiKeyRow;
}

interface KeyOptions {
  keyType: KeyType;
  environment: Environment;
}

const COLUMNS = 'id, key_type, environment, prefix, is_active, last_used_at, created_at';

@Injectable()
export class ApiKeysService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly auditLog: AuditLogService,
  ) {}

  create(by: Actor, projectId: string, options: KeyOptions): Promise<NewApiKey> {
    return this.auditLog.write(by, { projectId }, 'api_key.create', async (queryRunner) => {
      const made = await this.insert(queryRunner, projectId, options);
      return { result: made, targetId: made.shown.id, after: made.shown };
    });
  }

  /** As `create`, in the caller's transaction, which accounts for it. */
  async insert(
    queryRunner: QueryRunner,
    projectId: string,
    { keyType, environment }: KeyOptions,
  ): Promise<NewApiKey> {
    const key = generateApiKey(keyType, environment);
    const [shown] = (await queryRunner.query(
      `INSERT INTO api_keys (project_id, key_type, environment, prefix, digest) VALUES ($1, $2, $3, $4, $5)
       RETURNING ${COLUMNS}`,
      [projectId, keyType, environment, shownPrefix(key), digestOf(key)],
    )) as [ApiKeyRow];
    return { key, shown };
  }

  /** The keys of a project, newest first, deactivated ones too. */
  async list(projectId: string, window: PageQuery): Promise<Page<ApiKeyRow>> {
    const rows = await this.dataSource.query<ApiKeyRow[]>(
      `SELECT ${COLUMNS} FROM api_keys WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3`,
      [projectId, window.limit, window.offset],
    );
    const [{ total }] = await this.dataSource.query<[{ total: number }]>(
      `SELECT count(*) AS total FROM api_keys WHERE project_id = $1`,
      [projectId],
    );
    return new Page(rows, total, window);
  }

  /** Stops a key for good, at once, on every instance; once more is no error. @throws ApiError NOT_FOUND */
  deactivate(by: Actor, projectId: string, id: string): Promise<ApiKeyRow> {
    return this.auditLog.write(by, { projectId }, 'api_key.deactivate', async (queryRunner) => {
      const { before, after } = await deactivate(queryRunner, projectId, id);
      return { result: after, targetId: id, before, after };
    });
  }

  /** Stops an active key and makes one like it, together. @throws ApiError NOT_FOUND */
  rotate(by: Actor, projectId: string, id: string): Promise<NewApiKey> {
    return this.auditLog.write(by, { projectId }, 'api_key.rotate', async (queryRunner) => {
      const { before } = await deactivate(queryRunner, projectId, id);
      // twice would make two
      if (!before.is_active) throw new ApiError('NOT_FOUND', { message: `The key ${id} is deactivated.` });
      const options = { keyType: before.key_type, environment: before.environment };
      const made = await this.insert(queryRunner, projectId, options);
      return { result: made, targetId: made.shown.id, before, after: made.shown };
    });
  }
}

async function deactivate(queryRunner: QueryRunner, projectId: string, id: string) {
  const [before] = (await queryRunner.query(
    `SELECT ${COLUMNS} FROM api_keys WHERE project_id = $1 AND id = $2 FOR UPDATE`,
    [projectId, id],
  )) as ApiKeyRow[];
  if (before === undefined)
    throw new ApiError('NOT_FOUND', { message: `There is no key ${id} in this project.` });
  await queryRunner.query(`UPDATE api_keys SET is_active = false WHERE project_id = $1 AND id = $2`, [
    projectId,
    id,
  ]);
  return { before, after: { ...before, is_active: false } };
}
