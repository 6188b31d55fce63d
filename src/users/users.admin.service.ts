import { Injectable } from '@nestjs/common';
import type { EntityManager, QueryRunner } from 'typeorm';
import { AuditLogService, type Change } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { SessionsService, type Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { definedOnly } from '../common/defined-only';
import { Page, type PageQuery } from '../common/page';
import { readPage } from '../common/read-page';
import { ReadDatabase } from '../database/read-database';
import { AppUser } from './app-user.entity';
import type { SignedIn } from './sign-in.service';
import {
  isAnonymous,
  toUserState,
  UsersService,
  type NewUser,
  type Profile,
  type UserIdentity,
} from './users.service';

/** What remains of an erased user. The schema's `app_users_erased_is_empty` names the same. */
const TOMBSTONE = {
  ...{
    externalId: null,
    anonymousId: null,
    email: null,
    passwordHash: null,
    avatarUrl: null,
    timezone: null,
  },
  ...{ displayName: 'Erased user', properties: {} },
};

/** What other features hold of a user who is erased. */
export interface ErasedWith {
  lock: (queryRunner: QueryRunner) => Promise<void>;
  forget: (queryRunner: QueryRunner) => Promise<void>;
}

/** A user with the provider accounts that lead to it. */
export interface AdminUser {
  user: AppUser;
  identities: UserIdentity[];
}

/** `strpos`, since what is searched for may have the signs that LIKE gives a meaning. */
const MATCHES = `
  u.id::text = :search OR strpos(lower(u.email), :search) > 0 OR strpos(lower(u.external_id), :search) > 0
  OR strpos(lower(u.display_name), :search) > 0 OR strpos(lower(u.anonymous_id), :search) > 0
  OR u.id IN (SELECT c.user_id FROM referral_codes c
               WHERE c.project_id = :projectId AND c.code_canonical = upper(replace(replace(:search, '-', ''), ' ', '')))`;

/** What developers and their servers do with users. */
@Injectable()
export class UsersAdminService {
  constructor(
    private readonly database: ReadDatabase,
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly auditLog: AuditLogService,
  ) {}

  /**
   * A session for a user of the app's own user system, made when unknown.
   *
   * @throws ApiError INVALID_TOKEN if disabled
   */
  openSession(by: Actor, projectId: string, externalId: string, profile: Profile): Promise<SignedIn> {
    return this.auditLog.write(by, { projectId }, 'user.open_session', async (queryRunner) => {
      const { manager } = queryRunner;
      const found = await this.users.findOrCreate(manager, projectId, externalId, profile);
      const { id } = found.user;
      const tokens = await this.sessions.openIn(queryRunner, { projectId, userId: id, anonymous: false });
      if (!found.created) await this.users.seen(projectId, id, manager);
      const user = await this.users.get(projectId, id, manager);
      const identities = await this.users.identities(projectId, id, manager);
      const changed = Object.keys(definedOnly(profile));
      const after = { session_id: tokens.sessionId, created: found.created, profile_fields: changed };
      return { result: { user, identities, tokens, created: found.created }, targetId: id, after };
    });
  }

  /** A user whom nobody signed up. @throws ApiError USER_EXISTS */
  create(by: Actor, projectId: string, user: NewUser): Promise<AppUser> {
    return this.auditLog.write(by, { projectId }, 'user.create', async ({ manager }) => {
      const made = await this.users.create(projectId, user, manager);
      return { result: made, targetId: made.id, after: toUserState(made) };
    });
  }

  /** A session token of a user who is there. @throws ApiError NOT_FOUND, INVALID_TOKEN if disabled */
  openSessionOf(by: Actor, { projectId, userId }: Caller): Promise<string> {
    return this.auditLog.write(by, { projectId }, 'user.open_session', async (queryRunner) => {
      const user = await this.users.get(projectId, userId, queryRunner.manager);
      const anonymous = isAnonymous(
        user,
        await this.users.identities(projectId, userId, queryRunner.manager),
      );
      const tokens = await this.sessions.openIn(queryRunner, { projectId, userId, anonymous });
      const after = { session_id: tokens.sessionId, created: false, profile_fields: [] };
      return { result: tokens.sessionToken, targetId: userId, after };
    });
  }

  /**
   * Shuts a user out: no session works, and nobody can claim the user's code. Done already is no error.
   *
   * @throws ApiError NOT_FOUND
   */
  disable(by: Actor, user: Caller): Promise<AppUser> {
    return this.change(by, user, 'user.disable', async (queryRunner) => {
      const { projectId, userId: id } = user;
      await queryRunner.manager.update(
        AppUser,
        { projectId, id },
        { disabledAt: () => 'coalesce(disabled_at, clock_timestamp())' },
      );
      await this.sessions.suspend(queryRunner, user);
    });
  }

  /** Lets a user back in, with the sessions of before. Done already is no error. @throws ApiError NOT_FOUND, USER_ERASED */
  enable(by: Actor, user: Caller): Promise<AppUser> {
    return this.change(by, user, 'user.enable', async (queryRunner, { erasedAt }) => {
      if (erasedAt !== null) throw new ApiError('USER_ERASED');
      await this.sessions.resume(queryRunner, user);
      const { projectId, userId: id } = user;
      await queryRunner.manager.update(AppUser, { projectId, id }, { disabledAt: null });
    });
  }

  /**
   * Forgets who a user is, for good: what is personal goes, what claims and the ledger refer to stays.
   *
   * @param also what else there is of the user: what is locked before the user, and what goes under the user's lock
   * @throws ApiError NOT_FOUND, USER_ERASED when it was done before
   */
  erase(by: Actor, user: Caller, also: ErasedWith): Promise<AppUser> {
    const { projectId, userId } = user;
    return this.auditLog.write(by, { projectId }, 'user.erase', async (queryRunner) => {
      await also.lock(queryRunner);
      return this.changeIn(queryRunner, user, async ({ erasedAt }) => {
        if (erasedAt !== null) throw new ApiError('USER_ERASED');
        const disabledAt = () => 'coalesce(disabled_at, clock_timestamp())';
        const times = {
          disabledAt,
          erasedAt: () => 'clock_timestamp()',
          updatedAt: () => 'clock_timestamp()',
        };
        await queryRunner.manager.update(AppUser, { projectId, id: userId }, { ...TOMBSTONE, ...times });
        await this.sessions.suspend(queryRunner, user);
        await queryRunner.query(`DELETE FROM user_identities WHERE project_id = $1 AND user_id = $2`, [
          projectId,
          userId,
        ]);
        await also.forget(queryRunner);
      });
    });
  }

  /** The users of a project, newest first. @param search part of a name, an address or an external id; an id, or a code */
  async list(projectId: string, window: PageQuery, search?: string): Promise<Page<AdminUser>> {
    const { data: users, total } = await this.database.read((dataSource) => {
      const query = dataSource
        .getRepository(AppUser)
        .createQueryBuilder('u')
        .where('u.project_id = :projectId', { projectId });
      if (search !== undefined) query.andWhere(`(${MATCHES})`, { search: search.trim().toLowerCase() });
      return readPage(query.orderBy({ 'u.createdAt': 'DESC', 'u.id': 'DESC' }), window);
    });
    const identities = await this.users.identitiesOf(
      projectId,
      users.map(({ id }) => id),
    );
    const withIdentities = users.map((user) => ({ user, identities: identities.get(user.id) ?? [] }));
    return new Page(withIdentities, total, window);
  }

  private change(
    by: Actor,
    user: Caller,
    action: string,
    work: (queryRunner: QueryRunner, before: AppUser) => Promise<void>,
  ): Promise<AppUser> {
    return this.auditLog.write(by, { projectId: user.projectId }, action, (queryRunner) =>
      this.changeIn(queryRunner, user, (before) => work(queryRunner, before)),
    );
  }

  private async changeIn(
    queryRunner: QueryRunner,
    { projectId, userId }: Caller,
    work: (before: AppUser) => Promise<void>,
  ): Promise<Change<AppUser>> {
    const before = await this.lock(queryRunner.manager, projectId, userId);
    await work(before);
    const after = await this.users.get(projectId, userId, queryRunner.manager);
    return { result: after, targetId: userId, before: toUserState(before), after: toUserState(after) };
  }

  /** The strongest of the row locks: it waits for the sessions and claims of this user that are under way. */
  private async lock(manager: EntityManager, projectId: string, id: string): Promise<AppUser> {
    await manager.findOne(AppUser, { where: { projectId, id }, lock: { mode: 'pessimistic_write' } });
    return this.users.get(projectId, id, manager);
  }
}
