import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager } from 'typeorm';
import { ApiKeysService } from '../auth/api-keys.service';
import type { Environment } from '../auth/api-key';
import { ApiError } from '../common/api-error';
import { Project } from './project.entity';

export interface NewProject {
  name: string;
  referralCodeLength?: number;
  maxClaimsPerUser?: number;
}

@Injectable()
export class ProjectsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly apiKeys: ApiKeysService,
  ) {}

  /** Creates a project with a client and a server key, which are shown here and never again. */
  async create(project: NewProject, environment: Environment) {
    const { id } = await this.dataSource.getRepository(Project).save({ ...project });
    return {
      id,
      name: project.name,
      client_key: await this.apiKeys.create(id, 'client', environment),
      server_key: await this.apiKeys.create(id, 'server', environment),
    };
  }

  /** @throws ApiError NOT_FOUND for one that is unknown or deleted */
  async get(id: string): Promise<Project> {
    const project = await this.dataSource.manager.findOne(Project, { where: { id, deletedAt: IsNull() } });
    if (project === null) throw new ApiError('NOT_FOUND', { message: `There is no project ${id}.` });
    return project;
  }

  /** How many codes one user may claim, as the caller's transaction sees it; null for no limit. */
  async maxClaimsPerUser(id: string, manager: EntityManager): Promise<number | null> {
    return (await manager.findOneByOrFail(Project, { id })).maxClaimsPerUser;
  }

  /** The projects, oldest first. */
  list(): Promise<Project[]> {
    return this.dataSource
      .getRepository(Project)
      .find({ where: { deletedAt: IsNull() }, order: { createdAt: 'ASC', id: 'ASC' } });
  }

  /** Whether no project was ever made here. */
  async isEmpty(): Promise<boolean> {
    return (await this.dataSource.getRepository(Project).count()) === 0;
  }
}
