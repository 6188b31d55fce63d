import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { Page, type PageQuery } from '../common/page';
import { sharedRead } from '../database/shared-read';
import { UsersService } from '../users/users.service';
import type { TransactionSource, TransactionType } from './ledger-statements';

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

/** A ledger line, and why a developer granted it. */
export type TransactionWithReason = TransactionRow & { reason: string | null };

/** A `TransactionRow` of a ledger line `t` in a currency `c`. */
export const TRANSACTION = `t.id, t.user_id AS app_user_id, c.code AS currency_code, t.amount, t.requested AS requested_amount,
  t.balance_after, t.transaction_type, t.source, t.reference_id, t.created_at`;

/** The page first: of the lines that are passed over nothing is read but their place in an index. */
const PAGE = `
  SELECT ${TRANSACTION}
    FROM (SELECT seq FROM currency_transactions
           WHERE project_id = $1 AND user_id = $2 ORDER BY seq DESC LIMIT $3 OFFSET $4) p
    JOIN currency_transactions t ON t.project_id = $1 AND t.user_id = $2 AND t.seq = p.seq
    JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
   ORDER BY t.seq DESC`;
const PAGE_OF_CURRENCY = `
  SELECT ${TRANSACTION}
    FROM currencies c
   CROSS JOIN LATERAL (SELECT entry_no FROM currency_transactions
                        WHERE project_id = $1 AND user_id = $2 AND currency_id = c.id
                        ORDER BY entry_no DESC LIMIT $3 OFFSET $4) p
    JOIN currency_transactions t
      ON t.project_id = $1 AND t.user_id = $2 AND t.currency_id = c.id AND t.entry_no = p.entry_no
   WHERE c.project_id = $1 AND c.code = $5
   ORDER BY t.entry_no DESC`;
/** The lines of a balance are numbered without a gap: its last number says how many there are. */
const COUNT = `
  SELECT coalesce(sum(b.last_entry_no), 0)::bigint AS total
    FROM currencies c JOIN balances b ON b.project_id = c.project_id AND b.currency_id = c.id AND b.user_id = $2
   WHERE c.project_id = $1 AND ($3::text IS NULL OR c.code = $3)`;

/** What a user has, and the ledger behind it. */
@Injectable()
export class BalancesService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly users: UsersService,
  ) {}

  /** The user's balance in every currency of the project, with the initial balance where nothing moved yet. */
  async list({ projectId, userId }: Caller): Promise<BalanceRow[]> {
    return sharedRead<BalanceRow>(
      this.dataSource,
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
   * The user's ledger, newest first.
   *
   * @param currencyCode only the lines of this currency
   * @throws ApiError FETCH_FAILED
   */
  async transactions(
    { projectId, userId }: Caller,
    window: PageQuery,
    currencyCode?: string,
  ): Promise<Page<TransactionRow>> {
    const user = [projectId, userId];
    const page = [...user, window.limit, window.offset];
    try {
      const rows: TransactionRow[] =
        currencyCode === undefined
          ? await this.dataSource.query(PAGE, page)
          : await this.dataSource.query(PAGE_OF_CURRENCY, [...page, currencyCode]);
      const [{ total }] = await this.dataSource.query<[{ total: number }]>(COUNT, [...user, currencyCode]);
      return new Page(rows, total, window);
    } catch (error) {
      throw new ApiError('FETCH_FAILED', { cause: error });
    }
  }

  /**
   * A user's ledger, newest first, with the reasons of what was granted by hand.
   *
   * @throws ApiError NOT_FOUND, FETCH_FAILED
   */
  async transactionsWithReasons(
    user: Caller,
    window: PageQuery,
    currencyCode?: string,
  ): Promise<Page<TransactionWithReason>> {
    await this.users.get(user.projectId, user.userId);
    const { data, total } = await this.transactions(user, window, currencyCode);
    const granted = data.filter(({ source }) => source === 'admin').map(({ reference_id }) => reference_id);
    const rows = await this.dataSource.query<{ id: string; reason: string | null }[]>(
      `SELECT id, reason FROM admin_grants WHERE project_id = $1 AND id = ANY ($2)`,
      [user.projectId, granted],
    );
    const reasons = new Map(rows.map(({ id, reason }) => [id, reason]));
    const withReason = data.map((line) => ({
      ...line,
      reason: reasons.get(line.reference_id ?? '') ?? null,
    }));
    return new Page(withReason, total, window);
  }
}
