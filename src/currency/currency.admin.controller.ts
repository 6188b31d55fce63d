import { Body, Controller, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import { ApiIdempotencyKey, IdempotencyKey } from '../common/idempotency-key';
import { Page, PageQuery } from '../common/page';
import { Reply } from '../common/reply';
import { AdminGrantsService } from './admin-grants.service';
import { BalancesService } from './balances.service';
import {
  AdminTransactionDto,
  CurrencyDto,
  NewCurrencyDto,
  NewGrantDto,
  toChanges,
  toCurrencyDto,
  UpdateCurrencyDto,
} from './currency.admin.dto';
import { TransactionsQuery } from './currency.dto';
import { CurrencyService } from './currency.service';

@ApiTags('Currencies (admin)')
@Controller('admin/projects/:projectId/currencies')
export class CurrencyAdminController {
  constructor(
    private readonly currencies: CurrencyService,
    private readonly grants: AdminGrantsService,
    private readonly balances: BalancesService,
  ) {}

  @Post()
  @ProjectRoute('CURRENCY_EXISTS', 'MAX_BALANCE_TOO_LOW')
  @ApiOperation({
    summary: 'Define a currency',
    description:
      'A code that was deleted is taken up again, with its balances and history, and with what it was where nothing ' +
      'else is said.',
  })
  @ApiData(CurrencyDto, { status: 201, description: 'The currency.' })
  async createCurrency(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() body: NewCurrencyDto,
  ): Promise<CurrencyDto> {
    const currency = { ...toChanges(body), code: body.code, name: body.name };
    return toCurrencyDto(await this.currencies.create(by, projectId, currency));
  }

  @Get()
  @ProjectRoute()
  @ApiOperation({ summary: 'The currencies', description: 'Oldest first, without deleted ones.' })
  @ApiPage(CurrencyDto, 'One page of currencies.')
  async listCurrencies(
    @CurrentProject() projectId: string,
    @Query() window: PageQuery,
  ): Promise<Page<CurrencyDto>> {
    const { data, total } = await this.currencies.list(projectId, window);
    return new Page(data.map(toCurrencyDto), total, window);
  }

  @Patch(':currencyId')
  @ProjectRoute('MAX_BALANCE_TOO_LOW')
  @ApiId('currencyId')
  @ApiOperation({
    summary: 'Change a currency',
    description:
      'What is left out stays as it is. A maximum below an existing balance is refused with the number of users above ' +
      'it. A higher one does not pay what was clamped before.',
  })
  @ApiData(CurrencyDto, { status: 200, description: 'The currency after the change.' })
  async updateCurrency(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('currencyId', IdPipe) currencyId: string,
    @Body() body: UpdateCurrencyDto,
  ): Promise<CurrencyDto> {
    const changes = { ...toChanges(body), name: body.name };
    return toCurrencyDto(await this.currencies.update(by, projectId, currencyId, changes));
  }

  @Delete(':currencyId')
  @ProjectRoute()
  @ApiId('currencyId')
  @ApiOperation({
    summary: 'Delete a currency',
    description:
      'It is hidden. Balances and history stay, and so do promised rewards, which wait for its return.',
  })
  @ApiData(CurrencyDto, { status: 200, description: 'The currency as it was.' })
  async deleteCurrency(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('currencyId', IdPipe) currencyId: string,
  ): Promise<CurrencyDto> {
    return toCurrencyDto(await this.currencies.delete(by, projectId, currencyId));
  }

  @Post('grant')
  @ProjectRoute('USER_ERASED', 'IDEMPOTENCY_MISMATCH')
  @ApiOperation({
    summary: 'Grant an amount by hand',
    description: 'One ledger line, clamped to the maximum: `amount` in the answer is what was granted.',
  })
  @ApiIdempotencyKey(
    'The same key and body get the same 201, marked `Idempotent-Replayed: true`, and nothing more.',
  )
  @ApiData(AdminTransactionDto, {
    status: 201,
    description: 'The ledger line.',
    headers: {
      'Idempotent-Replayed': '`true` when an earlier request with the same Idempotency-Key granted it.',
    },
  })
  async grantCurrency(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() body: NewGrantDto,
    @IdempotencyKey() idempotencyKey?: string,
  ) {
    const { app_user_id, currency_code: currencyCode, amount } = body;
    const grant = {
      userId: app_user_id.toLowerCase(),
      currencyCode,
      amount,
      reason: body.reason ?? undefined,
    };
    const { transaction, replayed } = await this.grants.grant(by, projectId, grant, idempotencyKey);
    return new Reply(transaction, replayed ? { headers: { 'Idempotent-Replayed': 'true' } } : {});
  }

  @Get('transactions/:userId')
  @ProjectRoute('FETCH_FAILED')
  @ApiId('userId')
  @ApiOperation({ summary: "A user's transactions", description: 'The append-only ledger, newest first.' })
  @ApiPage(AdminTransactionDto, 'One page of the ledger.')
  getUserTransactions(
    @CurrentProject() projectId: string,
    @Param('userId', IdPipe) userId: string,
    @Query() query: TransactionsQuery,
  ): Promise<Page<AdminTransactionDto>> {
    return this.balances.transactionsWithReasons({ projectId, userId }, query, query.currency_code);
  }
}
