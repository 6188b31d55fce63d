import { Module } from '@nestjs/common';
import { AuditLogAdminController } from './audit-log.admin.controller';
import { AuditLogService } from './audit-log.service';

/** Who changed what. */
@Module({
  controllers: [AuditLogAdminController],
  providers: [AuditLogService],
  exports: [AuditLogService],
})
export class AuditModule {}
