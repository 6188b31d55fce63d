import type { DataSource } from 'typeorm';
import { isDependent, type Effect } from './footprint';
import type { SteppedSession } from './stepped-session';

/** A statement that is not done by then is looked at: it may wait for a lock. */
const LOOK_AFTER_MS = 3;
const STUCK_AFTER_MS = 20_000;

export interface Scenario<T> {
  /** One for each session, over HTTP. */
  operations: [() => PromiseLike<T>, () => PromiseLike<T>];
  /** Fails unless what happened is permitted; says in a word which of the permitted outcomes it was. */
  check: (answers: [T, T]) => Promise<string>;
}

export interface Explored {
  /** Orders that were run to their end and checked; no two of them are the same up to what commutes. */
  schedules: number;
  /** Runs that turned out to repeat one of them. */
  repeated: number;
  /** Orders in which the two waited for one another. */
  deadlocks: number;
  outcomes: Record<string, number>;
}

interface Explorer {
  sessions: [SteppedSession, SteppedSession];
  observer: DataSource;
  /** Also orders that differ only in statements that commute. */
  exhaustive?: boolean;
}

type Step = Effect & { text: string; session: SteppedSession; waited?: boolean };

/** A point at which it was decided whose statement is next. */
interface Choice {
  enabled: Step[];
  chosen: Step;
  /** Sessions to be tried here, because a race was seen. */
  todo: Set<SteppedSession>;
  /** Statements whose going first here is explored already, here or higher up. */
  asleep: Step[];
}

/**
 * Runs two operations in every order of their statements, each time on a fresh scene: depth first, by replaying a prefix
 * of choices and going on from there.
 *
 * Two that wait for one another are a deadlock: they are left to PostgreSQL and to the product, unstepped, and what comes
 * of it is checked like any other end.
 *
 * Orders that differ only in statements that commute (`isDependent`) are run once. This is dynamic partial-order
 * reduction with sleep sets (Flanagan and Godefroid): after a run, every two dependent statements of different
 * sessions that nothing else kept in order are a race, and the other order is tried from the point before them.
 */
export async function everyOrder<T>(
  explorer: Explorer,
  scene: () => Promise<Scenario<T>>,
): Promise<Explored> {
  const explored: Explored = { schedules: 0, repeated: 0, deadlocks: 0, outcomes: {} };
  const dependent = explorer.exhaustive ? () => true : isDependent;
  const path: Choice[] = [];
  do {
    const { operations, check } = await scene();
    const [left, right] = explorer.sessions;
    const answers = Promise.all([left.start(operations[0]), right.start(operations[1])]);
    const end = await followAndExtend(explorer, path, dependent).finally(() => letGo(explorer, answers));
    const received = (await answers) as [T, T];
    if (end === 'deadlock') explored.deadlocks += 1;
    if (end === 'repeated') {
      explored.repeated += 1;
    } else {
      const outcome = await check(received).catch((cause: unknown) => {
        throw new Error(
          `After ${explored.schedules} orders that were right, this one was not:\n${told(path)}`,
          { cause },
        );
      });
      explored.schedules += 1;
      explored.outcomes[outcome] = (explored.outcomes[outcome] ?? 0) + 1;
    }
    noteRaces(path, dependent);
    backtrack(path);
  } while (path.length > 0);
  return explored;
}

/** What is left of the two goes on unstepped; nothing of them is left for the next run. */
async function letGo(explorer: Explorer, answers: Promise<unknown>): Promise<void> {
  for (const session of explorer.sessions) session.open();
  await Promise.allSettled([answers]);
  await settled(explorer);
}

type Dependence = typeof isDependent;

/** How a run ended; `repeated` when all that could go on was explored before. */
type End = 'complete' | 'repeated' | 'deadlock';

async function followAndExtend(explorer: Explorer, path: Choice[], dependent: Dependence): Promise<End> {
  for (let depth = 0; ; depth += 1) {
    if ((await settled(explorer, path.slice(0, depth))) === 'deadlock') return 'deadlock';
    const enabled = explorer.sessions.flatMap((session) =>
      session.next ? [{ ...session.next, session }] : [],
    );
    if (enabled.length === 0) return 'complete';
    const known = path[depth];
    if (known) assertSame(known.enabled, enabled, path);
    const choice = known ?? choose(enabled, path.at(-1), dependent);
    if (choice === undefined) return 'repeated';
    if (!known) path.push(choice);
    choice.chosen.session.release();
  }
}

/** Whoever was on goes on, unless that was explored. */
function choose(enabled: Step[], before: Choice | undefined, dependent: Dependence): Choice | undefined {
  const asleep = (before?.asleep ?? []).filter(
    (step) => step.session !== before?.chosen.session && before && !dependent(step, before.chosen),
  );
  const awake = enabled.filter(({ session }) => !asleep.some((step) => step.session === session));
  const chosen = awake.find(({ session }) => session === before?.chosen.session) ?? awake[0];
  return chosen && { enabled, chosen, asleep, todo: new Set() };
}

function noteRaces(path: Choice[], dependent: Dependence): void {
  const before: Set<number>[] = [];
  for (const [j, { chosen: later }] of path.entries()) {
    const ordered = new Set<number>();
    for (let i = j - 1; i >= 0; i -= 1) {
      const choice = path[i] as Choice;
      const isSameSession = choice.chosen.session === later.session;
      if (ordered.has(i) || !(isSameSession || dependent(choice.chosen, later))) continue;
      if (!isSameSession) choice.todo.add(later.session);
      ordered.add(i);
      before[i]?.forEach((index) => ordered.add(index));
    }
    before[j] = ordered;
  }
}

/** Goes back to the last point at which something is left to be tried, and chooses it. */
function backtrack(path: Choice[]): void {
  for (let last = path.at(-1); last; last = path.at(-1)) {
    const { enabled, todo, chosen } = last;
    last.asleep.push(chosen);
    const asleep = last.asleep.map(({ session }) => session);
    const next = enabled.find(({ session }) => todo.has(session) && !asleep.includes(session));
    if (next) {
      last.chosen = next;
      return;
    }
    path.pop();
  }
}

/**
 * Waits until each session is done, holds a statement back, or has one that waits for a lock of the other, which is at
 * rest. When each waits for the other, nobody is left to be stepped.
 */
async function settled(
  { sessions, observer }: Explorer,
  path: Choice[] = [],
): Promise<'settled' | 'deadlock'> {
  const until = Date.now() + STUCK_AFTER_MS;
  for (let isFirstLook = true; ; isFirstLook = false) {
    const moving = sessions.filter((session) => session.next === undefined && !session.isDone);
    const statements = moving.map(
      (session) => path.findLast(({ chosen }) => chosen.session === session)?.chosen,
    );
    if (moving.length === 0) return 'settled';
    if (!isFirstLook || statements.every((statement) => statement?.waited)) {
      const looks = await Promise.all(moving.map((session) => isBlocked(session, sessions, observer)));
      if (looks.every((isBlocked) => isBlocked)) {
        for (const statement of statements) if (statement) statement.waited = true;
        return moving.length === 2 ? 'deadlock' : 'settled';
      }
    }
    if (Date.now() > until) throw new Error(`Nothing moves any more:\n${told(path)}`);
    await Promise.race(moving.map((session) => session.change(LOOK_AFTER_MS)));
  }
}

/** Whether the statement that is under way waits for a lock of the other session. */
async function isBlocked(
  session: SteppedSession,
  sessions: SteppedSession[],
  observer: DataSource,
): Promise<boolean> {
  const pid = session.runningPid;
  if (pid === undefined) return false;
  const others = sessions.filter((other) => other !== session).flatMap((other) => other.backendPids);
  const [{ blocked }] = await observer.query<[{ blocked: boolean }]>(
    `SELECT pg_blocking_pids($1) && $2::int[] AS blocked`,
    [pid, others],
  );
  return blocked && session.runningPid === pid;
}

function assertSame(known: Step[], found: Step[], path: Choice[]): void {
  const [before, now] = [known, found].map((steps) =>
    steps.map(({ session, text }) => `${session.name} ${text}`),
  );
  if (JSON.stringify(before) === JSON.stringify(now)) return;
  throw new Error(`The same choices led elsewhere: ${JSON.stringify({ before, now })}\n${told(path)}`);
}

function told(path: Choice[]): string {
  return path
    .map(
      ({ chosen: { session, text, waited } }) =>
        `  ${session.name.padEnd(6)} ${short(text)}${waited ? '  -- waits' : ''}`,
    )
    .join('\n');
}

/** Its beginning, and its end, where the locks are. */
function short(text: string): string {
  const line = text
    .replace(/\s+/g, ' ')
    .replace(/^SELECT .+? FROM /, 'SELECT … FROM ')
    .trim();
  return line.length > 120 ? `${line.slice(0, 80)} … ${line.slice(-37)}` : line;
}
