import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsObject, IsOptional, IsTimeZone, IsUrl } from 'class-validator';
import { EmptyIsNone, OptionalNotNull } from '../common/optional.decorator';
import { PageQuery } from '../common/page';
import { Text, Visible } from '../common/text.decorator';
import type { AppUser } from './app-user.entity';
import type { SignedIn } from './sign-in.service';
import { toUserJson, type UserIdentity } from './users.service';

const text = { type: String } as const;
const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6InNlc3Npb24rand0In0.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl';

class AuthProviderDto {
  @ApiProperty({ ...text, enum: ['anonymous', 'email', 'apple', 'google'] })
  provider: string;

  @ApiProperty({ ...text, description: "The provider's id for the user; the address for `email`." })
  provider_id: string;
}

export class UserDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ ...text, nullable: true, example: 'ada@example.com' })
  email: string | null;

  @ApiProperty({ ...text, example: 'Brave Otter', description: 'Generated for everyone who gives none.' })
  display_name: string;

  @ApiProperty({ ...text, nullable: true })
  avatar_url: string | null;

  @ApiProperty({ ...text, nullable: true, description: "The id in the app's own user system." })
  external_id: string | null;

  @ApiProperty({ ...text, nullable: true, example: 'anon_7kQm2XbT0pLw9ZrD4cNv' })
  anonymous_id: string | null;

  @ApiProperty({ type: [AuthProviderDto] })
  auth_providers: AuthProviderDto[];

  @ApiProperty({ type: 'object', additionalProperties: true, example: { level: 7 } })
  properties: object;

  @ApiProperty({ ...text, nullable: true, example: 'Europe/Paris' })
  timezone: string | null;

  @ApiProperty(time)
  first_seen_at: Date;

  @ApiProperty(time)
  last_seen_at: Date;

  @ApiProperty(time)
  created_at: Date;

  @ApiProperty(time)
  updated_at: Date;
}

export class AdminUserDto extends UserDto {
  @ApiProperty({ ...time, nullable: true, description: 'Since when the user is shut out; null: not at all.' })
  disabled_at: Date | null;

  @ApiProperty({ ...time, nullable: true, description: 'Since when nothing personal is left of the user.' })
  erased_at: Date | null;
}

export class UserStateDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ ...time, nullable: true, description: 'Since when the user is shut out; null: not at all.' })
  disabled_at: Date | null;

  @ApiProperty({ ...time, nullable: true, description: 'Since when nothing personal is left of the user.' })
  erased_at: Date | null;
}

export class UsersQuery extends PageQuery {
  @ApiPropertyOptional({
    ...text,
    maxLength: 255,
    example: 'ada',
    description: "Part of a name, an e-mail or an external id; or a user's id, or a referral code.",
  })
  @Text({ min: 1, max: 255 })
  @IsOptional()
  @EmptyIsNone()
  search?: string;
}

export class SessionDto {
  @ApiProperty({ ...text, example: JWT, description: 'Send it as `Authorization: Bearer`.' })
  session_token: string;

  @ApiProperty({ ...text, description: 'Works once; exchange it at `/client/auth/refresh`.' })
  refresh_token: string;

  @ApiProperty({ ...time, description: 'When the session token stops working.' })
  expires_at: Date;

  @ApiProperty({ type: UserDto })
  user: UserDto;
}

export class AnonymousSessionDto extends SessionDto {
  @ApiProperty({ ...text, example: 'anon_7kQm2XbT0pLw9ZrD4cNv' })
  anonymous_id: string;
}

/** No fields: an empty body and none at all mean the same. */
export class EmptyDto {}

export class CredentialsDto {
  @ApiProperty({ ...text, format: 'email', maxLength: 254, example: 'ada@example.com' })
  @Text({ max: 254 })
  email: string;

  @ApiProperty({ ...text, format: 'password', description: '8 to 200 characters.', example: 'correct horse' })
  @Text({ max: 1000 })
  password: string;
}

export class RefreshDto {
  @ApiProperty({ ...text, maxLength: 200, example: 'amb_rt_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG' })
  @Text({ min: 1, max: 200 })
  refresh_token: string;
}

export class IdentityTokenDto {
  @ApiProperty({ ...text, enum: ['apple', 'google'], maxLength: 32 })
  @Text({ max: 32 })
  provider: string;

  @ApiProperty({
    ...text,
    maxLength: 8192,
    description: 'The identity token (a JWT) that the provider gave the app.',
    example: JWT,
  })
  @Text({ min: 1, max: 8192 })
  id_token: string;
}

export class ProfileDto {
  @ApiPropertyOptional({ ...text, minLength: 1, maxLength: 100, example: 'Ada' })
  @Visible()
  @Text({ min: 1, max: 100 })
  @OptionalNotNull()
  display_name?: string;

  @ApiPropertyOptional({
    ...text,
    format: 'uri',
    nullable: true,
    maxLength: 2048,
    example: 'https://example.com/ada.png',
  })
  @Text({ max: 2048 })
  @IsUrl({ protocols: ['https', 'http'], require_protocol: true, require_tld: false })
  @IsOptional()
  avatar_url?: string | null;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'Replaced as a whole.',
    example: { level: 7 },
  })
  @IsObject()
  @OptionalNotNull()
  properties?: object;

  @ApiPropertyOptional({ ...text, nullable: true, description: 'An IANA name.', example: 'Europe/Paris' })
  @IsTimeZone()
  @Text({ max: 64 })
  @IsOptional()
  timezone?: string | null;
}

export class ExternalUserDto extends ProfileDto {
  @ApiProperty({ ...text, minLength: 1, maxLength: 255, example: 'user-42' })
  @Visible()
  @Text({ min: 1, max: 255 })
  external_id: string;
}

export class LoggedOutDto {
  @ApiProperty({ type: Boolean, enum: [true] })
  logged_out: true;
}

export function toProfile({ display_name, avatar_url, properties, timezone }: ProfileDto) {
  return { displayName: display_name, avatarUrl: avatar_url, properties, timezone };
}

export function toUserDto(user: AppUser, identities: UserIdentity[]): UserDto {
  return toUserJson(user, identities);
}

export function toSessionDto({ user, identities, tokens }: SignedIn): SessionDto {
  return {
    session_token: tokens.sessionToken,
    refresh_token: tokens.refreshToken,
    expires_at: tokens.expiresAt,
    user: toUserDto(user, identities),
  };
}
