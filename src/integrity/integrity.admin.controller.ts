import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData } from '../common/api-docs';
import { IntegrityDto, toIntegrityDto } from './integrity.dto';
import { IntegrityService } from './integrity.service';

@ApiTags('Integrity (admin)')
@Controller('admin/projects/:projectId/integrity')
export class IntegrityAdminController {
  constructor(private readonly integrity: IntegrityService) {}

  @Get()
  @ProjectRoute()
  @ApiOperation({
    summary: 'Whether the stored data is as it must be',
    description:
      'Runs every invariant on the data of one moment and shows the rows that break one. Reads the whole project: ask ' +
      'now and then, not on every request of yours.',
  })
  @ApiData(IntegrityDto, { status: 200, description: 'What holds and what does not.' })
  async checkIntegrity(@CurrentProject() projectId: string): Promise<IntegrityDto> {
    return toIntegrityDto(await this.integrity.check(projectId));
  }
}
