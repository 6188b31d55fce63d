import { created, ok, refused, replayed, type Answer } from './answer';

export const USERS = ['ada', 'ben', 'cleo', 'dan'] as const;
export const CURRENCIES = ['gems', 'gold', 'silver'] as const;
export type UserName = (typeof USERS)[number];
export type CurrencyName = (typeof CURRENCIES)[number];
export type Reward = Record<string, string | number>;
export type Side = 'referrer' | 'referee';
export type Status = 'pending' | 'granted' | 'dead' | 'cancelled';

/** Contract: 25 tries, then somebody decides. */
const TRIES = 25;

export interface CurrencyRules {
  /** null: no maximum. */
  max: number | null;
  initial: number;
}

export interface Currency extends CurrencyRules {
  deleted: boolean;
}

export interface Promised {
  claim: string;
  side: Side;
  user: UserName;
  currency: CurrencyName;
  amount: number;
  status: Status;
  attempts: number;
  reason: string | null;
  line: Line | null;
}

export interface Line {
  user: UserName;
  currency: CurrencyName;
  requested: number;
  amount: number;
  balanceAfter: number;
  source: 'referral' | 'admin' | 'system';
  /** The claim of a reward. */
  claim: string | null;
}

export interface HandGrant {
  user: UserName;
  currency: CurrencyName;
  amount: number;
}

/** The money of the model: currencies, the ledger, and what was promised. Balances are what the ledger says. */
export class Bank {
  readonly currencies = new Map<CurrencyName, Currency>();
  readonly lines: Line[] = [];
  readonly promises: Promised[] = [];
  private readonly keys = new Map<string, { grant: HandGrant; line: Line }>();

  currency(name: CurrencyName): Currency {
    const currency = this.currencies.get(name);
    if (currency === undefined) throw new Error(`The model has no ${name}`);
    return currency;
  }

  linesOf(user: UserName, currency: CurrencyName): Line[] {
    return this.lines.filter((line) => line.user === user && line.currency === currency);
  }

  balance(user: UserName, currency: CurrencyName): number {
    return this.linesOf(user, currency).at(-1)?.balanceAfter ?? this.currency(currency).initial;
  }

  earned(user: UserName, currency: CurrencyName): number {
    const moved = this.linesOf(user, currency).filter(({ source }) => source !== 'system');
    return moved.reduce((sum, { amount }) => sum + amount, 0);
  }

  balances(user: UserName): Answer {
    const rows = CURRENCIES.filter((name) => !this.currency(name).deleted).map((name) => ({
      currency_code: name,
      balance: this.balance(user, name),
      lifetime_earned: this.earned(user, name),
      lifetime_spent: 0,
    }));
    return ok(rows);
  }

  history(user: UserName, currency: CurrencyName): Answer {
    const lines = this.linesOf(user, currency).reverse();
    return { ...ok(lines.map(lineJson), lines.length > 0 ? ['lines'] : []), total: lines.length };
  }

  /** Whether a reward names only currencies that there are. */
  knows(reward: Reward): boolean {
    return items(reward).every(({ currency }) => !this.currency(currency).deleted);
  }

  change(name: CurrencyName, rules: Partial<CurrencyRules>): Answer {
    const currency = this.currency(name);
    if (currency.deleted) return refused('NOT_FOUND');
    const next = { ...currency, ...rules };
    const isLower = room(next.max, 0) < room(currency.max, 0);
    const refusal = (isLower ? this.uncovered(name, next.max) : undefined) ?? initialTooHigh(next);
    if (refusal) return refusal;
    this.currencies.set(name, next);
    return ok(currencyJson(name, next), isLower ? ['lower'] : []);
  }

  delete(name: CurrencyName): Answer {
    const currency = this.currency(name);
    if (currency.deleted) return refused('NOT_FOUND');
    currency.deleted = true;
    return ok(currencyJson(name, currency));
  }

  bringBack(name: CurrencyName, rules: Partial<CurrencyRules>): Answer {
    const currency = this.currency(name);
    if (!currency.deleted) return refused('CURRENCY_EXISTS');
    const next = { ...currency, ...rules, deleted: false };
    const refusal = initialTooHigh(next) ?? this.uncovered(name, next.max);
    if (refusal) return refusal;
    this.currencies.set(name, next);
    return created(currencyJson(name, next));
  }

  grantByHand(grant: HandGrant, { key, isErased }: { key?: string; isErased: boolean }): Answer {
    const earlier = key === undefined ? undefined : this.keys.get(key);
    if (earlier) {
      const isSame = JSON.stringify(earlier.grant) === JSON.stringify(grant);
      return isSame ? replayed(lineJson(earlier.line)) : refused('IDEMPOTENCY_MISMATCH');
    }
    if (this.currency(grant.currency).deleted) return refused('NOT_FOUND');
    if (isErased) return refused('USER_ERASED');
    const line = this.credit({ ...grant, source: 'admin', claim: null });
    if (key !== undefined) this.keys.set(key, { grant, line });
    return created(lineJson(line), line.amount < grant.amount ? ['clamped'] : []);
  }

  /** What was granted with this key. */
  grantWith(key: string): HandGrant | undefined {
    return this.keys.get(key)?.grant;
  }

  promise(claim: string, side: Side, user: UserName, reward: Reward): void {
    for (const { currency, amount } of items(reward)) {
      const fresh = { status: 'pending', attempts: 0, reason: null, line: null } as const;
      this.promises.push({ claim, side, user, currency, amount, ...fresh });
    }
  }

  /** Tries once what is pending among these, one after the other. */
  pay(promises: Promised[]): void {
    for (const promise of promises.filter(({ status }) => status === 'pending')) {
      const { user, currency, amount, claim } = promise;
      promise.attempts += 1;
      if (this.currency(currency).deleted) {
        promise.reason = `The project has no currency "${currency}".`;
        if (promise.attempts >= TRIES) promise.status = 'dead';
      } else {
        promise.line = this.credit({ user, currency, amount, source: 'referral', claim });
        promise.status = 'granted';
      }
    }
  }

  replay(promise: Promised): Answer {
    if (!isReplayable(promise)) return refused('NOT_REPLAYABLE');
    const from = promise.status;
    this.reopen(promise);
    this.pay([promise]);
    return ok(promiseJson(promise), [`${from} to ${promise.status}`]);
  }

  reopen(promise: Promised): void {
    Object.assign(promise, { status: 'pending', attempts: 0, reason: null });
  }

  cancel(promise: Promised, reason: string): Answer {
    if (!isCancellable(promise)) return refused('NOT_CANCELLABLE');
    const from = promise.status;
    Object.assign(promise, { status: 'cancelled', reason });
    return ok(promiseJson(promise), [from]);
  }

  private credit({ amount: requested, ...credit }: Omit<Line, 'requested' | 'balanceAfter'>): Line {
    const { user, currency } = credit;
    const { initial, max } = this.currency(currency);
    if (initial > 0 && this.linesOf(user, currency).length === 0) {
      const opening = { requested: initial, amount: initial, balanceAfter: initial };
      this.lines.push({ user, currency, ...opening, source: 'system', claim: null });
    }
    const balance = this.balance(user, currency);
    const amount = Math.min(requested, room(max, balance));
    const line = { ...credit, requested, amount, balanceAfter: balance + amount };
    this.lines.push(line);
    return line;
  }

  private uncovered(name: CurrencyName, max: number | null): Answer | undefined {
    const moved = USERS.filter((user) => this.linesOf(user, name).length > 0);
    const above = moved.map((user) => this.balance(user, name)).filter((balance) => room(max, balance) < 0);
    if (above.length === 0) return undefined;
    return refused('MAX_BALANCE_TOO_LOW', { users_above: above.length, highest_balance: Math.max(...above) });
  }
}

export const isReplayable = ({ status }: Promised) => status === 'dead' || status === 'cancelled';
export const isCancellable = ({ status }: Promised) => status === 'dead' || status === 'pending';

/** A reward in any of its three shapes. */
function items(reward: Reward): { currency: CurrencyName; amount: number }[] {
  const pairs =
    typeof reward.currency === 'string' ? [[reward.currency, reward.amount]] : Object.entries(reward);
  return pairs.map(([currency, amount]) => ({ currency: currency as CurrencyName, amount: Number(amount) }));
}

function room(max: number | null, balance: number): number {
  return max === null ? Infinity : max - balance;
}

function initialTooHigh({ initial, max }: CurrencyRules): Answer | undefined {
  return room(max, initial) < 0 ? refused('INVALID_INPUT') : undefined;
}

function currencyJson(name: CurrencyName, { max, initial }: Currency) {
  return { id: `currency ${name}`, code: name, max_balance: max, initial_balance: initial };
}

function lineJson({ user, currency, requested, amount, balanceAfter, source, claim }: Line) {
  return {
    ...{ app_user_id: user, currency_code: currency, amount, requested_amount: requested, source },
    balance_after: balanceAfter,
    transaction_type: source === 'referral' ? 'earn' : 'grant',
    ...(source !== 'admin' && { reference_id: claim }),
  };
}

/** What a claimer is told: a cancelled reward is promised no more, a dead one still is. */
export function rewardJson({ currency, amount, line }: Promised) {
  return {
    ...{ currency_code: currency, amount, granted: line?.amount ?? 0 },
    status: line ? 'granted' : 'pending',
  };
}

/** What an operator sees. */
export function promiseJson({ claim, side, user, currency, amount, line, ...state }: Promised) {
  return {
    ...{ claim_id: claim, side, app_user_id: user, currency_code: currency, promised: amount },
    ...{ granted: line?.amount ?? null, clamped: line && amount - line.amount },
    ...{ status: state.status, attempts: state.attempts, last_error: state.reason },
    transaction: line && { balance_after: line.balanceAfter },
  };
}
