import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { AuthModule } from '../auth/auth.module';
import { ApiKeysService } from './api-keys.service';
import { ClientConfigController } from './client-config.controller';
import { ProjectsAdminController } from './projects.admin.controller';
import { ProjectsService } from './projects.service';

/** The tenants and their API keys. */
@Module({
  imports: [AuthModule, AuditModule],
  controllers: [ClientConfigController, ProjectsAdminController],
  providers: [ProjectsService, ApiKeysService],
  exports: [ProjectsService, ApiKeysService],
})
export class ProjectsModule {}
