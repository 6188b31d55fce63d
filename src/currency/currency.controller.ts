import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentCaller } from '../auth/authenticated-request';
import { ClientRoute } from '../auth/route.decorators';
import type { Caller } from '../auth/sessions.service';
import { ApiData, ApiPage } from '../common/api-docs';
import type { Page } from '../common/page';
import { BalancesService } from './balances.service';
import { BalanceDto, TransactionDto, TransactionsQuery } from './currency.dto';

@ApiTags('Currencies')
@Controller('client/currencies')
export class CurrencyController {
  constructor(private readonly balances: BalancesService) {}

  @Get()
  @ClientRoute()
  @ApiOperation({
    summary: "The caller's balances",
    description: 'One row per currency of the project, with its initial balance where nothing has moved yet.',
  })
  @ApiData(BalanceDto, { status: 200, description: 'The balances.', isArray: true })
  getBalances(@CurrentCaller() caller: Caller): Promise<BalanceDto[]> {
    return this.balances.list(caller);
  }

  @Get('transactions')
  @ClientRoute('FETCH_FAILED')
  @ApiOperation({
    summary: "The caller's transactions",
    description: 'The append-only ledger behind the balances, newest first.',
  })
  @ApiPage(TransactionDto, 'One page of the ledger.')
  getTransactions(
    @CurrentCaller() caller: Caller,
    @Query() query: TransactionsQuery,
  ): Promise<Page<TransactionDto>> {
    return this.balances.transactions(caller, query, query.currency_code);
  }
}
