import {
  ApiProperty,
  ApiPropertyOptional,
  getSchemaPath,
  IntersectionType,
  type ApiPropertyOptions,
} from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsIn, IsUUID } from 'class-validator';
import type { AuditEntryDto } from '../audit/audit-log.dto';
import { ApiError } from '../common/api-error';
import { EmptyIsNone, OptionalNotNull } from '../common/optional.decorator';
import { PageQuery } from '../common/page';
import { Text, Visible } from '../common/text.decorator';
import { Time } from '../common/time.decorator';
import { GRANT_STATUSES, type GrantStatus } from './reward-grants';
import { REPLAY_BATCH, REPLAYABLE, type ReplaySelection } from './reward-grants.service';

/** As many as fit into a body of 16 kB. */
const MAX_IDS = 400;

const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
const amount = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const from = { ...time, description: 'Promised at this time or later.', example: '2026-03-01T00:00:00Z' };
const to = { ...time, description: 'Promised before this time.', example: '2026-04-01T00:00:00Z' };

export class GrantFilterQuery {
  @ApiPropertyOptional({ type: String, enum: GRANT_STATUSES })
  @IsIn(GRANT_STATUSES)
  @OptionalNotNull()
  @EmptyIsNone()
  status?: GrantStatus;

  @ApiPropertyOptional(from)
  @Time()
  @OptionalNotNull()
  @EmptyIsNone()
  from?: string;

  @ApiPropertyOptional(to)
  @Time()
  @OptionalNotNull()
  @EmptyIsNone()
  to?: string;

  @ApiPropertyOptional(uuid)
  @IsUUID()
  @OptionalNotNull()
  @EmptyIsNone()
  claim_id?: string;

  @ApiPropertyOptional({ ...uuid, description: 'Whose reward it is.' })
  @IsUUID()
  @OptionalNotNull()
  @EmptyIsNone()
  app_user_id?: string;

  @ApiPropertyOptional({ type: String, maxLength: 32, example: 'gems' })
  @Text({ min: 1, max: 32 })
  @OptionalNotNull()
  @EmptyIsNone()
  currency_code?: string;
}

export class GrantsQuery extends IntersectionType(GrantFilterQuery, PageQuery) {}

/** Written out here: OpenAPI 3.0 has no way to say of a reference that it may be null. */
const ledgerLine = {
  type: 'object',
  nullable: true,
  required: ['id', 'balance_after', 'created_at'],
  properties: {
    id: { type: 'string', format: 'uuid' },
    balance_after: { ...amount, example: 100 },
    created_at: { type: 'string', format: 'date-time' },
  },
} satisfies ApiPropertyOptions;

export class GrantDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty(uuid)
  claim_id: string;

  @ApiProperty({ type: String, enum: ['referrer', 'referee'], description: 'Which side of the claim.' })
  side: string;

  @ApiProperty(uuid)
  app_user_id: string;

  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ ...amount, minimum: 1, example: 50, description: 'What the claim promised.' })
  promised: number;

  @ApiProperty({ ...amount, nullable: true, example: 40, description: 'What was credited; null until then.' })
  granted: number | null;

  @ApiProperty({
    ...amount,
    nullable: true,
    example: 10,
    description: "What the currency's maximum left no room for; null until it is granted.",
  })
  clamped: number | null;

  @ApiProperty({
    type: String,
    enum: GRANT_STATUSES,
    description: '`dead`: tried 25 times over days, and now waiting for you.',
  })
  status: GrantStatus;

  @ApiProperty({ type: 'integer', minimum: 0, example: 1, description: 'How often it was tried.' })
  attempts: number;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'The project has no currency "gems".',
    description: 'Why the last try failed, or why it was cancelled.',
  })
  last_error: string | null;

  @ApiProperty({ ...time, nullable: true, description: 'When a pending one is tried next.' })
  next_attempt_at: Date | null;

  @ApiProperty({ ...ledgerLine, description: 'Its line in the ledger, once granted.' })
  transaction: { id: string; balance_after: number; created_at: Date } | null;

  @ApiProperty({ ...time, description: 'When it was promised.' })
  created_at: Date;

  @ApiProperty({ ...time, nullable: true, description: 'When it was granted, cancelled or given up.' })
  settled_at: Date | null;
}

export class GrantWithEventsDto extends GrantDto {
  @ApiProperty({
    type: 'array',
    // by name: it is the audit log's own
    items: { $ref: getSchemaPath('AuditEntryDto') },
    description: 'Who replayed and cancelled it, newest first.',
  })
  events: AuditEntryDto[];
}

/** No fields: an empty body and none at all mean the same. */
export class ReplayDto {}

export class CancelDto {
  @ApiProperty({ type: String, minLength: 1, maxLength: 500, example: 'Fraud: one person, ten accounts' })
  @Visible()
  @Text({ min: 1, max: 500 })
  reason: string;
}

export class ReplayManyDto {
  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', format: 'uuid' },
    minItems: 1,
    maxItems: MAX_IDS,
  })
  @IsUUID('all', { each: true })
  @ArrayMaxSize(MAX_IDS)
  @ArrayMinSize(1)
  @OptionalNotNull()
  ids?: string[];

  @ApiPropertyOptional({ type: String, enum: REPLAYABLE })
  @IsIn(REPLAYABLE)
  @OptionalNotNull()
  status?: (typeof REPLAYABLE)[number];

  @ApiPropertyOptional(from)
  @Time()
  @OptionalNotNull()
  from?: string;

  @ApiPropertyOptional(to)
  @Time()
  @OptionalNotNull()
  to?: string;
}

class RefusedReplayDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({
    type: String,
    enum: ['not_found', 'not_replayable'],
    description: '`not_replayable`: it is pending or granted.',
  })
  reason: string;
}

export class ReplayResultDto {
  @ApiProperty({ type: 'integer', minimum: 0, example: 12 })
  replayed: number;

  @ApiProperty({ type: [RefusedReplayDto] })
  refused: RefusedReplayDto[];

  @ApiProperty({
    type: Boolean,
    description: `Whether more match: one request replays the oldest ${REPLAY_BATCH}. Send it again.`,
  })
  has_more: boolean;
}

/** @throws ApiError INVALID_INPUT unless either ids or a filter is given */
export function toSelection({ ids, status, from, to }: ReplayManyDto): ReplaySelection {
  if (ids === undefined) {
    if (status === undefined)
      throw ApiError.invalidInput({ field: 'status', message: 'or ids must be sent' });
    return { status, from, to };
  }
  if (status !== undefined || from !== undefined || to !== undefined) {
    throw ApiError.invalidInput({ field: 'ids', message: 'must be sent without a filter' });
  }
  return { ids };
}
