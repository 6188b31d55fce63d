import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import type { Page } from '../common/page';
import { RewardGrantsService } from './reward-grants.service';
import {
  CancelDto,
  GrantDto,
  GrantsQuery,
  GrantWithEventsDto,
  ReplayDto,
  ReplayManyDto,
  ReplayResultDto,
  toSelection,
} from './rewards.dto';

@ApiTags('Rewards (admin)')
@Controller('admin/projects/:projectId')
export class RewardsAdminController {
  constructor(private readonly grants: RewardGrantsService) {}

  @Get('reward-grants')
  @ProjectRoute()
  @ApiOperation({
    summary: 'Every promised reward',
    description: 'What each claim promised, what became of it and why. Newest first.',
  })
  @ApiPage(GrantDto, 'One page of rewards.')
  listRewardGrants(
    @CurrentProject() projectId: string,
    @Query() { limit, offset, ...filter }: GrantsQuery,
  ): Promise<Page<GrantDto>> {
    return this.grants.list(projectId, filter, { limit, offset });
  }

  @Get('reward-grants/:grantId')
  @ProjectRoute()
  @ApiId('grantId')
  @ApiOperation({ summary: 'A promised reward, with what was done to it' })
  @ApiData(GrantWithEventsDto, { status: 200, description: 'The reward.' })
  async getRewardGrant(
    @CurrentProject() projectId: string,
    @Param('grantId', IdPipe) grantId: string,
  ): Promise<GrantWithEventsDto> {
    const grant = await this.grants.get(projectId, grantId);
    return { ...grant, events: await this.grants.events(projectId, grantId) };
  }

  @Post('reward-grants/replay')
  @HttpCode(200)
  @ProjectRoute()
  @ApiOperation({
    summary: 'Replay many rewards',
    description:
      'Those with these `ids`, or those that match `status`, `from` and `to`, oldest first. As with one: what is ' +
      'neither dead nor cancelled is refused, and the others are replayed.',
  })
  @ApiData(ReplayResultDto, { status: 200, description: 'How many were replayed, and which were not.' })
  replayRewardGrants(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() body: ReplayManyDto,
  ): Promise<ReplayResultDto> {
    return this.grants.replayMany(by, projectId, toSelection(body));
  }

  @Post('reward-grants/:grantId/replay')
  @HttpCode(200)
  @ProjectRoute('NOT_REPLAYABLE')
  @ApiId('grantId')
  @ApiOperation({
    summary: 'Replay a dead or cancelled reward',
    description:
      'It is due again with all its tries, and is paid at once when it can be. Otherwise the answer says `pending`, ' +
      'and it follows on its own.',
  })
  @ApiBody({ type: ReplayDto, required: false })
  @ApiData(GrantDto, { status: 200, description: 'The reward.' })
  replayRewardGrant(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('grantId', IdPipe) grantId: string,
    @Body() _: ReplayDto,
  ): Promise<GrantDto> {
    return this.grants.replay(by, projectId, grantId);
  }

  @Post('reward-grants/:grantId/cancel')
  @HttpCode(200)
  @ProjectRoute('NOT_CANCELLABLE')
  @ApiId('grantId')
  @ApiOperation({
    summary: 'Cancel a pending or dead reward',
    description: 'It is not paid. The reason is shown as its `last_error`. It can be replayed.',
  })
  @ApiData(GrantDto, { status: 200, description: 'The reward.' })
  cancelRewardGrant(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('grantId', IdPipe) grantId: string,
    @Body() { reason }: CancelDto,
  ): Promise<GrantDto> {
    return this.grants.cancel(by, { projectId, id: grantId }, reason);
  }
}
