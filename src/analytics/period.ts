import type { FieldError } from '../common/api-error';

/** UTC days as `YYYY-MM-DD`, both inclusive. */
export interface Period {
  from: string;
  to: string;
}

export const MAX_DAYS = 366;
export const DEFAULT_DAYS = 30;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A day that the calendar has, from 2000 to 2999. */
export function isDay(value: unknown): value is string {
  if (typeof value !== 'string' || !/^2\d{3}-\d{2}-\d{2}$/.test(value)) return false;
  const time = Date.parse(`${value}T00:00:00Z`);
  // JavaScript reads 30 February as 2 March
  return !Number.isNaN(time) && toDay(time) === value;
}

/** The period that was asked for: up to today where no end is given, 30 days where no start is. */
export function resolvePeriod({ from, to }: Partial<Period>, now: Date): Period {
  const end = to ?? toDay(now.getTime());
  return { from: from ?? addDays(end, 1 - DEFAULT_DAYS), to: end };
}

/** Why a period is refused, or undefined. */
export function periodFault({ from, to }: Period): FieldError | undefined {
  if (from > to) return { field: 'from', message: 'from must not be after to' };
  if (daysBetween(from, to) >= MAX_DAYS) {
    return { field: 'from', message: `from and to must be at most ${MAX_DAYS} days apart, both counted` };
  }
  return undefined;
}

/** Every day of the period, in order. */
export function daysOf({ from, to }: Period): string[] {
  return Array.from({ length: daysBetween(from, to) + 1 }, (_, i) => addDays(from, i));
}

export function addDays(day: string, days: number): string {
  return toDay(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS);
}

function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS);
}

function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
