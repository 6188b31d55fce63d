import type { RateLimiterRes } from 'rate-limiter-flexible';

/** How often something may be done in a window, which begins with the first time. */
export interface Limit {
  /** 0: as often as one likes. */
  readonly requests: number;
  readonly perS: number;
}

/** Where somebody stands with a limit. */
export interface Standing {
  /** What was just asked for is too much. */
  readonly isExceeded: boolean;
  /** What is left of the window's requests. */
  readonly remaining: number;
  /** Seconds until the window is over; at least 1. */
  readonly resetS: number;
}

/** Counts what each subject does against one limit. */
export interface Limiter {
  /** Counts once more, unless the subject has had all. */
  consume(subject: string): Promise<Standing>;
  /** Counts nothing; undefined for a subject that has done nothing in this window. */
  look(subject: string): Promise<Standing | undefined>;
}

/** The library resolves with its state while there is room, and rejects with it when there is none. */
export function standingOf(state: RateLimiterRes, isExceeded: boolean): Standing {
  return {
    isExceeded,
    remaining: isExceeded ? 0 : state.remainingPoints,
    resetS: Math.max(1, Math.ceil(state.msBeforeNext / 1000)),
  };
}
