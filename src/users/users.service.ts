import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager } from 'typeorm';
import { ApiError } from '../common/api-error';
import { violatedUnique } from '../common/database-error';
import { AppUser } from './app-user.entity';
import { generateDisplayName } from './display-name';

/** What an app may say about its user. */
export interface Profile {
  displayName?: string;
  avatarUrl?: string | null;
  properties?: object;
  timezone?: string | null;
}

/** How a user is known. At least one is given. */
export interface NewUser extends Profile {
  externalId?: string;
  anonymousId?: string;
  email?: string;
  passwordHash?: string;
}

export interface UserIdentity {
  provider: string;
  provider_id: string;
}

@Injectable()
export class UsersService {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @throws ApiError USER_EXISTS when the project has a user with this external id or e-mail */
  async create(projectId: string, user: NewUser, manager = this.dataSource.manager): Promise<AppUser> {
    try {
      const { identifiers } = await manager.insert(AppUser, {
        ...user,
        projectId,
        displayName: user.displayName ?? generateDisplayName(),
      });
      return await manager.findOneByOrFail(AppUser, { projectId, id: (identifiers[0] as AppUser).id });
    } catch (error) {
      throw violatedUnique(error) ? new ApiError('USER_EXISTS', { cause: error }) : error;
    }
  }

  /** @throws ApiError NOT_FOUND */
  async get(projectId: string, id: string): Promise<AppUser> {
    const user = await this.dataSource.manager.findOne(AppUser, { where: { projectId, id } });
    if (user === null)
      throw new ApiError('NOT_FOUND', { message: `There is no user ${id} in this project.` });
    return user;
  }

  /** The user with this external id, made when there is none; a profile that is given replaces what was there. */
  async findOrCreate(
    projectId: string,
    externalId: string,
    profile: Profile,
  ): Promise<{ user: AppUser; created: boolean }> {
    const existing = await this.findByExternalId(projectId, externalId);
    if (existing) return { user: await this.updateActive(existing, profile), created: false };
    try {
      return { user: await this.create(projectId, { ...profile, externalId }), created: true };
    } catch (error) {
      // somebody else's request for the same user may have won
      const winner = error instanceof ApiError && (await this.findByExternalId(projectId, externalId));
      if (!winner) throw error;
      return { user: await this.updateActive(winner, profile), created: false };
    }
  }

  /** Changes what is given and leaves the rest; `properties` are replaced as a whole. @throws ApiError NOT_FOUND */
  async update(projectId: string, id: string, profile: Profile): Promise<AppUser> {
    const given = Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== undefined));
    if (Object.keys(given).length > 0) {
      await this.dataSource.manager.update(
        AppUser,
        { projectId, id },
        { ...given, updatedAt: () => 'clock_timestamp()' },
      );
    }
    return this.get(projectId, id);
  }

  /** Notes that the user was here. */
  async seen(projectId: string, id: string): Promise<void> {
    await this.dataSource.manager.update(
      AppUser,
      { projectId, id },
      { lastSeenAt: () => 'clock_timestamp()' },
    );
  }

  /** The provider accounts that a user signs in with. */
  identities(projectId: string, userId: string): Promise<UserIdentity[]> {
    return this.dataSource.query(
      `SELECT provider, provider_id FROM user_identities WHERE project_id = $1 AND user_id = $2 ORDER BY created_at, provider`,
      [projectId, userId],
    );
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

  /** A disabled user will be refused: nothing of theirs changes. */
  private async updateActive(user: AppUser, profile: Profile): Promise<AppUser> {
    return user.disabledAt === null ? this.update(user.projectId, user.id, profile) : user;
  }

  private findByExternalId(projectId: string, externalId: string): Promise<AppUser | null> {
    return this.dataSource.manager.findOne(AppUser, { where: { projectId, externalId } });
  }
}

/** Somebody who has no way back in but the session they hold. */
export function isAnonymous(user: AppUser, identities: UserIdentity[]): boolean {
  return user.email === null && user.externalId === null && identities.length === 0;
}
