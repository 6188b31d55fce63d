import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { QueryRunner } from 'typeorm';
import { asOne, sendTogether, type Rows, type Statement } from '../common/statements';
import { clampCredit } from './amount';
import {
  insertBalances,
  insertLines,
  lockBalances,
  lockCurrencies,
  updateBalances,
  type BalanceRow,
  type CurrencyRow,
  type LedgerLine,
  type TransactionSource,
  type TransactionType,
} from './ledger-statements';

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

/** The locks of a set of credits, in their order. */
export type Locks = [currencies: Statement<CurrencyRow>, balances: Statement<BalanceRow>];

/** A balance that is moved, and whether it has a row yet. */
interface Account {
  row: BalanceRow;
  isNew: boolean;
}

/** What credits come to, and what writes it: parts for `asOne`, none when there is nothing to write. */
export interface Applied {
  /** One for each credit, in the same order. */
  results: CreditResult[];
  writes: Record<string, Statement>;
}

/**
 * Moves balances and writes the append-only ledger. The only code that does.
 *
 * Lock order, the same for every caller: currencies by id (shared), then balances by user and currency, then new
 * balances in the same order. Callers hand over a set of credits and never lock these rows themselves.
 *
 * A balance that nobody has yet cannot be locked. Of two who make it at once the second waits for the first, and then its
 * transaction runs anew (`isRetryable`) and finds the balance.
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
    return [lockCurrencies(projectId, credits), lockBalances(projectId, credits)];
  }

  /** Then, with what the locks returned, the credits: some of those, or all. */
  apply(projectId: string, [currencyRows, balanceRows]: Rows<Locks>, credits: Credit[]): Applied {
    const currencies = new Map(currencyRows.map((row) => [row.code, row]));
    const accounts = new Map(balanceRows.map((row) => [keyOf(row), { row, isNew: false }]));
    const lines: LedgerLine[] = [];
    const moved = new Set<Account>();
    const results = credits.map((credit): CreditResult => {
      const currency = currencies.get(credit.currencyCode);
      if (!currency) return null;
      const fresh = newBalance(credit.userId, currency.id);
      const account = accounts.get(keyOf(fresh)) ?? { row: fresh, isNew: true };
      accounts.set(keyOf(fresh), account);
      moved.add(account);
      if (account.row.last_entry_no === 0 && currency.initial_balance > 0) {
        lines.push(open(account.row, currency));
      }
      const line = apply(credit, account.row, currency);
      lines.push(line);
      return { transactionId: line.id, granted: line.amount };
    });
    return { results, writes: writesOf(projectId, [...moved], lines) };
  }
}

function newBalance(userId: string, currencyId: string): BalanceRow {
  return { user_id: userId, currency_id: currencyId, balance: 0, lifetime_earned: 0, last_entry_no: 0 };
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

function writesOf(projectId: string, accounts: Account[], lines: LedgerLine[]): Record<string, Statement> {
  const of = (isNew: boolean) => accounts.filter((account) => account.isNew === isNew).map(({ row }) => row);
  const [made, moved] = [of(true).sort(byKey), of(false)];
  return {
    ...(made.length > 0 && { made: insertBalances(projectId, made) }),
    ...(moved.length > 0 && { moved: updateBalances(projectId, moved) }),
    ...(lines.length > 0 && { lines: insertLines(projectId, lines, made.length > 0) }),
  };
}

function keyOf({ user_id: userId, currency_id: currencyId }: BalanceRow): string {
  return `${userId}/${currencyId}`;
}

/** As PostgreSQL orders UUIDs, which are written in one way only. */
function byKey(a: BalanceRow, b: BalanceRow): number {
  return keyOf(a) < keyOf(b) ? -1 : 1;
}
