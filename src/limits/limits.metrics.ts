import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import { LIMITS, type LimitName } from '../config';

/** How often this instance said no. */
@Injectable()
export class LimitsMetrics {
  private readonly refused: Counter<'limit'>;

  constructor(registry: Registry) {
    this.refused = new Counter({
      name: 'amba_rate_limited_total',
      help: 'Requests that were refused since a limit was reached, by the limit.',
      labelNames: ['limit'],
      registers: [registry],
    });
    // from the start, so that a rate sees the first one
    for (const limit of LIMITS) this.refused.inc({ limit }, 0);
  }

  count(limit: LimitName): void {
    this.refused.inc({ limit });
  }
}
