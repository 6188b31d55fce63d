import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { HealthIndicatorService, type HealthCheckAttempt } from '@nestjs/terminus';
import type { DataSource } from 'typeorm';
import { schemaFault } from '../database/schema-fault';

const TIMEOUT_MS = 2_000;
/** It reads the catalog, and anybody may ask. */
const KEPT_MS = 5_000;

/** Whether the database has what this version was made for. An answer, good or bad, is kept for 5 s. */
@Injectable()
export class SchemaHealth {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly indicators: HealthIndicatorService,
  ) {}

  check(): HealthCheckAttempt {
    const look = async () => {
      const fault = await schemaFault(this.dataSource);
      if (fault !== undefined) throw new Error(fault);
    };
    return this.indicators.check('schema').attempt(look).withTimeout(TIMEOUT_MS).cacheFor(KEPT_MS);
  }
}
