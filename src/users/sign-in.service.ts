import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager } from 'typeorm';
import { normalizedEmail } from '../auth/email';
import { assertAcceptable, hashPassword, verifyPassword } from '../auth/passwords';
import { SessionsService, type Caller, type SessionTokens } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { isOfErasedUser, violatedUnique } from '../common/database-error';
import { BASE62, randomText } from '../common/random-text';
import { inTransaction } from '../common/transaction';
import { AppUser } from './app-user.entity';
import { IdentityTokensService, type ProviderAccount } from './identity-tokens.service';
import { isAnonymous, UsersService, type UserIdentity } from './users.service';

/** A user who has just signed in. */
export interface SignedIn {
  user: AppUser;
  identities: UserIdentity[];
  tokens: SessionTokens;
  /** This request made the user. */
  created: boolean;
}

interface Credentials {
  email: string;
  password: string;
}

/** The ways in which the users of an app sign in. Contract §4. */
@Injectable()
export class SignInService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly identityTokens: IdentityTokensService,
  ) {}

  /** A new user without any credentials. */
  async anonymous(projectId: string): Promise<SignedIn> {
    const anonymousId = `anon_${randomText(BASE62, 20)}`;
    return this.open(await this.users.create(projectId, { anonymousId }), true);
  }

  /**
   * Signs up with e-mail and password. An anonymous caller becomes that user: same id, same code, same balances; one
   * whose answer was lost, and who asks again, is signed in.
   *
   * @throws ApiError INVALID_EMAIL, WEAK_PASSWORD, USER_EXISTS
   */
  async signUp(projectId: string, credentials: Credentials, caller?: Caller): Promise<SignedIn> {
    const email = normalizedEmail(credentials.email);
    if (email === undefined) throw new ApiError('INVALID_EMAIL');
    assertAcceptable(credentials.password);
    const isRetry = caller && (await this.isSignedUpAs(caller, email, credentials.password));
    if (isRetry) return this.known(projectId, caller.userId);
    const passwordHash = await hashPassword(credentials.password);
    const upgraded = caller && (await this.upgrade(caller, { email, passwordHash }));
    if (upgraded) return this.known(projectId, caller.userId);
    return this.open(await this.users.create(projectId, { email, passwordHash }), true);
  }

  /** @throws ApiError INVALID_CREDENTIALS, in the same time for an unknown e-mail and a wrong password */
  async logIn(projectId: string, { email, password }: Credentials): Promise<SignedIn> {
    const user = await this.dataSource.manager.findOne(AppUser, {
      where: { projectId, email: email.trim().toLowerCase() },
    });
    const isRight = await verifyPassword(password, user?.passwordHash);
    if (!user || !isRight || user.disabledAt !== null) throw new ApiError('INVALID_CREDENTIALS');
    return this.open(user, false).catch((error: unknown) => {
      // disabled since the password was checked: the same answer as before it
      const isOut = error instanceof ApiError && error.code === 'INVALID_TOKEN';
      throw isOut ? new ApiError('INVALID_CREDENTIALS', { cause: error }) : error;
    });
  }

  /** @throws ApiError INVALID_TOKEN */
  async refresh(projectId: string, refreshToken: string): Promise<SignedIn> {
    const tokens = await this.sessions.refresh(projectId, refreshToken, async (userId) =>
      isAnonymous(await this.users.get(projectId, userId), await this.users.identities(projectId, userId)),
    );
    await this.users.seen(projectId, tokens.userId);
    const user = await this.users.get(projectId, tokens.userId);
    return { user, identities: await this.users.identities(projectId, user.id), tokens, created: false };
  }

  /**
   * Signs in with an identity token of Apple or Google; an unknown account becomes the anonymous caller's, or a new
   * user's.
   *
   * @throws ApiError UNSUPPORTED_PROVIDER, INVALID_TOKEN, SERVICE_UNAVAILABLE
   */
  async social(projectId: string, provider: string, token: string, caller?: Caller): Promise<SignedIn> {
    const account = await this.identityTokens.verify(projectId, provider, token);
    const known = await this.ownerOf(projectId, account);
    if (known) return this.open(await this.activeUser(projectId, known), false);
    try {
      const user = caller && (await this.anonymousUser(caller));
      if (user && (await this.attach(projectId, user.id, account))) return await this.open(user, false);
      const created = await inTransaction(this.dataSource, async (queryRunner) => {
        const made = await this.users.create(projectId, {}, queryRunner.manager);
        await insertIdentity(queryRunner.manager, made, account);
        return made;
      });
      return await this.open(created, true);
    } catch (error) {
      // the same account at once: whoever came first made the user
      const winner = violatedUnique(error) && (await this.ownerOf(projectId, account));
      if (!winner) throw error;
      return this.open(await this.activeUser(projectId, winner), false);
    }
  }

  /**
   * Adds an Apple or Google account to the caller's user.
   *
   * @throws ApiError UNSUPPORTED_PROVIDER, INVALID_TOKEN, USER_EXISTS when the account is another user's, or the
   *   caller has another account of this provider
   */
  async link(caller: Caller, provider: string, token: string): Promise<SignedIn> {
    const { projectId, userId } = caller;
    const account = await this.identityTokens.verify(projectId, provider, token);
    const isOurs = (await this.ownerOf(projectId, account)) === userId;
    if (!isOurs && !(await this.attach(projectId, userId, account))) throw new ApiError('USER_EXISTS');
    return this.known(projectId, userId);
  }

  /** A session for a user who is known already. @throws ApiError NOT_FOUND, INVALID_TOKEN if disabled */
  async known(projectId: string, userId: string): Promise<SignedIn> {
    return this.open(await this.users.get(projectId, userId), false);
  }

  private async open(user: AppUser, created: boolean): Promise<SignedIn> {
    const { projectId, id: userId } = user;
    const identities = await this.users.identities(projectId, userId);
    const tokens = await this.sessions.open({ projectId, userId, anonymous: isAnonymous(user, identities) });
    if (!created) await this.users.seen(projectId, userId);
    return { user: await this.users.get(projectId, userId), identities, tokens, created };
  }

  /** Whether the caller was anonymous and now is not. One statement: two sign-ups at once cannot both have it. */
  private async upgrade(
    { projectId, userId }: Caller,
    values: { email: string; passwordHash: string },
  ): Promise<boolean> {
    const user = await this.anonymousUser({ projectId, userId });
    if (!user) return false;
    try {
      const { affected } = await this.dataSource.manager.update(
        AppUser,
        { projectId, id: userId, email: IsNull(), disabledAt: IsNull() },
        { ...values, updatedAt: () => 'clock_timestamp()' },
      );
      return affected === 1;
    } catch (error) {
      throw violatedUnique(error) ? new ApiError('USER_EXISTS', { cause: error }) : error;
    }
  }

  /** The retry of a sign-up that had worked: the caller is that user by now. */
  private async isSignedUpAs(
    { projectId, userId }: Caller,
    email: string,
    password: string,
  ): Promise<boolean> {
    const user = await this.users.get(projectId, userId);
    return user.email === email && (await verifyPassword(password, user.passwordHash));
  }

  private async anonymousUser({ projectId, userId }: Caller): Promise<AppUser | undefined> {
    const user = await this.users.get(projectId, userId);
    return isAnonymous(user, await this.users.identities(projectId, userId)) ? user : undefined;
  }

  private async activeUser(projectId: string, userId: string): Promise<AppUser> {
    const user = await this.users.get(projectId, userId);
    if (user.disabledAt !== null) throw new ApiError('INVALID_TOKEN', { message: 'This user is disabled.' });
    return user;
  }

  private async ownerOf(projectId: string, account: ProviderAccount): Promise<string | undefined> {
    const [row] = await this.dataSource.query<{ user_id: string }[]>(
      `SELECT user_id FROM user_identities WHERE project_id = $1 AND provider = $2 AND provider_id = $3`,
      [projectId, account.provider, account.providerId],
    );
    return row?.user_id;
  }

  /** Whether the account is the user's now: not if it is somebody else's, or the user has another of this provider. */
  private async attach(projectId: string, userId: string, account: ProviderAccount): Promise<boolean> {
    try {
      await insertIdentity(this.dataSource.manager, { projectId, id: userId }, account);
      return true;
    } catch (error) {
      if (isOfErasedUser(error)) throw new ApiError('INVALID_TOKEN', { cause: error });
      if (violatedUnique(error) === undefined) throw error;
      return (await this.ownerOf(projectId, account)) === userId;
    }
  }
}

async function insertIdentity(
  manager: EntityManager,
  user: { projectId: string; id: string },
  { provider, providerId }: ProviderAccount,
): Promise<void> {
  await manager.query(
    `INSERT INTO user_identities (project_id, provider, provider_id, user_id) VALUES ($1, $2, $3, $4)`,
    [user.projectId, provider, providerId, user.id],
  );
}
