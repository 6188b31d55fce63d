import { childOf, generateRefreshToken } from '../src/auth/refresh-token';
import { backoffMs } from '../src/common/backoff';
import { refuseHostileInput } from '../src/common/hostile-input';
import { clampCredit } from '../src/currency/amount';
import { claimRefusal, type ClaimFacts } from '../src/referrals/claim-rules';
import { canonicalCode, generateCode, isOwnCode } from '../src/referrals/code';
import { parseReward } from '../src/rewards/reward';
import { useWorld } from './support/world';

const world = useWorld();

describe('a reward', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`c${i}`, 1]));

  it.each<[unknown, number | undefined]>([
    [{}, 0],
    [{ currency: 'gems', amount: 50 }, 1],
    [{ amount: 50, currency: 'gems' }, 1],
    [{ gems: 50, gold: 10 }, 2],
    [{ xp: 100 }, 1],
    [{ currency: 5, amount: 6 }, 2],
    [{ amount: 6 }, 1],
    [{ gems: 9007199254740991 }, 1],
    [many(10), 10],
    [many(11), undefined],
    [{ currency: 'gems' }, undefined],
    [{ currency: 'gems', amount: 50, bonus: 1 }, undefined],
    [{ currency: '', amount: 50 }, undefined],
    [{ gems: 0 }, undefined],
    [{ gems: -5 }, undefined],
    [{ gems: 1.5 }, undefined],
    [{ gems: 9007199254740993 }, undefined],
    [{ gems: '100' }, undefined],
    [{ gems: null }, undefined],
    [{ gems: {} }, undefined],
    [{ '1gems': 1 }, undefined],
    [{ 'ge ms': 1 }, undefined],
    [[], undefined],
    ['gems', undefined],
    [5, undefined],
    [null, undefined],
  ])('%j has %p items, in code and in the database', async (reward, items) => {
    expect(parseReward(reward)?.length).toBe(items);
    const valid = await world.db
      .query(`SELECT reward_is_valid($1::json) AS valid`, [JSON.stringify(reward)])
      .then(
        ([row]) => row.valid,
        () => false,
      );
    expect(valid).toBe(items !== undefined);
  });
});

describe('a code', () => {
  it('is generated from 31 symbols, every one of them used, none more than its share', () => {
    const counts = new Map<string, number>();
    for (const symbol of generateCode(31 * 2000)) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    expect([...counts.keys()].sort().join('')).toBe('23456789ABCDEFGHJKMNPQRSTUVWXYZ');
    // 2000 expected, a standard deviation of 44: six of them either way
    for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(264);
  });

  it.each([
    ['ada-invites', 'ADAINVITES'],
    ['  A b_C-1 ', 'AB_C1'],
    ['---', undefined],
    ['', undefined],
    ['ſ', undefined],
    ['\u212A', undefined],
    ['a\tb', undefined],
    ['ı', undefined],
  ])('%j is found as %p, and the database derives the same', async (typed, canonical) => {
    expect(canonicalCode(typed)).toBe(canonical);
    if (!isOwnCode(typed)) return;
    const [row] = await world.db.query(`SELECT upper(replace($1::text, '-', '') COLLATE "C") AS canonical`, [
      typed,
    ]);
    expect(row.canonical).toBe(canonical);
  });

  it.each([
    ['abc', true],
    ['A-b_1', true],
    ['a'.repeat(32), true],
    ['ab', false],
    ['a'.repeat(33), false],
    ['---', false],
    ['a b', false],
    ['äbc', false],
  ])('%j may be chosen: %p', (code, allowed) => {
    expect(isOwnCode(code)).toBe(allowed);
  });
});

describe('a claim is refused', () => {
  const fine: ClaimFacts = {
    claimerId: 'grace',
    code: {
      ownerId: 'ada',
      currentUses: 4,
      maxUses: 5,
    },
    hasClaimedThisCode: false,
    claimsMade: 1,
    maxClaimsPerUser: 2,
  };
  const withCode = (code: Partial<ClaimFacts['code']>, rest: Partial<ClaimFacts> = {}): ClaimFacts => ({
    ...fine,
    ...rest,
    code: { ...fine.code, ...code },
  });
  const full = { currentUses: 5 };

  it.each<[string, ClaimFacts, string | null]>([
    ['not at all', fine, null],
    ['not without limits', withCode({ maxUses: null }, { maxClaimsPerUser: null, claimsMade: 99 }), null],
    ['not for a code without owner', withCode({ ownerId: null }), null],
    ['for the owner, even if full', withCode({ ...full, ownerId: 'grace' }), 'SELF_REFERRAL'],
    ['the second time, even if full', withCode(full, { hasClaimedThisCode: true }), 'ALREADY_CLAIMED'],
    ['when full, before the limit of the user', withCode(full, { claimsMade: 2 }), 'MAX_USES_REACHED'],
    ['beyond the limit of the user', { ...fine, claimsMade: 2 }, 'CLAIM_LIMIT_REACHED'],
  ])('%s', (_, facts, refusal) => {
    expect(claimRefusal(facts)).toBe(refusal);
  });
});

describe('a credit is clamped', () => {
  it.each([
    [50, 0, 100, 50],
    [50, 50, 100, 50],
    [50, 51, 100, 49],
    [50, 100, 100, 0],
    // a maximum that was lowered takes nothing away
    [50, 150, 100, 0],
    [9007199254740991, 1, 9007199254740991, 9007199254740990],
  ])('%d on %d of %d gives %d', (requested, balance, max, granted) => {
    expect(clampCredit(requested, balance, max)).toBe(granted);
  });
});

describe('the backoff', () => {
  it('doubles from 2 s to 8 h, within 10 %, and 24 waits take 3 to 4 days', () => {
    expect([1, 2, 3, 14, 15, 24].map((attempts) => backoffMs(attempts, 0.5))).toEqual([
      2_000, 4_000, 8_000, 16_384_000, 28_800_000, 28_800_000,
    ]);
    expect([backoffMs(1, 0), backoffMs(1, 0.999999)]).toEqual([1_800, 2_200]);
    const total = Array.from({ length: 24 }, (_, i) => backoffMs(i + 1, 0.5)).reduce(
      (sum, wait) => sum + wait,
    );
    expect(total / (24 * 60 * 60 * 1000)).toBeCloseTo(3.71, 2);
  });
});

describe('hostile input', () => {
  it('is refused at any depth, and depth itself without recursion', () => {
    const deep: Record<string, unknown> = {};
    for (let i = 0, at = deep; i < 100_000; i += 1) at = at.a = {};
    expect(() => refuseHostileInput(deep, 'body')).toThrow();
    expect(() => refuseHostileInput({ a: { b: ['\u0000'] } }, 'body')).toThrow();
    expect(() => refuseHostileInput({ 'a\ud800': 1 }, 'body')).toThrow();
    expect(() => refuseHostileInput(JSON.parse('{"a":{"__proto__":1}}'), 'body')).toThrow();
    expect(() => refuseHostileInput({ a: { b: ['💎', null, 1, true] } }, 'body')).not.toThrow();
  });
});

describe('a refresh token', () => {
  it('has one child, which cannot be foreseen without the secret', () => {
    const token = generateRefreshToken();
    expect(childOf(token, 'secret')).toBe(childOf(token, 'secret'));
    expect(childOf(token, 'secret')).not.toBe(childOf(token, 'another'));
    expect(childOf(token, 'secret')).not.toBe(childOf(generateRefreshToken(), 'secret'));
  });
});
