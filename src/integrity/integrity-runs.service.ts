import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { IntegrityService } from './integrity.service';

/** What the last check found, by invariant. */
export interface IntegrityFinding {
  name: string;
  broken_rows: number;
}

/** The latest check that came to its end. */
export interface LatestRun {
  finished_at: Date;
  report: IntegrityFinding[];
}

/** A query for the `LatestRun`; no row before the first. */
export const LATEST_RUN =
  'SELECT finished_at, report FROM integrity_runs WHERE report IS NOT NULL ORDER BY due_at DESC LIMIT 1';

/** The checks that the server makes on its own, once per interval whichever instance comes first. */
@Injectable()
export class IntegrityRunsService {
  private readonly logger = new Logger('Integrity');

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly integrity: IntegrityService,
  ) {}

  /**
   * Checks everything, unless the check of this interval was made or begun by any instance. What is broken is logged,
   * and kept with the rest of the report until housekeeping removes it. A check that `signal` ends is left to another instance.
   */
  async runDue(now: Date, intervalMs: number, signal?: AbortSignal): Promise<void> {
    const dueAt = new Date(Math.floor(now.getTime() / intervalMs) * intervalMs);
    if (!(await this.begin(dueAt))) return;
    try {
      const { invariants } = await this.integrity.check(null, signal);
      for (const { ok, number, name, brokenRows } of invariants) {
        if (!ok) this.logger.error(`Invariant ${number} (${name}) is broken by ${brokenRows} rows`);
      }
      const report = invariants.map(({ name, brokenRows }) => ({ name, broken_rows: brokenRows }));
      await this.end(dueAt, { report: JSON.stringify(report) });
    } catch (error) {
      if (signal?.aborted) return this.leave(dueAt);
      await this.end(dueAt, { error: String(error) });
      throw error;
    }
  }

  private async begin(dueAt: Date): Promise<boolean> {
    const inserted = await this.dataSource.query<object[]>(
      'INSERT INTO integrity_runs (due_at) VALUES ($1) ON CONFLICT DO NOTHING RETURNING due_at',
      [dueAt],
    );
    return inserted.length > 0;
  }

  private async leave(dueAt: Date): Promise<void> {
    await this.dataSource.query('DELETE FROM integrity_runs WHERE due_at = $1', [dueAt]);
  }

  private async end(dueAt: Date, { report, error }: { report?: string; error?: string }): Promise<void> {
    await this.dataSource.query(
      'UPDATE integrity_runs SET finished_at = clock_timestamp(), report = $2, error = $3 WHERE due_at = $1',
      [dueAt, report ?? null, error ?? null],
    );
  }
}
