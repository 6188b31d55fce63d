import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Registry } from 'prom-client';

/** The process: CPU, memory, open files, event loop, garbage collection. */
@Injectable()
export class ProcessMetrics {
  constructor(registry: Registry) {
    collectDefaultMetrics({ register: registry });
  }
}
