import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { isDatabaseUnavailable } from '../common/database-error';
import { inTransaction } from '../common/transaction';
import { addSlice, advance, nextSlice, takeProject } from './rollup-statements';

/** A project that could not be rolled up lets the others go first for this long. */
const RETRY_WAIT_MS = 60_000;

/** Adds hours that can no longer change to the daily rollups, so that the analytics need not count them again. */
@Injectable()
export class RollupsService {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Rolls up one slice, at most a day, of the project that is furthest behind. Any number of instances may do so at
   * once: the lock on the project's row in `analytics_progress` lets one of them add each slice, once.
   *
   * @param now closes no hour that ends less than a quarter of an hour before it
   * @returns whether there may be more
   */
  async runOnce(now: Date): Promise<boolean> {
    let underWay: string | undefined;
    try {
      return await inTransaction(this.dataSource, async (queryRunner) => {
        const project = await takeProject(queryRunner, now);
        if (project === undefined) return false;
        underWay = project.projectId;
        const slice = await nextSlice(queryRunner, project);
        if (slice) await addSlice(queryRunner, slice);
        await advance(queryRunner, project.projectId, slice?.end ?? project.horizon);
        return true;
      });
    } catch (error) {
      if (underWay !== undefined && !isDatabaseUnavailable(error)) await this.postpone(underWay, now);
      throw error;
    }
  }

  private async postpone(projectId: string, now: Date): Promise<void> {
    await this.dataSource.query(`UPDATE analytics_progress SET next_try_at = $2 WHERE project_id = $1`, [
      projectId,
      new Date(now.getTime() + RETRY_WAIT_MS),
    ]);
  }
}
