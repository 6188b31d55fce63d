import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController } from './health.controller';
import { MetricsController } from './metrics.controller';
import { PoolMetrics } from './pool.metrics';
import { ProcessMetrics } from './process.metrics';
import { SchemaHealth } from './schema.health';

/** What an operator's tools ask. */
@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController, MetricsController],
  providers: [SchemaHealth, PoolMetrics, ProcessMetrics],
})
export class OpsModule {}
