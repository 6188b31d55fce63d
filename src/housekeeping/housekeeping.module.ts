import { Module } from '@nestjs/common';
import { HousekeepingWorker } from './housekeeping-worker';
import { HousekeepingMetrics } from './housekeeping.metrics';
import { HousekeepingService } from './housekeeping.service';

/** What is no good any more does not stay for ever. */
@Module({ providers: [HousekeepingService, HousekeepingMetrics, HousekeepingWorker] })
export class HousekeepingModule {}
