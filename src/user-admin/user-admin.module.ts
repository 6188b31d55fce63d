import { Module } from '@nestjs/common';
import { CurrencyModule } from '../currency/currency.module';
import { ReferralsModule } from '../referrals/referrals.module';
import { UsersModule } from '../users/users.module';
import { UserAdminController } from './user-admin.controller';
import { UserDossierService } from './user-dossier.service';

/** All that is known of a user, across the features: read, exported, erased. */
@Module({
  imports: [UsersModule, CurrencyModule, ReferralsModule],
  controllers: [UserAdminController],
  providers: [UserDossierService],
})
export class UserAdminModule {}
