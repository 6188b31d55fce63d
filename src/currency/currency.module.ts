import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { BalancesService } from './balances.service';
import { CurrencyController } from './currency.controller';
import { CurrencyService } from './currency.service';
import { LedgerService } from './ledger.service';

/** Currencies, balances that cannot leave their bounds, and the append-only ledger behind them. */
@Module({
  imports: [AuditModule],
  controllers: [CurrencyController],
  providers: [CurrencyService, BalancesService, LedgerService],
  exports: [CurrencyService, BalancesService, LedgerService],
})
export class CurrencyModule {}
