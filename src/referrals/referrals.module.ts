import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { AuthModule } from '../auth/auth.module';
import { ProjectsModule } from '../projects/projects.module';
import { RewardsModule } from '../rewards/rewards.module';
import { UsersModule } from '../users/users.module';
import { ClaimsMetrics } from './claims.metrics';
import { ReferralCodesAdminService } from './referral-codes.admin.service';
import { ReferralCodesService } from './referral-codes.service';
import { ReferralsAdminController } from './referrals.admin.controller';
import { ReferralsController } from './referrals.controller';
import { ReferralsService } from './referrals.service';

/** Referral codes and their claims. */
@Module({
  imports: [AuditModule, AuthModule, ProjectsModule, UsersModule, RewardsModule],
  controllers: [ReferralsController, ReferralsAdminController],
  providers: [ReferralCodesService, ReferralCodesAdminService, ReferralsService, ClaimsMetrics],
  exports: [ReferralCodesService, ReferralCodesAdminService],
})
export class ReferralsModule {}
