import { Body, Controller, Get, Patch } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentCaller } from '../auth/authenticated-request';
import { ClientRoute } from '../auth/route.decorators';
import type { Caller } from '../auth/sessions.service';
import { ApiData } from '../common/api-docs';
import { ProfileDto, toProfile, toUserDto, UserDto } from './users.dto';
import { UsersService } from './users.service';

@ApiTags('Users')
@Controller('client/users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Get('me')
  @ClientRoute()
  @ApiOperation({ summary: "The caller's profile" })
  @ApiData(UserDto, { status: 200, description: 'The profile.' })
  async getMe(@CurrentCaller() { projectId, userId }: Caller): Promise<UserDto> {
    return toUserDto(await this.users.get(projectId, userId), await this.users.identities(projectId, userId));
  }

  @Patch('me')
  @ClientRoute()
  @ApiOperation({ summary: "Change the caller's profile", description: 'What is left out stays as it is.' })
  @ApiData(UserDto, { status: 200, description: 'The profile after the change.' })
  async updateMe(
    @CurrentCaller() { projectId, userId }: Caller,
    @Body() profile: ProfileDto,
  ): Promise<UserDto> {
    const user = await this.users.update(projectId, userId, toProfile(profile));
    return toUserDto(user, await this.users.identities(projectId, userId));
  }
}
