import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { QueryRunner } from 'typeorm';
import { asOne, rowsFrom, sendTogether, type Rows, type Statement } from '../common/statements';
import { clampCredit } from './amount';

export type TransactionType = 'earn' | 'spend' | 'grant' | 'purchase' | 'refund' | 'recharge';
export type TransactionSource = 'event' | 'admin' | 'store_purchase' | 'xp_reward' | 'referral' | 'system';

/** A credit to one user in one currency. */
export interface Credit {
  userId: string;
  currencyCode: string;
  /** Positive and whole. */
  amount: number;
  transactionType: TransactionType;
  source: TransactionSource;
  /** What the credit is for. The ledger takes each (source, reference, user, currency) once. */
  referenceId: string | null;
}

/** What became of a credit: the ledger line it wrote, or `null` when the project has no such currency now. */
export type CreditResult = { transactionId: string; granted: number } | null;

interface CurrencyRow {
  id: string;
  code: string;
  initial_balance: number;
  max_balance: number;
}

interface BalanceRow {
  user_id: string;
  currency_id: string;
  balance: number;
  lifetime_earned: number;
  last_entry_no: number;
}

interface LedgerLine {
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

/** The locks of a set of credits, in their order. */
export type Locks = [
  currencies: Statement<CurrencyRow>,
  missingBalances: Statement,
  balances: Statement<BalanceRow>,
];

/** What credits come to, and what writes it: parts for `asOne`, none when there is nothing to write. */
export interface Applied {
  /** One for each credit, in the same order. */
  results: CreditResult[];
  writes: Record<string, Statement>;
}

/**
 * Moves balances and writes the append-only ledger. The only code that does.
 *
 * Lock order, the same for every caller: currencies by id (shared), then balances by user and currency. Callers
 * hand over a set of credits and never lock these rows themselves.
 */
@Injectable()
export class LedgerService {
  /**
   * Applies credits in one project, in the given order, within the caller's transaction. Each is clamped to the
   * currency's maximum and writes one line, also when nothing fits.
   *
   * @returns one result per credit, in the same order
   * @throws a unique violation of `currency_transactions_source_unique` when a credit was already applied
   */
  async credit(queryRunner: QueryRunner, projectId: string, credits: Credit[]): Promise<CreditResult[]> {
    const locked = await sendTogether(queryRunner, ...this.locks(projectId, credits));
    const { results, writes } = this.apply(projectId, locked, credits);
    if (results.some((result) => result !== null)) await sendTogether(queryRunner, asOne(writes));
    return results;
  }

  /** `credit` in two halves, for who sends more along with each: first these locks, for all that may be credited. */
  locks(projectId: string, credits: Pick<Credit, 'userId' | 'currencyCode'>[]): Locks {
    return [
      lockCurrencies(projectId, credits),
      makeBalances(projectId, credits),
      lockBalances(projectId, credits),
    ];
  }

  /** Then, with what the locks returned, the credits: some of those, or all. */
  apply(projectId: string, [currencyRows, , balanceRows]: Rows<Locks>, credits: Credit[]): Applied {
    const currencies = new Map(currencyRows.map((row) => [row.code, row]));
    const balances = new Map(balanceRows.map((row) => [balanceKey(row.user_id, row.currency_id), row]));
    const lines: LedgerLine[] = [];
    const moved = new Set<BalanceRow>();
    const results = credits.map((credit): CreditResult => {
      const currency = currencies.get(credit.currencyCode);
      const balance = currency && balances.get(balanceKey(credit.userId, currency.id));
      if (!currency || !balance) return null;
      if (balance.last_entry_no === 0 && currency.initial_balance > 0) lines.push(open(balance, currency));
      const line = apply(credit, balance, currency);
      lines.push(line);
      moved.add(balance);
      return { transactionId: line.id, granted: line.amount };
    });
    if (lines.length === 0) return { results, writes: {} };
    const writes = { moved: writeBalances(projectId, [...moved]), lines: writeLines(projectId, lines) };
    return { results, writes };
  }
}

type Wanted = Pick<Credit, 'userId' | 'currencyCode'>[];

/** Shared, so that a maximum cannot be lowered and a currency not deleted until this transaction ends. */
function lockCurrencies(projectId: string, wanted: Wanted): Statement<CurrencyRow> {
  return {
    text: `SELECT id, code, initial_balance, max_balance FROM currencies
            WHERE project_id = $1 AND code = ANY($2) AND deleted_at IS NULL
            ORDER BY id FOR SHARE`,
    values: [projectId, [...new Set(wanted.map(({ currencyCode }) => currencyCode))]],
  };
}

const WANTED = `FROM unnest($2::uuid[], $3::text[]) AS w (user_id, code)
  JOIN currencies c ON c.project_id = $1 AND c.code = w.code AND c.deleted_at IS NULL`;

/**
 * In a statement of its own: an insert that finds the row there neither returns nor locks it. Outside of a transaction,
 * where the locks before it have left no transaction number, it makes nothing (`readsFirst`).
 */
function makeBalances(projectId: string, wanted: Wanted): Statement {
  return {
    text: `INSERT INTO balances (project_id, user_id, currency_id)
           SELECT DISTINCT $1::uuid, w.user_id, c.id ${WANTED}
            WHERE pg_current_xact_id_if_assigned() IS NOT NULL ORDER BY w.user_id, c.id
           ON CONFLICT DO NOTHING`,
    values: [projectId, ...columnsOf(wanted)],
  };
}

function lockBalances(projectId: string, wanted: Wanted): Statement<BalanceRow> {
  return {
    text: `SELECT user_id, currency_id, balance, lifetime_earned, last_entry_no FROM balances
            WHERE project_id = $1 AND (user_id, currency_id) IN (SELECT w.user_id, c.id ${WANTED})
            ORDER BY user_id, currency_id FOR UPDATE`,
    values: [projectId, ...columnsOf(wanted)],
  };
}

function columnsOf(wanted: Wanted): [users: string[], codes: string[]] {
  return [wanted.map(({ userId }) => userId), wanted.map(({ currencyCode }) => currencyCode)];
}

/** The first movement writes the currency's initial balance as a line of its own, so that the ledger adds up. */
function open(balance: BalanceRow, currency: CurrencyRow): LedgerLine {
  balance.balance = currency.initial_balance;
  balance.last_entry_no = 1;
  return {
    id: randomUUID(),
    user_id: balance.user_id,
    currency_id: currency.id,
    entry_no: 1,
    requested: currency.initial_balance,
    amount: currency.initial_balance,
    balance_after: currency.initial_balance,
    max_balance: currency.max_balance,
    transaction_type: 'grant',
    source: 'system',
    reference_id: null,
  };
}

function apply(credit: Credit, balance: BalanceRow, currency: CurrencyRow): LedgerLine {
  const granted = clampCredit(credit.amount, balance.balance, currency.max_balance);
  balance.balance += granted;
  balance.lifetime_earned += granted;
  balance.last_entry_no += 1;
  return {
    id: randomUUID(),
    user_id: balance.user_id,
    currency_id: currency.id,
    entry_no: balance.last_entry_no,
    requested: credit.amount,
    amount: granted,
    balance_after: balance.balance,
    max_balance: currency.max_balance,
    transaction_type: credit.transactionType,
    source: credit.source,
    reference_id: credit.referenceId,
  };
}

function writeBalances(projectId: string, balances: BalanceRow[]): Statement {
  const rows = rowsFrom(
    [
      ['user_id', 'uuid', balances.map((row) => row.user_id)],
      ['currency_id', 'uuid', balances.map((row) => row.currency_id)],
      ['balance', 'bigint', balances.map((row) => row.balance)],
      ['lifetime_earned', 'bigint', balances.map((row) => row.lifetime_earned)],
      ['last_entry_no', 'bigint', balances.map((row) => row.last_entry_no)],
    ],
    1,
  );
  return {
    text: `UPDATE balances b
              SET balance = w.balance, lifetime_earned = w.lifetime_earned, last_entry_no = w.last_entry_no,
                  updated_at = now()
             FROM ${rows.text}
            WHERE b.project_id = $1 AND b.user_id = w.user_id AND b.currency_id = w.currency_id`,
    values: [projectId, ...rows.values],
  };
}

function writeLines(projectId: string, lines: LedgerLine[]): Statement {
  return {
    text: `INSERT INTO currency_transactions (project_id, id, user_id, currency_id, entry_no, requested, amount,
                                              balance_after, max_balance, transaction_type, source, reference_id)
           SELECT $1, id, user_id, currency_id, entry_no, requested, amount,
                  balance_after, max_balance, transaction_type, source, reference_id
             FROM json_populate_recordset(NULL::currency_transactions, $2)`,
    values: [projectId, JSON.stringify(lines)],
  };
}

function balanceKey(userId: string, currencyId: string): string {
  return `${userId}/${currencyId}`;
}
