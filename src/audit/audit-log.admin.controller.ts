import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Developer } from '../auth/actor';
import { CurrentDeveloper, CurrentProject } from '../auth/authenticated-request';
import { DeveloperRoute, ProjectRoute } from '../auth/route.decorators';
import { ApiPage } from '../common/api-docs';
import type { Page } from '../common/page';
import { AuditEntryDto, AuditQuery } from './audit-log.dto';
import { AuditLogService } from './audit-log.service';

@ApiTags('Audit log (admin)')
@Controller()
export class AuditLogAdminController {
  constructor(private readonly auditLog: AuditLogService) {}

  @Get('admin/projects/:projectId/audit-log')
  @ProjectRoute()
  @ApiOperation({
    summary: 'Who changed what',
    description:
      'Every admin write, newest first: written in the same transaction as its effect, never changed.',
  })
  @ApiPage(AuditEntryDto, 'One page of the log.')
  getAuditLog(@CurrentProject() projectId: string, @Query() query: AuditQuery): Promise<Page<AuditEntryDto>> {
    return this.auditLog.list({ projectId }, query, query);
  }

  @Get('auth/developer/audit-log')
  @DeveloperRoute()
  @ApiOperation({
    summary: 'What was changed in your account',
    description: 'Newest first. What was changed in a project is in the log of that project.',
  })
  @ApiPage(AuditEntryDto, 'One page of the log.')
  getDeveloperAuditLog(
    @CurrentDeveloper() { id: developerId }: Developer,
    @Query() query: AuditQuery,
  ): Promise<Page<AuditEntryDto>> {
    return this.auditLog.list({ developerId }, query, query);
  }
}
