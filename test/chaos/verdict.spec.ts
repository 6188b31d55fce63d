import { ALL_FAULTS, planFaults } from './plan';
import { render, toReport, wasFoundOut, type Outcome } from './report';
import { judge, type Evidence, type Findings } from './verdict';
import type { Told } from './journal';

const CLAIM = {
  ...{ id: 'claim-1', code: 'ADA', referrer_id: 'ada', referee_id: 'grace' },
  reward_referrer: { currency: 'gems', amount: 50 },
  reward_referee: { gems: 25, coins: 200 },
};
const LINES = [
  { claim_id: 'claim-1', user_id: 'ada', currency_code: 'gems', requested: 50 },
  { claim_id: 'claim-1', user_id: 'grace', currency_code: 'gems', requested: 25 },
  { claim_id: 'claim-1', user_id: 'grace', currency_code: 'coins', requested: 200 },
] as const;
const EVIDENCE: Evidence = {
  claims: [CLAIM],
  lines: [...LINES],
  grants: [{ op: 'grant-1', user_id: 'grace', line_id: 'line-1' }],
  aboveMaximum: [],
};
const TOLD: Told[] = [
  { kind: 'claimed', op: 'op-1', userId: 'grace', code: 'ADA', claimId: 'claim-1' },
  { kind: 'claimed', op: 'op-1', userId: 'grace', code: 'ADA', claimId: 'claim-1' },
  { kind: 'refused', op: 'op-2', userId: 'grace', code: 'FULL' },
  { kind: 'granted', op: 'grant-1', userId: 'grace', lineId: 'line-1' },
];
const NOTHING: Findings = {
  ...{ missing: [], ambiguous: [], refusedButClaimed: [], lost: [], doubled: [], invented: [] },
  ...{ grantsMissing: [], grantsDoubled: [], aboveMaximum: [] },
};

describe('the verdict', () => {
  it('finds nothing when all is well', () => {
    expect(judge(TOLD, EVIDENCE)).toEqual(NOTHING);
  });

  it('owes nothing to the referrer of a code without one, and nothing for an empty reward', () => {
    const promo = { ...CLAIM, referrer_id: null, reward_referee: {} };
    expect(judge(TOLD, { ...EVIDENCE, claims: [promo], lines: [] })).toEqual(NOTHING);
  });

  it.each<[string, Partial<Evidence>, Told[], Partial<Findings>]>([
    [
      'an acknowledged claim that is not there',
      {},
      [{ kind: 'claimed', op: 'op-3', userId: 'grace', code: 'ADA', claimId: 'claim-9' }],
      { missing: ['claim claim-9 of code ADA by user grace (op-3)'] },
    ],
    [
      "an acknowledged claim that is somebody else's",
      {},
      [{ kind: 'claimed', op: 'op-3', userId: 'eve', code: 'ADA', claimId: 'claim-1' }],
      { missing: ['claim claim-1 of code ADA by user eve (op-3)'] },
    ],
    [
      'an acknowledged claim of another code',
      {},
      [{ kind: 'claimed', op: 'op-3', userId: 'grace', code: 'EVE', claimId: 'claim-1' }],
      { missing: ['claim claim-1 of code EVE by user grace (op-3)'] },
    ],
    [
      'one wish with two answers',
      {
        claims: [CLAIM, { ...CLAIM, id: 'claim-2', reward_referrer: {}, reward_referee: {} }],
      },
      [{ kind: 'claimed', op: 'op-1', userId: 'grace', code: 'ADA', claimId: 'claim-2' }],
      { ambiguous: ['op-1 was told of claim-1, claim-2'] },
    ],
    [
      'a refused claim that was made',
      {},
      [{ kind: 'refused', op: 'op-4', userId: 'grace', code: 'ADA' }],
      { refusedButClaimed: ['code ADA by user grace (op-4)'] },
    ],
    [
      'a lost reward',
      { lines: LINES.slice(0, 2) },
      [],
      { lost: ['200 coins for user grace (claim claim-1)'] },
    ],
    [
      'a doubled reward',
      { lines: [...LINES, LINES[0]] },
      [],
      { doubled: ['50 gems for user ada (claim claim-1) was paid 2 times'] },
    ],
    [
      'a reward in another amount',
      { lines: [...LINES.slice(1), { ...LINES[0], requested: 51 }] },
      [],
      {
        lost: ['50 gems for user ada (claim claim-1)'],
        invented: ['51 gems for user ada (claim claim-1)'],
      },
    ],
    [
      'an acknowledged grant by hand without its line',
      { grants: [{ op: 'grant-1', user_id: 'grace', line_id: null }] },
      [],
      { grantsMissing: ['line line-1 (grant-1)'] },
    ],
    [
      'a doubled grant by hand',
      { grants: [...EVIDENCE.grants, { op: 'grant-1', user_id: 'grace', line_id: 'line-2' }] },
      [],
      { grantsDoubled: ['grant-1 was granted 2 times'] },
    ],
    [
      'a balance above its maximum',
      { aboveMaximum: [{ balance: 11, max_balance: 10 }] },
      [],
      { aboveMaximum: ['{"balance":11,"max_balance":10}'] },
    ],
  ])('finds %s', (_, changed, alsoTold, found) => {
    expect(judge([...TOLD, ...alsoTold], { ...EVIDENCE, ...changed })).toEqual({ ...NOTHING, ...found });
  });
});

describe('the report', () => {
  const everyFault = ALL_FAULTS.map((fault) => ({
    fault: { ...fault, afterMs: 0, app: 0, link: 0, muteMs: 0 },
    ...{ app: 'app-1', atMs: 0 },
  }));
  const outcome = (changed: Partial<Outcome> = {}): Outcome => ({
    options: { seconds: 60, seed: 1, apps: 3, clients: 12, withoutPromises: false },
    strikes: everyFault,
    ...{ struckForS: 60, starts: 4, deaths: [], requests: 2, retries: 1, claims: 1, drainS: 0 },
    acknowledged: { claims: 1, grants: 1 },
    promises: { made: 3, granted: 3, late: 0, pending: 0 },
    ...{ brokenInvariants: [], wrongAnswers: [], findings: NOTHING },
    ...changed,
  });

  it('is good when every fault has struck and nothing was found', () => {
    expect(toReport(outcome())).toMatchObject({ ok: true, neverStruck: [] });
  });

  it.each<[string, Partial<Outcome>]>([
    ...Object.keys(NOTHING).map((name): [string, Partial<Outcome>] => [
      name,
      { findings: { ...NOTHING, [name]: ['something'] } },
    ]),
    ['a broken invariant', { brokenInvariants: ['uses_counted'] }],
    ['a wrong answer', { wrongAnswers: ['op: 404'] }],
    ['an app that ended by itself', { deaths: ['app-1: 1'] }],
    ['a promise left pending', { promises: { made: 3, granted: 2, late: 0, pending: 1 } }],
    ['a fault that never struck', { strikes: everyFault.slice(1) }],
  ])('is bad with %s', (_, changed) => {
    expect(toReport(outcome(changed)).ok).toBe(false);
  });

  it('names the faults that never struck, but expects all of them only of a run of a minute', () => {
    const [first, ...others] = everyFault;
    expect(toReport(outcome({ strikes: others })).neverStruck).toMatchObject([
      { kind: first?.fault.kind, place: first?.fault.place },
    ]);
    const short = { ...outcome().options, seconds: 59 };
    expect(toReport(outcome({ strikes: others, options: short })).ok).toBe(true);
  });

  it('shows what was lost', () => {
    const lost = ['50 gems for user ada (claim claim-1)'];
    const text = render(toReport(outcome({ findings: { ...NOTHING, lost } })));
    expect(text).toMatch(/^rewards lost +1\n {4}50 gems for user ada \(claim claim-1\)$/m);
  });

  it('finds a build without promises out by what it lost, and only if it kept all else', () => {
    const lost = { findings: { ...NOTHING, lost: ['something'] } };
    expect(wasFoundOut(toReport(outcome(lost)))).toBe(true);
    expect(wasFoundOut(toReport(outcome()))).toBe(false);
    expect(wasFoundOut(toReport(outcome({ ...lost, wrongAnswers: ['op: 404'] })))).toBe(false);
    expect(wasFoundOut(toReport(outcome({ findings: { ...lost.findings, missing: ['claim'] } })))).toBe(
      false,
    );
  });
});

describe('the plan', () => {
  const firstOf = (seed: number, count: number) => {
    const plan = planFaults(seed, 4);
    return Array.from({ length: count }, () => plan.next().value);
  };

  it('is the same for the same seed, and another one for another', () => {
    expect(firstOf(5, 100)).toEqual(firstOf(5, 100));
    expect(firstOf(5, 100)).not.toEqual(firstOf(6, 100));
  });

  it('strikes with every fault before any comes again', () => {
    const names = firstOf(5, ALL_FAULTS.length).map(({ kind, place }) => `${kind}, ${place}`);
    expect(names.sort()).toEqual(ALL_FAULTS.map(({ kind, place }) => `${kind}, ${place}`).sort());
  });
});
