import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { AuthModule } from '../auth/auth.module';
import { ClientAuthController } from './client-auth.controller';
import { IdentityProvidersAdminController } from './identity-providers.admin.controller';
import { IdentityTokensService } from './identity-tokens.service';
import { SignInService } from './sign-in.service';
import { UsersAdminController } from './users.admin.controller';
import { UsersAdminService } from './users.admin.service';
import { UsersController } from './users.controller';
import { UsersService } from './users.service';

/** The users of the apps: how they sign in, and their profiles. */
@Module({
  imports: [AuditModule, AuthModule],
  controllers: [
    ClientAuthController,
    UsersController,
    UsersAdminController,
    IdentityProvidersAdminController,
  ],
  providers: [UsersService, UsersAdminService, SignInService, IdentityTokensService],
  exports: [UsersService, UsersAdminService, SignInService, IdentityTokensService],
})
export class UsersModule {}
