import type { Promises } from './evidence';
import { ALL_FAULTS, KINDS, type Fault, type Place } from './plan';
import type { Strike } from './saboteur';
import type { Findings } from './verdict';

/** A run this long must have struck with every fault there is at least once. */
const EVERY_FAULT_FROM_S = 60;

/** Where a killed app loses a reward for certain, when no promise was stored. */
const CERTAIN_LOSS: Place[] = ['grant before its first write', 'grant inside', 'grant before COMMIT'];

export interface Settings {
  seconds: number;
  seed: number;
  apps: number;
  clients: number;
  withoutPromises: boolean;
}

/** All that is known of a run when it is over. */
export interface Outcome {
  options: Settings;
  /** How long faults could strike. */
  struckForS: number;
  strikes: Strike[];
  /** Of the apps, the first ones included. */
  starts: number;
  /** Instances that ended while they served, and nobody had killed them. */
  deaths: string[];
  requests: number;
  retries: number;
  claims: number;
  acknowledged: { claims: number; grants: number };
  promises: Promises;
  drainS: number;
  /** What the product's own check found broken: names of invariants. */
  brokenInvariants: string[];
  /** Answers that no correct server gives. */
  wrongAnswers: string[];
  findings: Findings;
}

export interface Report extends Outcome {
  struck: (Fault & { times: number })[];
  /** Faults that a run of this length must have struck with, and did not. */
  neverStruck: Fault[];
  ok: boolean;
}

export function toReport(outcome: Outcome): Report {
  const { strikes, options } = outcome;
  const struck = ALL_FAULTS.map((fault) => ({ ...fault, times: timesOf(strikes, fault) }));
  const neverStruck = mustShow(options).filter((fault) => timesOf(strikes, fault) === 0);
  const ok =
    neverStruck.length === 0 &&
    [outcome.deaths, outcome.wrongAnswers, outcome.brokenInvariants].every((list) => list.length === 0) &&
    outcome.promises.pending === 0 &&
    Object.values(outcome.findings).every((list: string[]) => list.length === 0);
  return { ...outcome, struck, neverStruck, ok };
}

/**
 * Whether a build without promises was found out: it lost rewards, and kept everything that does not hang on promises.
 * Its invariants about promises are broken by definition.
 */
export function wasFoundOut({ findings, wrongAnswers, deaths }: Report): boolean {
  const { lost, ...others } = findings;
  return (
    lost.length > 0 &&
    [...Object.values(others), wrongAnswers, deaths].every((list: string[]) => list.length === 0)
  );
}

/** Whether a run of this kind may end: it has struck with what it must have struck with. */
export function hasShownEnough(settings: Settings, strikes: Strike[]): boolean {
  if (settings.withoutPromises) {
    return strikes.some(({ fault }) => fault.kind === 'kill -9 app' && CERTAIN_LOSS.includes(fault.place));
  }
  return mustShow(settings).every((fault) => timesOf(strikes, fault) > 0);
}

function mustShow({ seconds, withoutPromises }: Settings): Fault[] {
  return seconds < EVERY_FAULT_FROM_S || withoutPromises ? [] : ALL_FAULTS;
}

function timesOf(strikes: Strike[], wanted: Fault): number {
  return strikes.filter(({ fault }) => isSame(fault, wanted)).length;
}

function isSame(one: Fault, other: Fault): boolean {
  return one.kind === other.kind && one.place === other.place;
}

const SHOWN = 5;

/** For people. */
export function render(report: Report): string {
  const { options, findings, promises, acknowledged } = report;
  const rows: [string, number | string][] = [
    ['seconds', report.struckForS],
    ['seed', options.seed],
    ['apps, and one that only sweeps', options.apps],
    ['starts of apps', report.starts],
    ['clients', options.clients],
    ['requests', report.requests],
    ['  sent again after a 5xx or no answer', report.retries],
    ['claims', report.claims],
    ['  acknowledged', acknowledged.claims],
    ['grants by hand, acknowledged', acknowledged.grants],
    ['promises', promises.made],
    ['  granted', promises.granted],
    ['  paid late (after 2 s, or not at the first try)', promises.late],
    ['drained in seconds', report.drainS],
  ];
  const checks: [string, string[]][] = [
    ['acknowledged claims that are missing', findings.missing],
    ['claims answered with two ids', findings.ambiguous],
    ['claims refused and made all the same', findings.refusedButClaimed],
    ['rewards lost', findings.lost],
    ['rewards doubled', findings.doubled],
    ['rewards nobody promised', findings.invented],
    ['acknowledged grants by hand that are missing', findings.grantsMissing],
    ['grants by hand doubled', findings.grantsDoubled],
    ['balances above the maximum', findings.aboveMaximum],
    ['invariants broken', report.brokenInvariants],
    ['wrong answers', report.wrongAnswers],
    ['apps that ended by themselves', report.deaths],
    ['promises left pending', Array.from({ length: promises.pending }, () => 'see reward_grants')],
    ['faults that never struck', report.neverStruck.map(({ kind, place }) => `${kind}, ${place}`)],
  ];
  return [
    ...rows.map(([name, value]) => line(name, value)),
    '',
    ...KINDS.flatMap((kind) => renderKind(kind, report.struck)),
    '',
    ...checks.flatMap(([name, list]) => [
      line(name, list.length),
      ...list.slice(0, SHOWN).map((entry) => `    ${entry}`),
    ]),
  ].join('\n');
}

function renderKind(kind: string, struck: Report['struck']): string[] {
  const places = struck.filter((row) => row.kind === kind);
  const total = places.reduce((sum, { times }) => sum + times, 0);
  return [line(kind, total), ...places.map(({ place, times }) => line(`  ${place}`, times))];
}

function line(name: string, value: number | string): string {
  return `${name.padEnd(50)} ${String(value).padStart(10)}`;
}
