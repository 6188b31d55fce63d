import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { AuthModule } from '../auth/auth.module';
import { ProjectsModule } from '../projects/projects.module';
import { RewardsModule } from '../rewards/rewards.module';
import { UsersModule } from '../users/users.module';
import { ReferralCodesService } from './referral-codes.service';
import { ReferralsController } from './referrals.controller';
import { ReferralsService } from './referrals.service';

/** Referral codes and their claims. */
@Module({
  imports: [AuditModule, AuthModule, ProjectsModule, UsersModule, RewardsModule],
  controllers: [ReferralsController],
  providers: [ReferralCodesService, ReferralsService],
  exports: [ReferralCodesService],
})
export class ReferralsModule {}
