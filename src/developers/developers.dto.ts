import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { OptionalNotNull } from '../common/optional.decorator';
import { Text, Visible } from '../common/text.decorator';
import type { CreatedProject } from '../projects/projects.service';
import type { SignedInDeveloper, SignedUpDeveloper } from './developer-sign-in.service';
import type { DeveloperRow, PatRow } from './developers.service';

const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImRldmVsb3Blcitqd3QifQ.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl';
const pat = {
  type: String,
  example: 'amb_dpat_…',
  description: 'A personal access token, for scripts. It does not expire. Shown here and never again.',
} as const;

export class DeveloperDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ type: String, example: 'ada@example.com' })
  email: string;

  @ApiProperty({ type: String, nullable: true, example: 'Ada' })
  name: string | null;

  @ApiProperty(time)
  created_at: Date;

  @ApiProperty(time)
  updated_at: Date;
}

class PatDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ type: String, example: 'amb_dpat_3fQz1Lw', description: 'How the token begins.' })
  prefix: string;

  @ApiProperty(time)
  created_at: Date;

  @ApiProperty({ ...time, nullable: true, description: 'To the minute.' })
  last_used_at: Date | null;
}

export class MeDto extends DeveloperDto {
  @ApiProperty({ type: PatDto, description: 'The personal access token in force.' })
  pat: PatDto;
}

export class DeveloperSessionDto {
  @ApiProperty({ type: String, example: JWT, description: 'Send it as `Authorization: Bearer`.' })
  access_token: string;

  @ApiProperty({
    type: String,
    example: JWT,
    description: 'Works once; exchange it at `/auth/developer/refresh`.',
  })
  refresh_token: string;

  @ApiProperty({ ...time, description: 'When the access token stops working.' })
  expires_at: Date;

  @ApiProperty({ type: DeveloperDto })
  developer: DeveloperDto;
}

class FirstKeysDto {
  @ApiProperty({ type: String, example: 'amb_dev_ck_…', description: 'For the app: `X-Api-Key`.' })
  client: string;

  @ApiProperty({
    type: String,
    example: 'amb_dev_sk_…',
    description: 'For your servers: `Authorization: Bearer`.',
  })
  server: string;
}

class FirstProjectDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ type: String, example: 'My app' })
  name: string;

  @ApiProperty({ type: FirstKeysDto, description: 'Shown here and never again.' })
  api_keys: FirstKeysDto;
}

export class SignedUpDto extends DeveloperSessionDto {
  @ApiProperty(pat)
  pat: string;

  @ApiProperty({ type: FirstProjectDto })
  project: FirstProjectDto;
}

export class RotatedPatDto {
  @ApiProperty(pat)
  pat: string;
}

export class DeveloperLoginDto {
  @ApiProperty({ type: String, format: 'email', maxLength: 254, example: 'ada@example.com' })
  @Text({ max: 254 })
  email: string;

  @ApiProperty({
    type: String,
    format: 'password',
    description: '8 to 200 characters.',
    example: 'correct horse',
  })
  @Text({ max: 1000 })
  password: string;
}

export class DeveloperSignUpDto extends DeveloperLoginDto {
  @ApiPropertyOptional({ type: String, minLength: 1, maxLength: 100, example: 'Ada' })
  @Visible()
  @Text({ min: 1, max: 100 })
  @OptionalNotNull()
  name?: string;
}

export class DeveloperRefreshDto {
  @ApiProperty({ type: String, maxLength: 2000, example: JWT })
  @Text({ min: 1, max: 2000 })
  refresh_token: string;
}

export class DeveloperLoggedOutDto {
  @ApiProperty({ type: Boolean, enum: [true] })
  logged_out: true;
}

export function toMeDto({ developer, pat }: { developer: DeveloperRow; pat: PatRow }): MeDto {
  return { ...toDeveloperDto(developer), pat };
}

export function toDeveloperSessionDto({ developer, tokens }: SignedInDeveloper): DeveloperSessionDto {
  return {
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken,
    expires_at: tokens.expiresAt,
    developer: toDeveloperDto(developer),
  };
}

export function toSignedUpDto({ pat, first, ...signedIn }: SignedUpDeveloper): SignedUpDto {
  return { ...toDeveloperSessionDto(signedIn), pat, project: toFirstProject(first) };
}

function toFirstProject({ project, keys }: CreatedProject): FirstProjectDto {
  const api_keys = { client: keys.client.key, server: keys.server.key };
  return { id: project.id, name: project.name, api_keys };
}

function toDeveloperDto({ id, email, name, created_at, updated_at }: DeveloperRow): DeveloperDto {
  return { id, email, name, created_at, updated_at };
}
