import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsInt, IsOptional, Max, Min } from 'class-validator';
import { ENVIRONMENTS, KEY_TYPES, type Environment, type KeyType } from '../auth/api-key';
import { OptionalNotNull } from '../common/optional.decorator';
import { Text, Visible } from '../common/text.decorator';
import { toProjectJson, type CreatedProject, type ProjectSettings } from './projects.service';
import type { Project } from './project.entity';

const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
const name = { type: String, minLength: 1, maxLength: 100, example: 'My game' } as const;
const bundleId = {
  type: String,
  nullable: true,
  minLength: 1,
  maxLength: 255,
  example: 'com.example.game',
} as const;
const platform = { type: String, nullable: true, minLength: 1, maxLength: 50, example: 'ios' } as const;
const codeLength = {
  type: 'integer',
  minimum: 6,
  maximum: 16,
  example: 8,
  description: 'Length of generated referral codes.',
} as const;
const maxClaims = {
  type: 'integer',
  nullable: true,
  minimum: 1,
  maximum: 2_147_483_647,
  example: null,
  description: 'How many different codes one user may claim; null: no limit.',
} as const;

export class ProjectDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty(name)
  name: string;

  @ApiProperty(bundleId)
  bundle_id: string | null;

  @ApiProperty(platform)
  platform: string | null;

  @ApiProperty(codeLength)
  referral_code_length: number;

  @ApiProperty(maxClaims)
  max_claims_per_user: number | null;

  @ApiProperty(time)
  created_at: Date;

  @ApiProperty(time)
  updated_at: Date;
}

export class KeyPairDto {
  @ApiProperty({ type: String, example: 'amb_dev_ck_…', description: 'For the app: `X-Api-Key`.' })
  client: string;

  @ApiProperty({
    type: String,
    example: 'amb_dev_sk_…',
    description: 'For your servers: `Authorization: Bearer`.',
  })
  server: string;
}

export class CreatedProjectDto {
  @ApiProperty({ type: ProjectDto })
  project: ProjectDto;

  @ApiProperty({ type: KeyPairDto, description: 'Shown here and never again.' })
  api_keys: KeyPairDto;
}

class ProjectSettingsDto {
  @ApiPropertyOptional(bundleId)
  @Visible()
  @Text({ min: 1, max: 255 })
  @IsOptional()
  bundle_id?: string | null;

  @ApiPropertyOptional(platform)
  @Visible()
  @Text({ min: 1, max: 50 })
  @IsOptional()
  platform?: string | null;

  @ApiPropertyOptional(codeLength)
  @Max(16)
  @Min(6)
  @IsInt()
  @OptionalNotNull()
  referral_code_length?: number;

  @ApiPropertyOptional(maxClaims)
  @Max(2_147_483_647)
  @Min(1)
  @IsInt()
  @IsOptional()
  max_claims_per_user?: number | null;
}

export class UpdateProjectDto extends ProjectSettingsDto {
  @ApiPropertyOptional(name)
  @Visible()
  @Text({ min: 1, max: 100 })
  @OptionalNotNull()
  name?: string;
}

export class NewProjectDto extends ProjectSettingsDto {
  @ApiProperty(name)
  @Visible()
  @Text({ min: 1, max: 100 })
  name: string;

  @ApiPropertyOptional({
    type: String,
    enum: ENVIRONMENTS,
    default: 'development',
    description: 'Marks the keys.',
  })
  @IsIn(ENVIRONMENTS)
  @OptionalNotNull()
  environment?: Environment;
}

export class ApiKeyDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ type: String, enum: KEY_TYPES })
  key_type: KeyType;

  @ApiProperty({ type: String, enum: ENVIRONMENTS })
  environment: Environment;

  @ApiProperty({ type: String, example: 'amb_live_ck_3fQz', description: 'How the key begins.' })
  prefix: string;

  @ApiProperty({ type: Boolean })
  is_active: boolean;

  @ApiProperty({ ...time, nullable: true, description: 'To the minute.' })
  last_used_at: Date | null;

  @ApiProperty(time)
  created_at: Date;
}

export class NewApiKeyDto extends ApiKeyDto {
  @ApiProperty({ type: String, description: 'The key itself. Shown here and never again.' })
  key: string;
}

export class CreateApiKeyDto {
  @ApiProperty({ type: String, enum: KEY_TYPES })
  @IsIn(KEY_TYPES)
  key_type: KeyType;

  @ApiProperty({ type: String, enum: ENVIRONMENTS })
  @IsIn(ENVIRONMENTS)
  environment: Environment;
}

export function toSettings(dto: ProjectSettingsDto): ProjectSettings {
  return {
    bundleId: dto.bundle_id,
    platform: dto.platform,
    referralCodeLength: dto.referral_code_length,
    maxClaimsPerUser: dto.max_claims_per_user,
  };
}

export function toProjectDto(project: Project): ProjectDto {
  return toProjectJson(project);
}

export function toCreatedProjectDto({ project, keys }: CreatedProject): CreatedProjectDto {
  return {
    project: toProjectDto(project),
    api_keys: { client: keys.client.key, server: keys.server.key },
  };
}
