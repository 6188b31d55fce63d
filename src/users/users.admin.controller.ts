import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import { Page } from '../common/page';
import { UsersAdminService } from './users.admin.service';
import {
  AdminUserDto,
  ExternalUserDto,
  SessionDto,
  toProfile,
  toSessionDto,
  UsersQuery,
  UserStateDto,
} from './users.dto';
import { toAdminUserJson, toUserState } from './users.service';

@ApiTags('Users (admin)')
@Controller('admin/projects/:projectId/users')
export class UsersAdminController {
  constructor(private readonly users: UsersAdminService) {}

  @Post('session')
  @ProjectRoute()
  @ApiOperation({
    summary: 'A session for a user of your own system',
    description:
      'From your server, with a server key: finds the user by your id, or makes one, and returns a session for the app.',
  })
  @ApiData(SessionDto, { status: 201, description: 'The session.' })
  async openUserSession(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() { external_id, ...profile }: ExternalUserDto,
  ): Promise<SessionDto> {
    return toSessionDto(await this.users.openSession(by, projectId, external_id, toProfile(profile)));
  }

  @Get()
  @ProjectRoute()
  @ApiOperation({ summary: 'The users', description: 'Newest first.' })
  @ApiPage(AdminUserDto, 'One page of users.')
  async listUsers(
    @CurrentProject() projectId: string,
    @Query() query: UsersQuery,
  ): Promise<Page<AdminUserDto>> {
    const { data, total } = await this.users.list(projectId, query, query.search);
    return new Page(
      data.map(({ user, identities }) => toAdminUserJson(user, identities)),
      total,
      query,
    );
  }

  @Post(':userId/disable')
  @HttpCode(200)
  @ProjectRoute()
  @ApiId('userId')
  @ApiOperation({
    summary: 'Shut a user out',
    description:
      'No session works, and nobody can claim the code, at once. Balances and promised rewards stay.',
  })
  @ApiData(UserStateDto, { status: 200, description: 'The state of the user.' })
  async disableUser(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('userId', IdPipe) userId: string,
  ): Promise<UserStateDto> {
    return { id: userId, ...toUserState(await this.users.disable(by, { projectId, userId })) };
  }

  @Post(':userId/enable')
  @HttpCode(200)
  @ProjectRoute('USER_ERASED')
  @ApiId('userId')
  @ApiOperation({
    summary: 'Let a user back in',
    description: 'The sessions that the disabling ended work again.',
  })
  @ApiData(UserStateDto, { status: 200, description: 'The state of the user.' })
  async enableUser(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('userId', IdPipe) userId: string,
  ): Promise<UserStateDto> {
    return { id: userId, ...toUserState(await this.users.enable(by, { projectId, userId })) };
  }
}
