import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData } from '../common/api-docs';
import { SignInService } from './sign-in.service';
import { ExternalUserDto, SessionDto, toProfile, toSessionDto } from './users.dto';

@ApiTags('Users (admin)')
@Controller('admin/projects/:projectId/users')
export class UsersAdminController {
  constructor(private readonly signIn: SignInService) {}

  @Post('session')
  @ProjectRoute()
  @ApiOperation({
    summary: 'A session for a user of your own system',
    description:
      'From your server, with a server key: finds the user by your id, or makes one, and returns a session for the app.',
  })
  @ApiData(SessionDto, { status: 201, description: 'The session.' })
  async openUserSession(
    @CurrentProject() projectId: string,
    @Body() { external_id, ...profile }: ExternalUserDto,
  ): Promise<SessionDto> {
    return toSessionDto(await this.signIn.external(projectId, external_id, toProfile(profile)));
  }
}
