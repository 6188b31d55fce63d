import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor, Developer } from '../auth/actor';
import { ClientAddress, CurrentActor, CurrentDeveloper, RequestId } from '../auth/authenticated-request';
import { DeveloperSessionsService } from '../auth/developer-sessions.service';
import { GuessLimiter } from '../auth/guess-limiter.service';
import { DeveloperRoute, LimitedRoute } from '../auth/route.decorators';
import { ApiData } from '../common/api-docs';
import { DeveloperSignInService } from './developer-sign-in.service';
import {
  DeveloperLoggedOutDto,
  DeveloperLoginDto,
  DeveloperRefreshDto,
  DeveloperSessionDto,
  DeveloperSignUpDto,
  MeDto,
  RotatedPatDto,
  SignedUpDto,
  toDeveloperSessionDto,
  toMeDto,
  toSignedUpDto,
} from './developers.dto';
import { DevelopersService } from './developers.service';

@ApiTags('Developers (admin)')
@Controller('auth/developer')
export class DevelopersController {
  constructor(
    private readonly signIn: DeveloperSignInService,
    private readonly developers: DevelopersService,
    private readonly sessions: DeveloperSessionsService,
    private readonly guesses: GuessLimiter,
  ) {}

  @Post('signup')
  @LimitedRoute(
    ['developer-signup', 'developer-signup-day'],
    'WEAK_PASSWORD',
    'SIGNUP_CLOSED',
    'EMAIL_EXISTS',
  )
  @ApiOperation({
    summary: 'Sign up as a developer',
    description:
      'An account with a session, a personal access token and a first project with its keys. `SIGNUP` says who may: ' +
      'by default the first developer only; further ones are made on the command line.',
  })
  @ApiData(SignedUpDto, { status: 201, description: 'The account. Token and keys are not shown again.' })
  async signUpDeveloper(
    @ClientAddress() address: string,
    @RequestId() requestId: string,
    @Body() body: DeveloperSignUpDto,
  ): Promise<SignedUpDto> {
    return toSignedUpDto(await this.signIn.signUp(body, { address, requestId }));
  }

  @Post('login')
  @HttpCode(200)
  @LimitedRoute(['developer-login'], 'INVALID_CREDENTIALS')
  @ApiOperation({ summary: 'Log in as a developer' })
  @ApiData(DeveloperSessionDto, { status: 200, description: 'The session.' })
  async logInDeveloper(
    @ClientAddress() address: string,
    @Body() { email, password }: DeveloperLoginDto,
  ): Promise<DeveloperSessionDto> {
    // from many addresses at one account, too
    const subject = `developer/${email.trim().toLowerCase()}`;
    const guess = { wrong: 'INVALID_CREDENTIALS', subject, address } as const;
    return toDeveloperSessionDto(await this.guesses.limit(guess, () => this.signIn.logIn(email, password)));
  }

  @Post('refresh')
  @HttpCode(200)
  @LimitedRoute(['developer-refresh'], 'INVALID_TOKEN')
  @ApiOperation({
    summary: 'Exchange a refresh token',
    description:
      'A refresh token works once. Sent again within 10 s it gives the same session again (a retry); sent again later it ends the session.',
  })
  @ApiData(DeveloperSessionDto, { status: 200, description: 'The next access token and refresh token.' })
  async refreshDeveloper(@Body() { refresh_token }: DeveloperRefreshDto): Promise<DeveloperSessionDto> {
    return toDeveloperSessionDto(await this.signIn.refresh(refresh_token));
  }

  @Post('logout')
  @HttpCode(200)
  @LimitedRoute(['developer-logout'])
  @ApiOperation({ summary: 'End a session', description: 'Also when it is over already.' })
  @ApiData(DeveloperLoggedOutDto, { status: 200, description: 'The session is over.' })
  async logOutDeveloper(@Body() { refresh_token }: DeveloperRefreshDto): Promise<DeveloperLoggedOutDto> {
    await this.sessions.revoke(refresh_token);
    return { logged_out: true };
  }

  @Get('me')
  @DeveloperRoute()
  @ApiOperation({ summary: 'Your account' })
  @ApiData(MeDto, { status: 200, description: 'The account.' })
  async getDeveloper(@CurrentDeveloper() { id }: Developer): Promise<MeDto> {
    return toMeDto(await this.developers.get(id));
  }

  @Post('pat/rotate')
  @DeveloperRoute()
  @ApiOperation({
    summary: 'Replace your personal access token',
    description: 'The old one stops working at once.',
  })
  @ApiData(RotatedPatDto, { status: 201, description: 'The new token.' })
  async rotatePat(@CurrentActor() by: Actor, @CurrentDeveloper() { id }: Developer): Promise<RotatedPatDto> {
    return { pat: await this.developers.rotatePat(by, id) };
  }
}
