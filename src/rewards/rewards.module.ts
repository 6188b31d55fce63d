import { Module } from '@nestjs/common';
import { CurrencyModule } from '../currency/currency.module';
import { RewardSweeper } from './reward-sweeper';
import { RewardsService } from './rewards.service';

/** What a claim owes: promised in its transaction, paid right after, swept until paid. */
@Module({ imports: [CurrencyModule], providers: [RewardsService, RewardSweeper], exports: [RewardsService] })
export class RewardsModule {}
