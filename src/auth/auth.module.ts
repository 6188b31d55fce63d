import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ApiKeyGuard } from './api-key.guard';
import { ApiKeysService } from './api-keys.service';
import { GuessLimiter } from './guess-limiter.service';
import { SessionGuard } from './session.guard';
import { SessionsService } from './sessions.service';

/** Who is calling. Both guards are global: a route is closed unless it says `@Public()`. */
@Module({
  providers: [
    ApiKeysService,
    SessionsService,
    GuessLimiter,
    { provide: APP_GUARD, useClass: ApiKeyGuard },
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
  exports: [ApiKeysService, SessionsService, GuessLimiter],
})
export class AuthModule {}
