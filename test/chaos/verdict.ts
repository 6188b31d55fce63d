import type { Told } from './journal';

/** What the database says at the end, read without the promise table. */
export interface Evidence {
  claims: ClaimRow[];
  /** The referral rewards in the ledger. */
  lines: LineRow[];
  /** The grants by hand, with their lines in the ledger. */
  grants: GrantRow[];
  /** Balances above the maximum of their currency. */
  aboveMaximum: object[];
}

export interface ClaimRow {
  id: string;
  code: string;
  referrer_id: string | null;
  referee_id: string;
  /** As they were frozen when the claim was made. */
  reward_referrer: Record<string, string | number>;
  reward_referee: Record<string, string | number>;
}

export interface LineRow {
  claim_id: string;
  user_id: string;
  currency_code: string;
  requested: number;
}

export interface GrantRow {
  /** The wish of a client that it belongs to. */
  op: string;
  user_id: string;
  line_id: string | null;
}

/** What must be empty. Each entry says what is wrong. */
export interface Findings {
  /** A client was told of a claim that is not there, or not its own. */
  missing: string[];
  /** One wish was answered with two claims. */
  ambiguous: string[];
  /** A client was told that it cannot claim, and has claimed. */
  refusedButClaimed: string[];
  lost: string[];
  doubled: string[];
  /** Paid, but not promised to this user in this currency and amount. */
  invented: string[];
  /** A client was told of a grant by hand that is not there. */
  grantsMissing: string[];
  grantsDoubled: string[];
  aboveMaximum: string[];
}

/** Holds what was told and what was promised against what is there. Pure. */
export function judge(told: Told[], evidence: Evidence): Findings {
  return {
    ...judgeClaims(told, evidence.claims),
    ...judgeRewards(evidence.claims, evidence.lines),
    ...judgeGrants(told, evidence.grants),
    aboveMaximum: evidence.aboveMaximum.map((row) => JSON.stringify(row)),
  };
}

function judgeClaims(told: Told[], claims: ClaimRow[]) {
  const byId = new Map(claims.map((claim) => [claim.id, claim]));
  const claimed = new Set(claims.map(({ referee_id, code }) => `${referee_id} ${code}`));
  const answers = new Map<string, Set<string>>();
  const missing: string[] = [];
  const refusedButClaimed: string[] = [];
  for (const said of told) {
    if (said.kind === 'claimed') {
      const { op, userId, claimId, code } = said;
      answers.set(op, (answers.get(op) ?? new Set()).add(claimId));
      const claim = byId.get(claimId);
      if (claim?.referee_id !== userId || claim.code !== code) {
        missing.push(`claim ${claimId} of code ${code} by user ${userId} (${op})`);
      }
    }
    if (said.kind === 'refused' && claimed.has(`${said.userId} ${said.code}`)) {
      refusedButClaimed.push(`code ${said.code} by user ${said.userId} (${said.op})`);
    }
  }
  const ambiguous = [...answers]
    .filter(([, ids]) => ids.size > 1)
    .map(([op, ids]) => `${op} was told of ${[...ids].join(', ')}`);
  return { missing, ambiguous, refusedButClaimed };
}

function judgeRewards(claims: ClaimRow[], lines: LineRow[]) {
  const paid = new Map<string, number>();
  for (const line of lines) {
    const key = keyOf(line);
    paid.set(key, (paid.get(key) ?? 0) + 1);
  }
  const owed = new Set(claims.flatMap(owedFor).map(keyOf));
  return {
    lost: [...owed].filter((key) => !paid.has(key)),
    doubled: [...paid]
      .filter(([, times]) => times > 1)
      .map(([key, times]) => `${key} was paid ${times} times`),
    invented: [...paid.keys()].filter((key) => !owed.has(key)),
  };
}

function judgeGrants(told: Told[], grants: GrantRow[]) {
  const times = new Map<string, number>();
  for (const { op } of grants) times.set(op, (times.get(op) ?? 0) + 1);
  const lines = new Map(grants.map((grant) => [grant.line_id, grant]));
  return {
    grantsMissing: told
      .filter((said) => said.kind === 'granted')
      .filter(({ lineId, userId }) => lines.get(lineId)?.user_id !== userId)
      .map(({ op, lineId }) => `line ${lineId} (${op})`),
    grantsDoubled: [...times].filter(([, n]) => n > 1).map(([op, n]) => `${op} was granted ${n} times`),
  };
}

/** Every reward that a claim promised. */
export function owedFor(claim: ClaimRow): LineRow[] {
  const sides = [
    { userId: claim.referrer_id, reward: claim.reward_referrer },
    { userId: claim.referee_id, reward: claim.reward_referee },
  ];
  return sides.flatMap(({ userId, reward }) =>
    userId === null
      ? []
      : amountsOf(reward).map(([currency_code, requested]) => ({
          ...{ claim_id: claim.id, user_id: userId, currency_code, requested },
        })),
  );
}

/** Both shapes of a reward: `{ currency, amount }` and an amount per currency. */
function amountsOf(reward: Record<string, string | number>): [string, number][] {
  if (typeof reward.currency === 'string') return [[reward.currency, Number(reward.amount)]];
  return Object.entries(reward).map(([code, amount]) => [code, Number(amount)]);
}

function keyOf({ claim_id, user_id, currency_code, requested }: LineRow): string {
  return `${requested} ${currency_code} for user ${user_id} (claim ${claim_id})`;
}
