import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { IntegrityAdminController } from './integrity.admin.controller';
import { IntegrityService } from './integrity.service';

/** Whether the stored data is as it must be. */
@Module({
  imports: [AuthModule],
  controllers: [IntegrityAdminController],
  providers: [IntegrityService],
  exports: [IntegrityService],
})
export class IntegrityModule {}
