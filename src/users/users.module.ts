import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { ClientAuthController } from './client-auth.controller';
import { IdentityTokensService } from './identity-tokens.service';
import { SignInService } from './sign-in.service';
import { UsersAdminController } from './users.admin.controller';
import { UsersController } from './users.controller';
import { UsersService } from './users.service';

/** The users of the apps: how they sign in, and their profiles. */
@Module({
  imports: [AuthModule],
  controllers: [ClientAuthController, UsersController, UsersAdminController],
  providers: [UsersService, SignInService, IdentityTokensService],
  exports: [UsersService, SignInService, IdentityTokensService],
})
export class UsersModule {}
