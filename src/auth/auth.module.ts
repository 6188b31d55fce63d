import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { LimitsModule } from '../limits/limits.module';
import { AdminGuard } from './admin.guard';
import { ApiKeyGuard } from './api-key.guard';
import { CredentialsService } from './credentials.service';
import { DeveloperSessionsService } from './developer-sessions.service';
import { GuessLimiter } from './guess-limiter.service';
import { RateLimitGuard } from './rate-limit.guard';
import { SessionGuard } from './session.guard';
import { SessionsService } from './sessions.service';

/** Who is calling. The guards are global, in this order: a route is closed unless it says `@Public()`. */
@Module({
  imports: [LimitsModule],
  providers: [
    CredentialsService,
    SessionsService,
    DeveloperSessionsService,
    GuessLimiter,
    { provide: APP_GUARD, useClass: RateLimitGuard },
    { provide: APP_GUARD, useClass: ApiKeyGuard },
    { provide: APP_GUARD, useClass: SessionGuard },
    { provide: APP_GUARD, useClass: AdminGuard },
  ],
  exports: [SessionsService, DeveloperSessionsService, GuessLimiter],
})
export class AuthModule {}
