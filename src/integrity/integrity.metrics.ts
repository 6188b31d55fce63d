import { Injectable } from '@nestjs/common';
import { Gauge, Registry } from 'prom-client';
import { IntegrityRunsService } from './integrity-runs.service';

/** What the last check found. It is read from the database, so that every instance tells the same. */
@Injectable()
export class IntegrityMetrics {
  constructor(registry: Registry, runs: IntegrityRunsService) {
    new Gauge({
      name: 'amba_integrity_broken_rows',
      help: 'Rows that break an invariant, by the latest check. Anything above 0 needs a person.',
      labelNames: ['invariant'],
      registers: [registry],
      async collect() {
        const run = await runs.latest();
        for (const { name, broken_rows } of run?.findings ?? []) this.set({ invariant: name }, broken_rows);
      },
    });
    new Gauge({
      name: 'amba_integrity_checked_timestamp_seconds',
      help: 'When the latest check of all invariants ended, in seconds since 1970; 0 before the first.',
      registers: [registry],
      async collect() {
        const run = await runs.latest();
        this.set(run ? run.finishedAt.getTime() / 1000 : 0);
      },
    });
  }
}
