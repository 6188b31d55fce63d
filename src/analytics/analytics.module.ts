import { Module } from '@nestjs/common';
import { AnalyticsAdminController } from './analytics.admin.controller';
import { AnalyticsService } from './analytics.service';
import { RollupWorker } from './rollup-worker';
import { RollupsService } from './rollups.service';

/** Numbers about a project's referrals, rolled up by the day. */
@Module({
  controllers: [AnalyticsAdminController],
  providers: [AnalyticsService, RollupsService, RollupWorker],
})
export class AnalyticsModule {}
