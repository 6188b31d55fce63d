import { Body, Controller, Delete, Get, Param, Put, type PipeTransform } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiProperty, ApiTags } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray } from 'class-validator';
import type { Actor } from '../auth/actor';
import { CurrentActor, CurrentProject } from '../auth/authenticated-request';
import { ProjectRoute } from '../auth/route.decorators';
import { ApiData } from '../common/api-docs';
import { ApiError } from '../common/api-error';
import { TextEach } from '../common/text.decorator';
import { IdentityTokensService, PROVIDERS, type Provider } from './identity-tokens.service';

const audiences = {
  example: ['1234.apps.googleusercontent.com'] as string[],
  description: "The app's client ids, whose identity tokens are accepted.",
} as const;

class AudiencesDto {
  @ApiProperty({ ...audiences, type: [String], minItems: 1, maxItems: 20, uniqueItems: true })
  @TextEach({ min: 1, max: 255 })
  @ArrayUnique()
  @ArrayMaxSize(20)
  @ArrayMinSize(1)
  @IsArray()
  audiences: string[];
}

class IdentityProviderDto {
  @ApiProperty({ type: String, enum: PROVIDERS })
  provider: Provider;

  @ApiProperty({ ...audiences, type: [String] })
  audiences: string[];
}

/** @throws ApiError NOT_FOUND for a provider that there is not */
class ProviderPipe implements PipeTransform<string, Provider> {
  transform(value: string): Provider {
    const provider = PROVIDERS.find((known) => known === value);
    if (provider === undefined) throw new ApiError('NOT_FOUND', { message: 'There is apple and google.' });
    return provider;
  }
}

@ApiTags('Users (admin)')
@Controller('admin/projects/:projectId/identity-providers')
export class IdentityProvidersAdminController {
  constructor(private readonly providers: IdentityTokensService) {}

  @Get()
  @ProjectRoute()
  @ApiOperation({
    summary: 'Which sign-ins the app offers',
    description: 'Beside e-mail and anonymous users.',
  })
  @ApiData(IdentityProviderDto, { status: 200, description: 'The providers.', isArray: true })
  listIdentityProviders(@CurrentProject() projectId: string): Promise<IdentityProviderDto[]> {
    return this.providers.list(projectId);
  }

  @Put(':provider')
  @ProjectRoute()
  @ApiParam({ name: 'provider', enum: PROVIDERS })
  @ApiOperation({ summary: 'Offer a sign-in', description: 'The audiences replace those of before.' })
  @ApiData(IdentityProviderDto, { status: 200, description: 'The provider.' })
  async setIdentityProvider(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('provider', ProviderPipe) provider: Provider,
    @Body() { audiences }: AudiencesDto,
  ): Promise<IdentityProviderDto> {
    await this.providers.configure(by, projectId, provider, audiences);
    return { provider, audiences };
  }

  @Delete(':provider')
  @ProjectRoute()
  @ApiParam({ name: 'provider', enum: PROVIDERS })
  @ApiOperation({ summary: 'Offer a sign-in no more', description: 'Users who signed in with it stay.' })
  @ApiData(IdentityProviderDto, { status: 200, description: 'The provider, without audiences.' })
  async deleteIdentityProvider(
    @CurrentActor() by: Actor,
    @CurrentProject() projectId: string,
    @Param('provider', ProviderPipe) provider: Provider,
  ): Promise<IdentityProviderDto> {
    await this.providers.remove(by, projectId, provider);
    return { provider, audiences: [] };
  }
}
