import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { Pool } from 'pg';
import { Gauge, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';

/** The connections of this instance to its database. */
@Injectable()
export class PoolMetrics {
  constructor(registry: Registry, @InjectDataSource() dataSource: DataSource) {
    const { master: pool } = dataSource.driver as unknown as { master: Pool };
    const tell = (name: string, help: string, value: () => number) =>
      new Gauge({
        name: `amba_database_${name}`,
        help,
        registers: [registry],
        collect() {
          this.set(value());
        },
      });
    tell('connections_max', 'Connections that may be open: DATABASE_POOL_SIZE.', () => pool.options.max);
    tell('connections', 'Connections that are open.', () => pool.totalCount);
    tell('connections_idle', 'Open connections that nobody uses.', () => pool.idleCount);
    tell('waiting', 'Pieces of work that wait for a connection.', () => pool.waitingCount);
  }
}
