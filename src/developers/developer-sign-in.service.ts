import { Injectable } from '@nestjs/common';
import { DeveloperSessionsService, type DeveloperTokens } from '../auth/developer-sessions.service';
import { ProjectsService, type CreatedProject } from '../projects/projects.service';
import {
  DevelopersService,
  type CreatedDeveloper,
  type DeveloperRow,
  type NewDeveloper,
  type Origin,
} from './developers.service';

/** A developer who has just signed in. */
export interface SignedInDeveloper {
  developer: DeveloperRow;
  tokens: DeveloperTokens;
}

/** One who has just signed up, with what is shown once: the personal access token and the project's keys. */
export type SignedUpDeveloper = SignedInDeveloper & CreatedDeveloper & { first: CreatedProject };

const FIRST_PROJECT = 'My app';

/** How developers sign up and in. Contract §5. */
@Injectable()
export class DeveloperSignInService {
  constructor(
    private readonly developers: DevelopersService,
    private readonly sessions: DeveloperSessionsService,
    private readonly projects: ProjectsService,
  ) {}

  /**
   * A new account with a session, a personal access token and a first project with its keys: all of them or nothing.
   *
   * @throws ApiError INVALID_INPUT, WEAK_PASSWORD, EMAIL_EXISTS, SIGNUP_CLOSED
   */
  async signUp(values: NewDeveloper, origin: Origin): Promise<SignedUpDeveloper> {
    const { more, ...account } = await this.developers.signUp(
      values,
      origin,
      async (queryRunner, by, { id }, passwordHash) => ({
        tokens: await this.sessions.open(id, passwordHash, queryRunner),
        first: await this.projects.createIn(
          queryRunner,
          by,
          { name: FIRST_PROJECT, ownerId: id },
          'development',
        ),
      }),
    );
    return { ...account, ...more };
  }

  /** @throws ApiError INVALID_CREDENTIALS, in the same time for an unknown e-mail and a wrong password */
  async logIn(email: string, password: string): Promise<SignedInDeveloper> {
    const { developer, passwordHash } = await this.developers.authenticate(email, password);
    return { developer, tokens: await this.sessions.open(developer.id, passwordHash) };
  }

  /** @throws ApiError INVALID_TOKEN */
  async refresh(refreshToken: string): Promise<SignedInDeveloper> {
    const tokens = await this.sessions.refresh(refreshToken);
    return { developer: (await this.developers.get(tokens.developerId)).developer, tokens };
  }
}
