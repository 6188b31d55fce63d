import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager } from 'typeorm';
import { SessionsService } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { violatedUnique } from '../common/database-error';
import { AppUser } from './app-user.entity';

@Injectable()
export class UsersService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly sessions: SessionsService,
  ) {}

  /** @throws ApiError USER_EXISTS when the project has a user with this external id */
  async create(projectId: string, user: { externalId?: string; displayName?: string }): Promise<AppUser> {
    try {
      const { id } = await this.dataSource.getRepository(AppUser).save({ projectId, ...user });
      return await this.get(projectId, id);
    } catch (error) {
      if (violatedUnique(error)) throw new ApiError('USER_EXISTS', { cause: error });
      throw error;
    }
  }

  /** @throws ApiError NOT_FOUND */
  async get(projectId: string, id: string): Promise<AppUser> {
    const user = await this.dataSource.getRepository(AppUser).findOne({ where: { projectId, id } });
    if (user === null)
      throw new ApiError('NOT_FOUND', { message: `There is no user ${id} in this project.` });
    return user;
  }

  /** Opens a session for a user. @returns the session token. @throws ApiError NOT_FOUND */
  async openSession(projectId: string, userId: string): Promise<string> {
    const { externalId } = await this.get(projectId, userId);
    return this.sessions.open({ projectId, userId, anonymous: externalId === null });
  }

  /** Whether the user exists and is not disabled, as the caller's transaction sees it. */
  async isActive(projectId: string, id: string, manager: EntityManager): Promise<boolean> {
    return manager.exists(AppUser, { where: { projectId, id, disabledAt: IsNull() } });
  }

  /**
   * Makes others who lock the same user wait until the caller's transaction ends. The weaker of the two write locks:
   * rows that refer to the user can still be written.
   */
  async lock(projectId: string, id: string, manager: EntityManager): Promise<void> {
    await manager.findOne(AppUser, { where: { projectId, id }, lock: { mode: 'for_no_key_update' } });
  }
}
