import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { BalancesService } from './balances.service';
import { UsersModule } from '../users/users.module';
import { AdminGrantsService } from './admin-grants.service';
import { CurrencyAdminController } from './currency.admin.controller';
import { CurrencyController } from './currency.controller';
import { CurrencyService } from './currency.service';
import { LedgerService } from './ledger.service';

/** Currencies, balances that cannot leave their bounds, and the append-only ledger behind them. */
@Module({
  imports: [AuditModule, UsersModule],
  controllers: [CurrencyController, CurrencyAdminController],
  providers: [CurrencyService, BalancesService, LedgerService, AdminGrantsService],
  exports: [CurrencyService, BalancesService, LedgerService],
})
export class CurrencyModule {}
