/** A reward as it is written: see `parseReward` for its three shapes. */
export type RewardJson = Record<string, string | number>;

/** One currency and amount out of a reward. */
export interface RewardItem {
  currencyCode: string;
  amount: number;
}

const MAX_CURRENCIES = 10;
const CURRENCY_CODE = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

/**
 * Reads a reward in any of its three shapes: `{}`, `{ "currency": "gems", "amount": 50 }`, `{ "gems": 50, "gold": 10 }`.
 * The database's `reward_is_valid` accepts the same.
 *
 * @returns undefined for anything that is not a reward
 */
export function parseReward(value: unknown): RewardItem[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const reward = value as Record<string, unknown>;
  const entries: [string, unknown][] = isSingle(reward)
    ? [[reward.currency, reward.amount]]
    : Object.entries(reward);
  if (isSingle(reward) && Object.keys(reward).length !== 2) return undefined;
  if (entries.length > MAX_CURRENCIES) return undefined;
  if (!entries.every(([code, amount]) => CURRENCY_CODE.test(code) && isAmount(amount))) return undefined;
  return entries.map(([currencyCode, amount]) => ({ currencyCode, amount: amount as number }));
}

/** A map may name a currency "currency": its amount is a number, not a string. */
function isSingle(reward: Record<string, unknown>): reward is { currency: string; amount: unknown } {
  return typeof reward.currency === 'string';
}

function isAmount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
