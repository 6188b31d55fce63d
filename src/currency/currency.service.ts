import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource } from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import type { ErrorCode } from '../common/error-catalogue';
import { violatedRule } from '../common/database-error';
import { Page, type PageQuery } from '../common/page';
import { inTransaction } from '../common/transaction';
import { MAX_AMOUNT } from './amount';
import { Currency } from './currency.entity';
import type { TransactionSource, TransactionType } from './ledger.service';

export interface NewCurrency {
  /** 1 to 32 letters, digits, `_` and `-`, a letter first. */
  code: string;
  name: string;
  description?: string;
  isPremium?: boolean;
  /** 0 when not given; at most `maxBalance`. */
  initialBalance?: number;
  /** 2^53 - 1, which is no limit, when not given. */
  maxBalance?: number;
}

/** A currency with the caller's balance in it. */
export interface BalanceRow {
  currency_code: string;
  name: string;
  is_premium: boolean;
  balance: number;
  lifetime_earned: number;
  lifetime_spent: number;
}

export interface TransactionRow {
  id: string;
  app_user_id: string;
  currency_code: string;
  amount: number;
  requested_amount: number;
  balance_after: number;
  transaction_type: TransactionType;
  source: TransactionSource;
  reference_id: string | null;
  created_at: Date;
}

const REFUSAL_BY_RULE: Record<string, ErrorCode> = {
  currencies_code_unique: 'CURRENCY_EXISTS',
  currencies_max_balance_covers_balances: 'MAX_BALANCE_TOO_LOW',
};

@Injectable()
export class CurrencyService {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Defines a currency. A code that was deleted is taken up again, with its balances and history.
   *
   * @throws ApiError CURRENCY_EXISTS, or MAX_BALANCE_TOO_LOW when balances from before stand above the new maximum
   */
  async create(projectId: string, currency: NewCurrency): Promise<Currency> {
    const values = {
      ...{ projectId, code: currency.code, name: currency.name, deletedAt: null },
      description: currency.description ?? null,
      isPremium: currency.isPremium ?? false,
      initialBalance: currency.initialBalance ?? 0,
      maxBalance: currency.maxBalance ?? MAX_AMOUNT,
    };
    try {
      return await inTransaction(this.dataSource, async ({ manager }) => {
        const existing = await manager.findOne(Currency, {
          where: { projectId, code: currency.code },
          lock: { mode: 'pessimistic_write' },
        });
        if (existing && existing.deletedAt === null) throw new ApiError('CURRENCY_EXISTS');
        return manager.save(Currency, { ...existing, ...values });
      });
    } catch (error) {
      const refusal = REFUSAL_BY_RULE[violatedRule(error) ?? ''];
      throw refusal === undefined ? error : new ApiError(refusal, { cause: error });
    }
  }

  /** Deletes a currency softly: balances, history and promised rewards stay. @throws ApiError NOT_FOUND */
  async delete(projectId: string, code: string): Promise<void> {
    const result = await this.dataSource
      .getRepository(Currency)
      .update({ projectId, code, deletedAt: IsNull() }, { deletedAt: () => 'now()' });
    if (result.affected === 0) throw new ApiError('NOT_FOUND', { message: `There is no currency ${code}.` });
  }

  /** The codes of the project's currencies, those given or all of them. */
  async codes(projectId: string): Promise<Set<string>> {
    const rows = await this.dataSource
      .getRepository(Currency)
      .find({ where: { projectId, deletedAt: IsNull() }, select: { code: true } });
    return new Set(rows.map((row) => row.code));
  }

  /** The caller's balance in every currency of the project, with the initial balance where nothing moved yet. */
  async balances({ projectId, userId }: Caller): Promise<BalanceRow[]> {
    return this.dataSource.query(
      `SELECT c.code AS currency_code, c.name, c.is_premium,
              coalesce(b.balance, c.initial_balance) AS balance,
              coalesce(b.lifetime_earned, 0) AS lifetime_earned,
              coalesce(b.lifetime_spent, 0) AS lifetime_spent
         FROM currencies c
         LEFT JOIN balances b ON b.project_id = c.project_id AND b.currency_id = c.id AND b.user_id = $2
        WHERE c.project_id = $1 AND c.deleted_at IS NULL
        ORDER BY c.created_at, c.code`,
      [projectId, userId],
    );
  }

  /**
   * The caller's ledger, newest first.
   *
   * @param currencyCode only the lines of this currency
   * @throws ApiError FETCH_FAILED
   */
  async transactions(
    { projectId, userId }: Caller,
    window: PageQuery,
    currencyCode?: string,
  ): Promise<Page<TransactionRow>> {
    const from = `FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
                 WHERE t.project_id = $1 AND t.user_id = $2 AND ($3::text IS NULL OR c.code = $3)`;
    const filter = [projectId, userId, currencyCode ?? null];
    try {
      const rows = await this.dataSource.query<TransactionRow[]>(
        `SELECT t.id, t.user_id AS app_user_id, c.code AS currency_code, t.amount, t.requested AS requested_amount,
                t.balance_after, t.transaction_type, t.source, t.reference_id, t.created_at
           ${from} ORDER BY t.seq DESC LIMIT $4 OFFSET $5`,
        [...filter, window.limit, window.offset],
      );
      const [{ total }] = await this.dataSource.query<[{ total: number }]>(
        `SELECT count(*) AS total ${from}`,
        filter,
      );
      return new Page(rows, total, window);
    } catch (error) {
      throw new ApiError('FETCH_FAILED', { cause: error });
    }
  }
}
