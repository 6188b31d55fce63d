import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { ApiError } from '../common/api-error';
import { isOfErasedUser, violatedUnique } from '../common/database-error';
import { definedOnly } from '../common/defined-only';
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
  async get(projectId: string, id: string, manager = this.dataSource.manager): Promise<AppUser> {
    const user = await manager.findOne(AppUser, { where: { projectId, id } });
    if (user === null)
      throw new ApiError('NOT_FOUND', { message: `There is no user ${id} in this project.` });
    return user;
  }

  /**
   * The user with this external id, made when there is none, in the caller's transaction; a profile that is given
   * replaces what was there.
   */
  async findOrCreate(
    manager: EntityManager,
    projectId: string,
    externalId: string,
    profile: Profile,
  ): Promise<{ user: AppUser; created: boolean }> {
    // somebody else's request for the same user is waited for, and has then made it
    const made = await manager.query<object[]>(
      `INSERT INTO app_users (project_id, external_id, display_name) VALUES ($1, $2, $3)
       ON CONFLICT (project_id, external_id) DO NOTHING RETURNING id`,
      [projectId, externalId, profile.displayName ?? generateDisplayName()],
    );
    const created = made.length === 1;
    const user = await manager.findOneByOrFail(AppUser, { projectId, externalId });
    // a disabled user will be refused: nothing of theirs changes
    if (user.disabledAt !== null) return { user, created };
    return { user: await this.update(projectId, user.id, profile, manager), created };
  }

  /** Changes what is given and leaves the rest; `properties` are replaced as a whole. @throws ApiError NOT_FOUND, INVALID_TOKEN when the user is erased */
  async update(
    projectId: string,
    id: string,
    profile: Profile,
    manager = this.dataSource.manager,
  ): Promise<AppUser> {
    const given = definedOnly(profile);
    if (Object.keys(given).length > 0) {
      const values = { ...given, updatedAt: () => 'clock_timestamp()' };
      await manager.update(AppUser, { projectId, id }, values).catch((error: unknown) => {
        throw isOfErasedUser(error) ? new ApiError('INVALID_TOKEN', { cause: error }) : error;
      });
    }
    return this.get(projectId, id, manager);
  }

  /** Notes that the user was here. */
  async seen(projectId: string, id: string, manager = this.dataSource.manager): Promise<void> {
    await manager.update(AppUser, { projectId, id }, { lastSeenAt: () => 'clock_timestamp()' });
  }

  /** The provider accounts that a user signs in with. */
  identities(projectId: string, userId: string, manager = this.dataSource.manager): Promise<UserIdentity[]> {
    return manager.query(
      `SELECT provider, provider_id FROM user_identities WHERE project_id = $1 AND user_id = $2 ORDER BY created_at, provider`,
      [projectId, userId],
    );
  }

  /** As `identities`, of many users. */
  async identitiesOf(projectId: string, userIds: string[]): Promise<Map<string, UserIdentity[]>> {
    const rows = await this.dataSource.query<(UserIdentity & { user_id: string })[]>(
      `SELECT user_id, provider, provider_id FROM user_identities
        WHERE project_id = $1 AND user_id = ANY ($2) ORDER BY created_at, provider`,
      [projectId, userIds],
    );
    const byUser = new Map<string, UserIdentity[]>(userIds.map((id) => [id, []]));
    for (const { user_id, ...identity } of rows) byUser.get(user_id)?.push(identity);
    return byUser;
  }
}

/** A user as developers see it. */
export function toAdminUserJson(user: AppUser, identities: UserIdentity[]) {
  return { ...toUserJson(user, identities), ...toUserState(user) };
}

/** The state of a user, as the audit log may keep it: nothing personal. */
export function toUserState({ disabledAt, erasedAt }: AppUser) {
  return { disabled_at: disabledAt, erased_at: erasedAt };
}

/** Somebody who has no way back in but the session they hold. */
export function isAnonymous(user: AppUser, identities: UserIdentity[]): boolean {
  return user.email === null && user.externalId === null && identities.length === 0;
}

/** A user as clients see it. */
export function toUserJson(user: AppUser, identities: UserIdentity[]) {
  const own = [
    { provider: 'anonymous', provider_id: user.anonymousId },
    { provider: 'email', provider_id: user.email },
  ].filter((identity): identity is UserIdentity => identity.provider_id !== null);
  return {
    id: user.id,
    email: user.email,
    display_name: user.displayName,
    avatar_url: user.avatarUrl,
    external_id: user.externalId,
    anonymous_id: user.anonymousId,
    auth_providers: [...own, ...identities.map(({ provider, provider_id }) => ({ provider, provider_id }))],
    properties: user.properties,
    timezone: user.timezone,
    first_seen_at: user.firstSeenAt,
    last_seen_at: user.lastSeenAt,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  };
}
