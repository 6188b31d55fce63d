import { Body, Controller, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor, Developer } from '../auth/actor';
import { CurrentActor, CurrentDeveloper, CurrentProject } from '../auth/authenticated-request';
import { DeveloperRoute, ProjectRoute } from '../auth/route.decorators';
import { ApiData, ApiId, ApiPage } from '../common/api-docs';
import { IdPipe } from '../common/id.pipe';
import { Page, PageQuery } from '../common/page';
import { ApiKeysService } from './api-keys.service';
import {
  ApiKeyDto,
  CreateApiKeyDto,
  CreatedProjectDto,
  NewApiKeyDto,
  NewProjectDto,
  ProjectDto,
  toCreatedProjectDto,
  toProjectDto,
  toSettings,
  UpdateProjectDto,
} from './projects.dto';
import { ProjectsService } from './projects.service';

@ApiTags('Projects (admin)')
@Controller('admin/projects')
export class ProjectsAdminController {
  constructor(
    private readonly projects: ProjectsService,
    private readonly apiKeys: ApiKeysService,
  ) {}

  @Post()
  @DeveloperRoute()
  @ApiOperation({
    summary: 'Create a project',
    description: 'One per app, with a client key and a server key.',
  })
  @ApiData(CreatedProjectDto, { status: 201, description: 'The project and its keys.' })
  async createProject(
    @CurrentActor() by: Actor,
    @CurrentDeveloper() { id: ownerId }: Developer,
    @Body() body: NewProjectDto,
  ): Promise<CreatedProjectDto> {
    const project = { ...toSettings(body), name: body.name, ownerId };
    return toCreatedProjectDto(await this.projects.create(by, project, body.environment ?? 'development'));
  }

  @Get()
  @DeveloperRoute()
  @ApiOperation({ summary: 'Your projects', description: 'Oldest first.' })
  @ApiPage(ProjectDto, 'One page of projects.')
  async listProjects(
    @CurrentDeveloper() { id }: Developer,
    @Query() window: PageQuery,
  ): Promise<Page<ProjectDto>> {
    const { data, total } = await this.projects.list(window, id);
    return new Page(data.map(toProjectDto), total, window);
  }

  @Get(':projectId')
  @ProjectRoute()
  @ApiOperation({ summary: 'A project' })
  @ApiData(ProjectDto, { status: 200, description: 'The project.' })
  async getProject(@CurrentProject() projectId: string): Promise<ProjectDto> {
    return toProjectDto(await this.projects.get(projectId));
  }

  @Patch(':projectId')
  @ProjectRoute()
  @ApiOperation({ summary: 'Change a project', description: 'What is left out stays as it is.' })
  @ApiData(ProjectDto, { status: 200, description: 'The project after the change.' })
  async updateProject(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() body: UpdateProjectDto,
  ): Promise<ProjectDto> {
    return toProjectDto(await this.projects.update(by, projectId, { ...toSettings(body), name: body.name }));
  }

  @Delete(':projectId')
  @ProjectRoute()
  @ApiOperation({
    summary: 'Delete a project',
    description:
      'Its keys stop working at once. Its data stays in the database, and promised rewards are still paid.',
  })
  @ApiData(ProjectDto, { status: 200, description: 'The project as it was.' })
  async deleteProject(@CurrentActor() by: Actor, @CurrentProject() projectId: string): Promise<ProjectDto> {
    return toProjectDto(await this.projects.delete(by, projectId));
  }

  @Post(':projectId/api-keys')
  @ProjectRoute()
  @ApiOperation({ summary: 'Create an API key' })
  @ApiData(NewApiKeyDto, { status: 201, description: 'The key.' })
  async createApiKey(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Body() { key_type: keyType, environment }: CreateApiKeyDto,
  ): Promise<NewApiKeyDto> {
    const { key, shown } = await this.apiKeys.create(by, projectId, { keyType, environment });
    return { ...shown, key };
  }

  @Get(':projectId/api-keys')
  @ProjectRoute()
  @ApiOperation({ summary: 'The API keys', description: 'Newest first, deactivated ones too.' })
  @ApiPage(ApiKeyDto, 'One page of keys.')
  listApiKeys(@CurrentProject() projectId: string, @Query() window: PageQuery): Promise<Page<ApiKeyDto>> {
    return this.apiKeys.list(projectId, window);
  }

  @Delete(':projectId/api-keys/:keyId')
  @ProjectRoute()
  @ApiId('keyId')
  @ApiOperation({
    summary: 'Deactivate an API key',
    description: 'For good, at once, on every instance. To rotate, create the next one first.',
  })
  @ApiData(ApiKeyDto, { status: 200, description: 'The key, no longer active.' })
  deactivateApiKey(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('keyId', IdPipe) keyId: string,
  ): Promise<ApiKeyDto> {
    return this.apiKeys.deactivate(by, projectId, keyId);
  }
}
