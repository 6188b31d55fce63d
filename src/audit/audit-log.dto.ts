import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { EmptyIsNone } from '../common/optional.decorator';
import { PageQuery } from '../common/page';
import { Text } from '../common/text.decorator';

const state = { type: 'object', additionalProperties: true, nullable: true } as const;

export class AuditEntryDto {
  @ApiProperty({ type: String, format: 'uuid' })
  id: string;

  @ApiProperty({ type: String, enum: ['developer', 'personal_access_token', 'server_key', 'command_line'] })
  actor_kind: string;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description: 'The developer, or the server key.',
  })
  actor_id: string | null;

  @ApiProperty({
    type: String,
    example: 'ada@example.com',
    description: "The developer's e-mail, the start of the server key, or the operating system's user.",
  })
  actor_name: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '203.0.113.7',
    description: 'Where the request came from.',
  })
  address: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'The `X-Request-Id` of the request.' })
  request_id: string | null;

  @ApiProperty({ type: String, example: 'currency.update' })
  action: string;

  @ApiProperty({ type: String, description: 'The id of what was written.' })
  target_id: string;

  @ApiProperty({ ...state, description: 'Its state before; null for what was made.' })
  before: object | null;

  @ApiProperty({ ...state, description: 'Its state after; null for what is gone.' })
  after: object | null;

  @ApiProperty({ type: String, format: 'date-time' })
  created_at: Date;
}

export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({
    type: String,
    maxLength: 100,
    example: 'currency.update',
    description: 'Only this action.',
  })
  @Text({ min: 1, max: 100 })
  @IsOptional()
  @EmptyIsNone()
  action?: string;

  @ApiPropertyOptional({ type: String, maxLength: 100, description: 'Only what was done to this.' })
  @Text({ min: 1, max: 100 })
  @IsOptional()
  @EmptyIsNone()
  target_id?: string;
}
