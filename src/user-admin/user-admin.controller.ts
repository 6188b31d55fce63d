import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import { Reply } from '../common/reply';
import { ReferralCodesAdminService } from '../referrals/referral-codes.admin.service';
import { UsersAdminService } from '../users/users.admin.service';
import { DossierDto, toDossierDto, UserExportDto } from './user-admin.dto';
import { UserDossierService } from './user-dossier.service';

/** What concerns all that is known of a user. What concerns the account alone is in `users/`. */
@ApiTags('Users (admin)')
@Controller('admin/projects/:projectId/users/:userId')
export class UserAdminController {
  constructor(
    private readonly dossiers: UserDossierService,
    private readonly users: UsersAdminService,
    private readonly codes: ReferralCodesAdminService,
  ) {}

  @Get()
  @ProjectRoute()
  @ApiId('userId')
  @ApiOperation({
    summary: 'A user',
    description: 'Profile, code, who referred them, whom they referred, balances.',
  })
  @ApiData(DossierDto, { status: 200, description: 'The user.' })
  async getUser(
    @CurrentProject() projectId: string,
    @Param('userId', IdPipe) userId: string,
  ): Promise<DossierDto> {
    return toDossierDto(await this.dossiers.read({ projectId, userId }));
  }

  @Get('export')
  @ProjectRoute()
  @ApiId('userId')
  @ApiOperation({
    summary: 'Everything that is stored of a user',
    description: 'For a request under data protection law. Without the data of others.',
  })
  @ApiData(UserExportDto, {
    status: 200,
    description: 'The export.',
    headers: { 'Content-Disposition': 'A browser saves it as a file.' },
  })
  async exportUser(@CurrentProject() projectId: string, @Param('userId', IdPipe) userId: string) {
    const data = await this.dossiers.export({ projectId, userId });
    return new Reply(data, {
      headers: { 'Content-Disposition': `attachment; filename="user-${userId}.json"` },
    });
  }

  @Delete()
  @ProjectRoute('USER_ERASED')
  @ApiId('userId')
  @ApiOperation({
    summary: 'Erase a user',
    description:
      'For good: name, addresses, ids, properties, sign-ins and the spelling of the code go, sessions end. Claims, ' +
      'balances and the ledger stay, and refer to a user of whom nothing is known.',
  })
  @ApiData(DossierDto, { status: 200, description: 'What is left.' })
  async eraseUser(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('userId', IdPipe) userId: string,
  ): Promise<DossierDto> {
    const user = { projectId, userId };
    await this.users.erase(by, user, {
      lock: (queryRunner) => this.codes.lockOf(queryRunner, user),
      forget: (queryRunner) => this.codes.forget(queryRunner, user),
    });
    return toDossierDto(await this.dossiers.read(user));
  }
}
