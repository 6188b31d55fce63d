import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ClientAddress, CurrentCaller, CurrentProject, MaybeCaller } from '../auth/authenticated-request';
import { GuessLimiter } from '../auth/guess-limiter.service';
import { RateLimited } from '../auth/rate-limit.guard';
import { ClientRoute, KeyOnlyRoute } from '../auth/route.decorators';
import { SessionsService, type Caller } from '../auth/sessions.service';
import { ApiData } from '../common/api-docs';
import { Reply } from '../common/reply';
import { SignInService } from './sign-in.service';
import {
  AnonymousSessionDto,
  CredentialsDto,
  EmptyDto,
  IdentityTokenDto,
  LoggedOutDto,
  RefreshDto,
  SessionDto,
  toSessionDto,
} from './users.dto';

@ApiTags('Sessions')
@Controller('client/auth')
export class ClientAuthController {
  constructor(
    private readonly signIn: SignInService,
    private readonly sessions: SessionsService,
    private readonly guesses: GuessLimiter,
  ) {}

  @Post('anonymous')
  @RateLimited('signup')
  @KeyOnlyRoute()
  @ApiOperation({
    summary: 'Begin without signing up',
    description: 'A new user with a session. Sign up later to keep it.',
  })
  @ApiBody({ type: EmptyDto, required: false })
  @ApiData(AnonymousSessionDto, { status: 201, description: 'The session.' })
  async signInAnonymously(
    @CurrentProject() projectId: string,
    @Body() _: EmptyDto,
  ): Promise<AnonymousSessionDto> {
    const signedIn = await this.signIn.anonymous(projectId);
    return { ...toSessionDto(signedIn), anonymous_id: signedIn.user.anonymousId ?? '' };
  }

  @Post('email/signup')
  @RateLimited('signup')
  @KeyOnlyRoute('INVALID_EMAIL', 'WEAK_PASSWORD', 'USER_EXISTS')
  @ApiOperation({
    summary: 'Sign up with e-mail and password',
    description:
      "With an anonymous user's session along, that user is kept: same id, same code, same balances.",
  })
  @ApiData(SessionDto, { status: 201, description: 'The session.' })
  async signUp(
    @CurrentProject() projectId: string,
    @MaybeCaller() caller: Caller | undefined,
    @ClientAddress() address: string,
    @Body() credentials: CredentialsDto,
  ): Promise<SessionDto> {
    // a repeated sign-up checks the password, so it must not be a way around the limit of logging in
    const guess = { wrong: 'USER_EXISTS', subject: subjectOf(projectId, credentials), address } as const;
    return toSessionDto(
      await this.guesses.limit(guess, () => this.signIn.signUp(projectId, credentials, caller)),
    );
  }

  @Post('email/login')
  @HttpCode(200)
  @KeyOnlyRoute('INVALID_CREDENTIALS')
  @ApiOperation({ summary: 'Log in with e-mail and password' })
  @ApiData(SessionDto, { status: 200, description: 'The session.' })
  async logIn(
    @CurrentProject() projectId: string,
    @ClientAddress() address: string,
    @Body() credentials: CredentialsDto,
  ): Promise<SessionDto> {
    const guess = {
      wrong: 'INVALID_CREDENTIALS',
      subject: subjectOf(projectId, credentials),
      address,
    } as const;
    return toSessionDto(await this.guesses.limit(guess, () => this.signIn.logIn(projectId, credentials)));
  }

  @Post('refresh')
  @HttpCode(200)
  @KeyOnlyRoute('INVALID_TOKEN')
  @ApiOperation({
    summary: 'Exchange a refresh token',
    description:
      'A refresh token works once. Sent again within 10 s it gives the same new one (a retry); sent again later it ends the session.',
  })
  @ApiData(SessionDto, { status: 200, description: 'The next session token and refresh token.' })
  async refreshSession(
    @CurrentProject() projectId: string,
    @Body() { refresh_token }: RefreshDto,
  ): Promise<SessionDto> {
    return toSessionDto(await this.signIn.refresh(projectId, refresh_token));
  }

  @Post('logout')
  @HttpCode(200)
  @KeyOnlyRoute()
  @ApiOperation({ summary: 'End a session', description: 'Also when it is over already.' })
  @ApiData(LoggedOutDto, { status: 200, description: 'The session is over.' })
  async logOut(
    @CurrentProject() projectId: string,
    @Body() { refresh_token }: RefreshDto,
  ): Promise<LoggedOutDto> {
    await this.sessions.revoke(projectId, refresh_token);
    return { logged_out: true };
  }

  @Post('social')
  @KeyOnlyRoute('UNSUPPORTED_PROVIDER', 'INVALID_TOKEN')
  @ApiOperation({
    summary: 'Sign in with Apple or Google',
    description:
      "An unknown account becomes a new user's, or the user's whose anonymous session comes along.",
  })
  @ApiData(SessionDto, { status: 200, description: 'The session of a known user.' })
  @ApiData(SessionDto, { status: 201, description: 'The session of a user made by this request.' })
  async signInWithProvider(
    @CurrentProject() projectId: string,
    @MaybeCaller() caller: Caller | undefined,
    @Body() { provider, id_token }: IdentityTokenDto,
  ) {
    const signedIn = await this.signIn.social(projectId, provider, id_token, caller);
    return new Reply(toSessionDto(signedIn), { status: signedIn.created ? 201 : 200 });
  }

  @Post('link')
  @HttpCode(200)
  @ClientRoute('UNSUPPORTED_PROVIDER', 'USER_EXISTS')
  @ApiOperation({ summary: 'Add an Apple or Google account to the caller' })
  @ApiData(SessionDto, { status: 200, description: 'A new session of the same user.' })
  async linkProvider(
    @CurrentCaller() caller: Caller,
    @Body() { provider, id_token }: IdentityTokenDto,
  ): Promise<SessionDto> {
    return toSessionDto(await this.signIn.link(caller, provider, id_token));
  }
}

/** However an address is written, guesses at its password count together. */
function subjectOf(projectId: string, { email }: CredentialsDto): string {
  return `${projectId}/${email.trim().toLowerCase()}`;
}
