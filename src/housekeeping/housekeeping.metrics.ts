import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import type { RemovedRows } from './removal';

/** What this instance removed since it was started. */
@Injectable()
export class HousekeepingMetrics {
  private readonly rows: Counter<'table'>;

  constructor(registry: Registry) {
    this.rows = new Counter({
      name: 'amba_housekeeping_removed_rows_total',
      help: 'Rows past their retention that this instance removed, by table.',
      labelNames: ['table'],
      registers: [registry],
    });
  }

  count(removed: RemovedRows): void {
    for (const [table, rows] of Object.entries(removed)) this.rows.inc({ table }, rows);
  }
}
