import { Inject, Injectable } from '@nestjs/common';
import { Gauge, Registry } from 'prom-client';
import { CONFIG, type Config } from '../config';
import { DatabaseGauges } from '../database/database-gauges';
import { LATEST_RUN, type LatestRun } from './integrity-runs.service';

/** What the last check found. It is read from the database, so that every instance tells the same. */
@Injectable()
export class IntegrityMetrics {
  constructor(registry: Registry, database: DatabaseGauges, @Inject(CONFIG) { integrityIntervalMs }: Config) {
    const broken = new Gauge({
      name: 'amba_integrity_broken_rows',
      help: 'Rows that break an invariant, by the latest check. Anything above 0 needs a person.',
      labelNames: ['invariant'],
      registers: [registry],
    });
    const checkedAt = new Gauge({
      name: 'amba_integrity_checked_timestamp_seconds',
      help: 'When the latest check of all invariants ended, in seconds since 1970; 0 before the first.',
      registers: [registry],
    });
    const interval = new Gauge({
      name: 'amba_integrity_interval_seconds',
      help: 'How often a check is due, by the setting of this instance: INTEGRITY_INTERVAL_S; 0 for never.',
      registers: [registry],
    });
    interval.set(integrityIntervalMs / 1000);
    database.add<LatestRun>({
      gauges: [broken, checkedAt],
      statement: LATEST_RUN,
      show: ([run]) => {
        checkedAt.set(run ? run.finished_at.getTime() / 1000 : 0);
        for (const { name, broken_rows } of run?.report ?? []) broken.set({ invariant: name }, broken_rows);
      },
    });
  }
}
