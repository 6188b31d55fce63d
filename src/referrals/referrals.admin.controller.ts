import { Body, Controller, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import { Page } from '../common/page';
import { ReferralCodesAdminService } from './referral-codes.admin.service';
import { ReferralCodesService, toReferralCodeJson } from './referral-codes.service';
import {
  AdminCodeDto,
  CodesQuery,
  CodeStatsDto,
  NewCodeDto,
  StatsQuery,
  toStatsDto,
  UpdateCodeDto,
} from './referrals.admin.dto';

@ApiTags('Referral codes (admin)')
@Controller('admin/projects/:projectId/referrals')
export class ReferralsAdminController {
  constructor(
    private readonly codes: ReferralCodesService,
    private readonly admin: ReferralCodesAdminService,
  ) {}

  @Post()
  @ProjectRoute('INVALID_REWARD', 'CODE_EXISTS', 'USER_ERASED', 'RETRY_EXHAUSTED')
  @ApiOperation({
    summary: 'Create a code',
    description:
      'Without an owner it is a template: the rewards of the oldest active one are copied into every code that users ' +
      'get after it. Anybody may claim it as a promo code, too.',
  })
  @ApiData(AdminCodeDto, { status: 201, description: 'The code.' })
  async createCode(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() body: NewCodeDto,
  ): Promise<AdminCodeDto> {
    const made = await this.codes.create(by, projectId, {
      code: body.code,
      userId: body.app_user_id,
      rewardReferrer: body.reward_referrer,
      rewardReferee: body.reward_referee,
      maxUses: body.max_uses ?? undefined,
    });
    return toReferralCodeJson(made);
  }

  @Get()
  @ProjectRoute()
  @ApiOperation({ summary: 'The codes', description: 'Newest first, without deleted ones.' })
  @ApiPage(AdminCodeDto, 'One page of codes.')
  async listCodes(
    @CurrentProject() projectId: string,
    @Query() query: CodesQuery,
  ): Promise<Page<AdminCodeDto>> {
    const { data, total } = await this.admin.list(projectId, query, query);
    return new Page(data.map(toReferralCodeJson), total, query);
  }

  @Get(':codeId/stats')
  @ProjectRoute()
  @ApiId('codeId')
  @ApiOperation({
    summary: 'A code with its claims',
    description: 'Also of a deleted code. Claims newest first.',
  })
  @ApiData(CodeStatsDto, { status: 200, description: 'The code, how often it was claimed, and by whom.' })
  async getCodeStats(
    @CurrentProject() projectId: string,
    @Param('codeId', IdPipe) codeId: string,
    @Query() query: StatsQuery,
  ): Promise<CodeStatsDto> {
    return toStatsDto(await this.admin.stats(projectId, codeId, query));
  }

  @Patch(':codeId')
  @ProjectRoute('INVALID_REWARD', 'MAX_USES_TOO_LOW')
  @ApiId('codeId')
  @ApiOperation({
    summary: 'Change a code',
    description:
      'What is left out stays as it is. Claims that were made keep the rewards that were promised then.',
  })
  @ApiData(AdminCodeDto, { status: 200, description: 'The code after the change.' })
  async updateCode(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('codeId', IdPipe) codeId: string,
    @Body() body: UpdateCodeDto,
  ): Promise<AdminCodeDto> {
    const changed = await this.admin.update(by, projectId, codeId, {
      rewardReferrer: body.reward_referrer,
      rewardReferee: body.reward_referee,
      maxUses: body.max_uses,
      isActive: body.is_active,
    });
    return toReferralCodeJson(changed);
  }

  @Delete(':codeId')
  @ProjectRoute()
  @ApiId('codeId')
  @ApiOperation({
    summary: 'Delete a code',
    description: 'Nobody can claim it any more. Its claims stay, and its spelling stays taken.',
  })
  @ApiData(AdminCodeDto, { status: 200, description: 'The code, no longer active.' })
  async deleteCode(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('codeId', IdPipe) codeId: string,
  ): Promise<AdminCodeDto> {
    return toReferralCodeJson(await this.admin.delete(by, projectId, codeId));
  }
}
