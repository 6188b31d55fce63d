import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData } from '../common/api-docs';
import { AnalyticsDto, AnalyticsQuery, DEFINITIONS } from './analytics.dto';
import { AnalyticsService } from './analytics.service';

@ApiTags('Analytics (admin)')
@Controller('admin/projects/:projectId/analytics')
export class AnalyticsAdminController {
  constructor(private readonly analytics: AnalyticsService) {}

  @Get()
  @ProjectRoute()
  @ApiOperation({
    summary: 'The numbers of a period',
    description:
      'Codes, claims, referrers and rewards of the UTC days from `from` to `to`, exact up to now.\n\n' +
      `**conversion** = ${DEFINITIONS.conversion}\n\n**k_factor** = ${DEFINITIONS.k_factor}`,
  })
  @ApiData(AnalyticsDto, { status: 200, description: 'The numbers.' })
  async getAnalytics(
    @CurrentProject() projectId: string,
    @Query() { from, to, top }: AnalyticsQuery,
  ): Promise<AnalyticsDto> {
    return { ...(await this.analytics.report(projectId, { from, to }, top)), definitions: DEFINITIONS };
  }
}
