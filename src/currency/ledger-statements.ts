import { rowsFrom, type Statement } from '../common/statements';

/** The statements of the ledger. What they lock is decided on in `LedgerService`, the only code that sends them. */

export type TransactionType = 'earn' | 'spend' | 'grant' | 'purchase' | 'refund' | 'recharge';
export type TransactionSource = 'event' | 'admin' | 'store_purchase' | 'xp_reward' | 'referral' | 'system';

export interface CurrencyRow {
  id: string;
  code: string;
  initial_balance: number;
  max_balance: number;
}

export interface BalanceRow {
  user_id: string;
  currency_id: string;
  balance: number;
  lifetime_earned: number;
  last_entry_no: number;
}

export interface LedgerLine {
  id: string;
  user_id: string;
  currency_id: string;
  entry_no: number;
  requested: number;
  amount: number;
  balance_after: number;
  max_balance: number;
  transaction_type: TransactionType;
  source: TransactionSource;
  reference_id: string | null;
}

const BALANCE_COLUMNS = {
  user_id: 'uuid',
  currency_id: 'uuid',
  balance: 'bigint',
  lifetime_earned: 'bigint',
  last_entry_no: 'bigint',
};

const LINE_COLUMNS = {
  id: 'uuid',
  user_id: 'uuid',
  currency_id: 'uuid',
  entry_no: 'bigint',
  requested: 'bigint',
  amount: 'bigint',
  balance_after: 'bigint',
  max_balance: 'bigint',
  transaction_type: 'text',
  source: 'text',
  reference_id: 'uuid',
};

/** The user and the currency of a credit. */
interface Wanted {
  userId: string;
  currencyCode: string;
}

/** Shared, so that a maximum cannot be lowered and a currency not deleted until this transaction ends. */
export function lockCurrencies(projectId: string, wanted: Wanted[]): Statement<CurrencyRow> {
  return {
    text: `SELECT id, code, initial_balance, max_balance FROM currencies
            WHERE project_id = $1 AND code = ANY($2) AND deleted_at IS NULL
            ORDER BY id FOR SHARE`,
    values: [projectId, [...new Set(wanted.map(({ currencyCode }) => currencyCode))]],
  };
}

export function lockBalances(projectId: string, wanted: Wanted[]): Statement<BalanceRow> {
  return {
    text: `SELECT user_id, currency_id, balance, lifetime_earned, last_entry_no FROM balances
            WHERE project_id = $1 AND (user_id, currency_id) IN (
                    SELECT w.user_id, c.id FROM unnest($2::uuid[], $3::text[]) AS w (user_id, code)
                      JOIN currencies c ON c.project_id = $1 AND c.code = w.code AND c.deleted_at IS NULL)
            ORDER BY user_id, currency_id FOR UPDATE`,
    values: [projectId, wanted.map(({ userId }) => userId), wanted.map(({ currencyCode }) => currencyCode)],
  };
}

export function insertBalances(projectId: string, balances: BalanceRow[]): Statement {
  const rows = rowsFrom(balances, BALANCE_COLUMNS, 1);
  return {
    text: `INSERT INTO balances (project_id, user_id, currency_id, balance, lifetime_earned, last_entry_no)
           SELECT $1, user_id, currency_id, balance, lifetime_earned, last_entry_no FROM ${rows.text}
            WHERE user_id IS NOT NULL
           RETURNING user_id`,
    values: [projectId, ...rows.values],
  };
}

export function updateBalances(projectId: string, balances: BalanceRow[]): Statement {
  const rows = rowsFrom(balances, BALANCE_COLUMNS, 1);
  return {
    text: `UPDATE balances b
              SET balance = w.balance, lifetime_earned = w.lifetime_earned, last_entry_no = w.last_entry_no,
                  updated_at = now()
             FROM ${rows.text}
            WHERE b.project_id = $1 AND b.user_id = w.user_id AND b.currency_id = w.currency_id`,
    values: [projectId, ...rows.values],
  };
}

/** @param made the new balances of `made` are written before them, so that whoever makes one of these too waits there */
export function insertLines(projectId: string, lines: LedgerLine[], made: boolean): Statement {
  const rows = rowsFrom(lines, LINE_COLUMNS, 1);
  const columns = Object.keys(LINE_COLUMNS).join(', ');
  return {
    text: `INSERT INTO currency_transactions (project_id, ${columns}) SELECT $1, ${columns} FROM ${rows.text}
            WHERE id IS NOT NULL ${made ? 'AND (SELECT count(*) FROM made) > 0' : ''}`,
    values: [projectId, ...rows.values],
  };
}
