import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { standingOf, type Limit, type Limiter, type Standing } from './limiter';
import { storedKeyOf, type Addition, type Total } from './limits-table';
import { hasNone } from './local-limiter';

/** Of the limit: who has done less that the others do not know of is not worth a row. */
const WORTH_TELLING = 0.02;

interface Told {
  points: number;
  /** Of `Date.now()`: the end of the window that they count in. */
  until: number;
}

/**
 * Counts in the memory of this instance, and tells the others at times what it counted (`Settlement`): for limits that every
 * request meets, and that may not cost it a wait for the database.
 */
export class SettledLimiter implements Limiter {
  private readonly counts: RateLimiterMemory;
  private readonly leastNews: number;
  /** What of the counts all instances know, by subject. */
  private readonly told = new Map<string, Told>();
  /** Subjects with news that are worth telling. */
  private readonly ripe = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly limit: Limit,
  ) {
    this.counts = new RateLimiterMemory({ points: limit.requests, duration: limit.perS });
    this.leastNews = Math.ceil(limit.requests * WORTH_TELLING);
  }

  consume(subject: string): Promise<Standing> {
    return this.counts.consume(subject).then((state) => {
      if (this.newsIn(subject, state) >= this.leastNews) this.ripe.add(subject);
      return standingOf(state, false);
    }, hasNone);
  }

  async look(subject: string): Promise<Standing | undefined> {
    const state = await this.counts.get(subject);
    return state ? standingOf(state, state.remainingPoints === 0) : undefined;
  }

  /** What the others should hear, by subject. It stays news until `learn` has the answer. */
  async news(): Promise<Map<string, Addition>> {
    this.forgetThePast();
    const news = new Map<string, Addition>();
    for (const subject of this.ripe) {
      const state = await this.counts.get(subject);
      const msLeft = Math.round(state?.msBeforeNext ?? 0);
      const points = state ? this.newsIn(subject, state) : 0;
      if (msLeft > 0 && points > 0)
        news.set(subject, { key: storedKeyOf(this.name, subject), points, msLeft });
      else this.ripe.delete(subject);
    }
    return news;
  }

  /** What all instances know of the subject, now that they know of these additional `points`. */
  async learn(subject: string, points: number, total: Total): Promise<void> {
    this.ripe.delete(subject);
    const state = await this.counts.get(subject);
    const since = state ? this.newsIn(subject, state) - points : 0;
    await this.counts.set(subject, total.points + since, total.msLeft / 1000);
    this.told.set(subject, { points: total.points, until: Date.now() + total.msLeft });
  }

  /** A refused request is nobody's news. */
  private newsIn(subject: string, { consumedPoints }: RateLimiterRes): number {
    const told = this.told.get(subject);
    const known = told && told.until > Date.now() ? told.points : 0;
    return Math.min(consumedPoints, this.limit.requests) - known;
  }

  private forgetThePast(): void {
    const now = Date.now();
    for (const [subject, { until }] of this.told) if (until <= now) this.told.delete(subject);
  }
}
