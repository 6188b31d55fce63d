import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { IntegrityAdminController } from './integrity.admin.controller';
import { IntegrityRunsService } from './integrity-runs.service';
import { IntegrityWorker } from './integrity-worker';
import { IntegrityMetrics } from './integrity.metrics';
import { IntegrityService } from './integrity.service';

/** Whether the stored data is as it must be. */
@Module({
  imports: [AuthModule],
  controllers: [IntegrityAdminController],
  providers: [IntegrityService, IntegrityRunsService, IntegrityWorker, IntegrityMetrics],
  exports: [IntegrityService],
})
export class IntegrityModule {}
