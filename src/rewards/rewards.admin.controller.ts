import { Body, Controller, Get, HttpCode, Param, Post, Query, StreamableFile } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiCsv, ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import type { Page } from '../common/page';
import { ReconciliationDto } from './reconciliation.dto';
import { ReconciliationService } from './reconciliation.service';
import { toCsv } from './reward-grants.csv';
import { RewardGrantsService } from './reward-grants.service';
import {
  CancelDto,
  GrantDto,
  GrantFilterQuery,
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
  constructor(
    private readonly grants: RewardGrantsService,
    private readonly reconciliation: ReconciliationService,
  ) {}

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

  @Get('reward-grants.csv')
  @ProjectRoute()
  @ApiOperation({
    summary: 'Every promised reward, for a spreadsheet',
    description:
      'All that match, newest first, each as it was when its line was written. A connection that breaks off before ' +
      'the end of the answer means that lines are missing.',
  })
  @ApiCsv(
    "A header line, then a line for each reward. A text that begins like a formula has a `'` before it.",
  )
  async exportRewardGrants(
    @CurrentProject() projectId: string,
    @Query() filter: GrantFilterQuery,
  ): Promise<StreamableFile> {
    return new StreamableFile(await toCsv(this.grants.batches(projectId, filter)), {
      type: 'text/csv; charset=utf-8',
      disposition: 'attachment; filename="reward-grants.csv"',
    });
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

  @Get('reconciliation')
  @ProjectRoute()
  @ApiOperation({
    summary: 'Whether ledger, balances and promises agree',
    description:
      'Totals per currency, of one moment. Reads the whole project: ask now and then, not on every request of yours.',
  })
  @ApiData(ReconciliationDto, { status: 200, description: 'The totals, and whether they agree.' })
  reconcile(@CurrentProject() projectId: string): Promise<ReconciliationDto> {
    return this.reconciliation.totals(projectId);
  }
}
