import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { isDatabaseUnavailable } from '../common/database-error';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { addToTotals, type Addition } from './limits-table';
import type { SettledLimiter } from './settled-limiter';

/**
 * Tells the other instances what this one counted, and hears from them, for all its limits in one statement. With
 * `RATE_LIMIT_STORE=local` there is nothing to tell.
 */
@Injectable()
export class Settlement implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly limiters: SettledLimiter[] = [];
  private readonly loop?: WorkerLoop;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) { rateLimitStore, rateLimitIntervalMs }: Config,
  ) {
    if (rateLimitStore === 'local' || rateLimitIntervalMs === 0) return;
    this.loop = new WorkerLoop(
      Settlement.name,
      async () => {
        await this.settle();
        return false;
      },
      rateLimitIntervalMs,
    );
  }

  /** From now on this one's counts are settled, too. */
  include(limiter: SettledLimiter): void {
    this.limiters.push(limiter);
  }

  /**
   * Settles once. While the database is away nothing is lost: it is told the next time.
   *
   * @throws what the statement fails with, but for a database that is away
   */
  async settle(): Promise<void> {
    const news: { limiter: SettledLimiter; subject: string; addition: Addition }[] = [];
    for (const limiter of this.limiters) {
      for (const [subject, addition] of await limiter.news()) news.push({ limiter, subject, addition });
    }
    if (news.length === 0) return;
    const totals = await this.add(news.map(({ addition }) => addition));
    for (const { limiter, subject, addition } of news) {
      const total = totals.get(addition.key);
      if (total) await limiter.learn(subject, addition.points, total);
    }
  }

  onApplicationBootstrap(): void {
    this.loop?.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop?.stop();
  }

  private async add(additions: Addition[]) {
    try {
      const totals = await addToTotals(this.dataSource, additions);
      return new Map(totals.map((total) => [total.key, total]));
    } catch (error) {
      if (isDatabaseUnavailable(error)) return new Map<string, never>();
      throw error;
    }
  }
}
