import { GRANT_STATUSES, type GrantStatus } from './reward-grants';

/** The totals of a project, and whether they agree. Pure: what was read goes in, the report comes out. */

/** What was read, in one snapshot. PostgreSQL adds up exactly, beyond what a number holds, and sends sums as text. */
export interface Totals {
  currencies: { id: string; code: string; is_deleted: boolean }[];
  promises: {
    currency_code: string;
    status: GrantStatus;
    count: number;
    promised: string;
    granted: string | null;
  }[];
  ledger: { currency_id: string; source: string; count: number; requested: string; sum: string }[];
  balances: { currency_id: string; users: number; sum: string }[];
}

/** A sum, or null when it is above 2^53 - 1: JSON has no exact number for it. Comparisons know it exactly. */
export type Sum = number | null;

export interface CurrencyReport {
  currency_code: string;
  is_deleted: boolean;
  agrees: boolean;
  promises: Record<GrantStatus, { count: number; promised: Sum }> & { granted_sum: Sum; clamped_sum: Sum };
  ledger: {
    sum: Sum;
    referral: { count: number; requested: Sum; sum: Sum };
    by_source: { source: string; count: number; sum: Sum }[];
  };
  balances: { users: number; sum: Sum };
  comparisons: { name: Comparison; agrees: boolean }[];
}

/** What must hold in every currency. */
export type Comparison = (typeof COMPARISONS)[number];
export const COMPARISONS = [
  'granted_count_equals_referral_lines',
  'granted_promised_equals_referral_requested',
  'granted_sum_equals_referral_sum',
  'balances_equal_ledger',
] as const;

/** One report per currency, by code: those that are offered, and those that have a history. */
export function reconcile(totals: Totals): CurrencyReport[] {
  const codeOf = new Map(totals.currencies.map(({ id, code }) => [id, code]));
  const active = new Set(totals.currencies.filter(({ is_deleted }) => !is_deleted).map(({ code }) => code));
  const codes = new Set([
    ...active,
    ...totals.promises.map(({ currency_code }) => currency_code),
    // no line and no balance is without its currency: the keys see to that
    ...[...totals.ledger, ...totals.balances].map(
      ({ currency_id }) => codeOf.get(currency_id) ?? currency_id,
    ),
  ]);
  return [...codes].sort().map((code) => {
    const ofCurrency = ({ currency_id }: { currency_id: string }) =>
      (codeOf.get(currency_id) ?? currency_id) === code;
    return reconcileCurrency(
      { currency_code: code, is_deleted: !active.has(code) },
      {
        promises: totals.promises.filter(({ currency_code }) => currency_code === code),
        ledger: totals.ledger.filter(ofCurrency),
        balances: totals.balances.filter(ofCurrency),
      },
    );
  });
}

function reconcileCurrency(
  currency: { currency_code: string; is_deleted: boolean },
  { promises, ledger, balances }: Omit<Totals, 'currencies'>,
): CurrencyReport {
  const byStatus = (status: GrantStatus) => promises.find((row) => row.status === status);
  const paid = byStatus('granted');
  const referral = ledger.find(({ source }) => source === 'referral');
  const [promised, granted] = [big(paid?.promised), big(paid?.granted)];
  const ledgerSum = ledger.reduce((total, { sum }) => total + big(sum), 0n);
  const balanceSum = balances.reduce((total, { sum }) => total + big(sum), 0n);
  const holds: Record<Comparison, boolean> = {
    granted_count_equals_referral_lines: (paid?.count ?? 0) === (referral?.count ?? 0),
    granted_promised_equals_referral_requested: promised === big(referral?.requested),
    granted_sum_equals_referral_sum: granted === big(referral?.sum),
    balances_equal_ledger: balanceSum === ledgerSum,
  };
  const statuses = GRANT_STATUSES.map((status) => {
    const row = byStatus(status);
    return [status, { count: row?.count ?? 0, promised: toSum(big(row?.promised)) }];
  });
  return {
    ...currency,
    agrees: Object.values(holds).every(Boolean),
    promises: {
      ...(Object.fromEntries(statuses) as Record<GrantStatus, { count: number; promised: Sum }>),
      granted_sum: toSum(granted),
      clamped_sum: toSum(promised - granted),
    },
    ledger: {
      sum: toSum(ledgerSum),
      referral: {
        count: referral?.count ?? 0,
        requested: toSum(big(referral?.requested)),
        sum: toSum(big(referral?.sum)),
      },
      by_source: ledger.map(({ source, count, sum }) => ({ source, count, sum: toSum(big(sum)) })),
    },
    balances: {
      users: balances.reduce((total, { users }) => total + users, 0),
      sum: toSum(balanceSum),
    },
    comparisons: COMPARISONS.map((name) => ({ name, agrees: holds[name] })),
  };
}

function big(sum: string | null | undefined): bigint {
  return BigInt(sum ?? 0);
}

function toSum(value: bigint): Sum {
  return Number.isSafeInteger(Number(value)) ? Number(value) : null;
}
