import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import type { Environment } from '../auth/api-key';
import { ApiError } from '../common/api-error';
import { definedOnly } from '../common/defined-only';
import type { Page, PageQuery } from '../common/page';
import { readPage } from '../common/read-page';
import { inTransaction } from '../common/transaction';
import { ApiKeysService, type NewApiKey } from './api-keys.service';
import { Project } from './project.entity';

/** What a developer may set. What is left out stays as it is, or takes the schema's default. */
export interface ProjectSettings {
  name?: string;
  bundleId?: string | null;
  platform?: string | null;
  referralCodeLength?: number;
  maxClaimsPerUser?: number | null;
}

export interface NewProject extends ProjectSettings {
  name: string;
  ownerId?: string;
}

export interface CreatedProject {
  project: Project;
  keys: { client: NewApiKey; server: NewApiKey };
}

@Injectable()
export class ProjectsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly apiKeys: ApiKeysService,
    private readonly auditLog: AuditLogService,
  ) {}

  /** Creates a project with a client and a server key, which are shown here and never again. */
  create(by: Actor, project: NewProject, environment: Environment): Promise<CreatedProject> {
    return inTransaction(this.dataSource, (queryRunner) =>
      this.createIn(queryRunner, by, project, environment),
    );
  }

  /** As `create`, in the caller's transaction. */
  async createIn(
    queryRunner: QueryRunner,
    by: Actor,
    values: NewProject,
    environment: Environment,
  ): Promise<CreatedProject> {
    const { manager } = queryRunner;
    const { identifiers } = await manager.insert(Project, values);
    const project = await manager.findOneByOrFail(Project, { id: (identifiers[0] as Project).id });
    const keyOf = (keyType: 'client' | 'server') =>
      this.apiKeys.insert(queryRunner, project.id, { keyType, environment });
    const keys = { client: await keyOf('client'), server: await keyOf('server') };
    const keyIds = { client_key_id: keys.client.shown.id, server_key_id: keys.server.shown.id };
    await this.auditLog.record(
      queryRunner,
      by,
      { projectId: project.id },
      { action: 'project.create', targetId: project.id, after: { ...toProjectJson(project), ...keyIds } },
    );
    return { project, keys };
  }

  /** @throws ApiError NOT_FOUND for one that is unknown or deleted */
  async get(id: string, manager = this.dataSource.manager): Promise<Project> {
    const project = await manager.findOne(Project, { where: { id, deletedAt: IsNull() } });
    if (project === null) throw new ApiError('NOT_FOUND', { message: `There is no project ${id}.` });
    return project;
  }

  /** @throws ApiError NOT_FOUND */
  update(by: Actor, id: string, settings: ProjectSettings): Promise<Project> {
    return this.change(by, id, 'project.update', definedOnly(settings));
  }

  /** Deletes a project softly: its keys stop working at once, its data stays. @throws ApiError NOT_FOUND */
  delete(by: Actor, id: string): Promise<Project> {
    return this.change(by, id, 'project.delete', { deletedAt: () => 'clock_timestamp()' });
  }

  /** Gives a project to a developer. @throws ApiError NOT_FOUND */
  assign(by: Actor, id: string, ownerId: string): Promise<Project> {
    return this.change(by, id, 'project.assign', { ownerId });
  }

  /** The projects, oldest first: a developer's, or all of them. */
  async list(window: PageQuery, ownerId?: string): Promise<Page<Project>> {
    const query = this.dataSource
      .getRepository(Project)
      .createQueryBuilder('p')
      .where({ deletedAt: IsNull(), ...(ownerId !== undefined && { ownerId }) })
      .orderBy({ 'p.createdAt': 'ASC', 'p.id': 'ASC' });
    return readPage(query, window);
  }

  /** Whether no project was ever made here. */
  async isEmpty(): Promise<boolean> {
    return (await this.dataSource.getRepository(Project).count()) === 0;
  }

  private change(by: Actor, id: string, action: string, values: object): Promise<Project> {
    return this.auditLog.write(by, { projectId: id }, action, async ({ manager }) => {
      const before = await manager.findOne(Project, {
        where: { id, deletedAt: IsNull() },
        lock: { mode: 'for_no_key_update' },
      });
      if (before === null) throw new ApiError('NOT_FOUND', { message: `There is no project ${id}.` });
      await manager.update(Project, { id }, { ...values, updatedAt: () => 'clock_timestamp()' });
      const after = await manager.findOneByOrFail(Project, { id });
      return { result: after, targetId: id, before: toProjectJson(before), after: toProjectJson(after) };
    });
  }
}

/** A project as developers see it. */
export function toProjectJson(project: Project) {
  return {
    id: project.id,
    name: project.name,
    bundle_id: project.bundleId,
    platform: project.platform,
    referral_code_length: project.referralCodeLength,
    max_claims_per_user: project.maxClaimsPerUser,
    created_at: project.createdAt,
    updated_at: project.updatedAt,
  };
}
