import { Inject, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../config';
import { HousekeepingMetrics } from './housekeeping.metrics';
import { BATCH_ROWS, type Removal } from './removal';
import { removalsOf } from './removals';

/** Between two batches: a backlog of millions must not keep the database from its requests. */
const PAUSE_MS = 100;

/** Removes what is past its retention. */
@Injectable()
export class HousekeepingService {
  private readonly logger = new Logger('Housekeeping');
  private readonly removals: Removal[];

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly metrics: HousekeepingMetrics,
    @Inject(CONFIG) config: Config,
  ) {
    this.removals = removalsOf(config);
    for (const { tables } of this.removals) {
      metrics.count(Object.fromEntries(tables.map((table) => [table, 0])));
    }
  }

  /**
   * Removes all that is due, a batch at a time. Any number of instances may do so at once: each row goes once, and
   * nobody waits for a lock. What fails is logged and left for the next time, and the rest goes on.
   *
   * @param signal ends it after the batch under way
   */
  async removeDue(signal?: AbortSignal): Promise<void> {
    for (const removal of this.removals) {
      try {
        await this.removeAll(removal, signal);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.logger.error(`Old rows of ${removal.tables.join(' and ')} could not be removed: ${reason}`);
      }
    }
  }

  private async removeAll({ removeBatch }: Removal, signal?: AbortSignal): Promise<void> {
    while (!signal?.aborted) {
      const removed = await removeBatch(this.dataSource);
      this.metrics.count(removed);
      if (!Object.values(removed).includes(BATCH_ROWS)) return;
      await sleep(PAUSE_MS);
    }
  }
}
