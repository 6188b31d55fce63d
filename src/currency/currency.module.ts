import { Module } from '@nestjs/common';
import { CurrencyController } from './currency.controller';
import { CurrencyService } from './currency.service';
import { LedgerService } from './ledger.service';

/** Currencies, balances that cannot leave their bounds, and the append-only ledger behind them. */
@Module({
  controllers: [CurrencyController],
  providers: [CurrencyService, LedgerService],
  exports: [CurrencyService, LedgerService],
})
export class CurrencyModule {}
