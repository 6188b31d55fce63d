import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { CurrencyModule } from '../currency/currency.module';
import { ClaimPaymentsService } from './claim-payments.service';
import { PaymentsService } from './payments.service';
import { ReconciliationService } from './reconciliation.service';
import { RewardGrantsService } from './reward-grants.service';
import { RewardSweeper } from './reward-sweeper';
import { RewardsAdminController } from './rewards.admin.controller';
import { RewardsMetrics } from './rewards.metrics';
import { RewardsService } from './rewards.service';

/** What a claim owes: promised in its transaction, paid right after, swept until paid, and reconciled. */
@Module({
  imports: [AuditModule, CurrencyModule],
  controllers: [RewardsAdminController],
  providers: [
    RewardsService,
    PaymentsService,
    ClaimPaymentsService,
    RewardSweeper,
    RewardGrantsService,
    ReconciliationService,
    RewardsMetrics,
  ],
  exports: [RewardsService, RewardGrantsService],
})
export class RewardsModule {}
