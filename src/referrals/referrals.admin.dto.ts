import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Allow, IsBoolean, IsIn, IsInt, IsOptional, IsUUID, Max, Min } from 'class-validator';
import { EmptyIsNone, OptionalNotNull } from '../common/optional.decorator';
import { PageQuery, WholeNumber } from '../common/page';
import { Text } from '../common/text.decorator';
import type { RewardJson } from '../rewards/reward';
import { CodeDto, reward } from './referrals.dto';
import type { ReferralClaim } from './referral-claim.entity';
import type { CodeStats } from './referral-codes.admin.service';
import { toReferralCodeJson } from './referral-codes.service';

const MAX_USES = 2_147_483_647;
const MAX_CLAIMS = 10_000;
const uuid = { type: String, format: 'uuid' } as const;
const maxUses = {
  type: 'integer',
  nullable: true,
  minimum: 1,
  maximum: MAX_USES,
  example: 100,
  description: 'How often it may be claimed; null: no limit.',
} as const;

export class AdminCodeDto extends CodeDto {
  @ApiProperty({
    ...uuid,
    nullable: true,
    description: 'null: a template, which anybody may claim as a promo code.',
  })
  app_user_id: string | null;
}

class CodeSettingsDto {
  @ApiPropertyOptional({ ...reward, description: `For the owner of the code. ${reward.description}` })
  @Allow()
  @OptionalNotNull()
  reward_referrer?: RewardJson;

  @ApiPropertyOptional({ ...reward, description: `For the user who claims it. ${reward.description}` })
  @Allow()
  @OptionalNotNull()
  reward_referee?: RewardJson;

  @ApiPropertyOptional(maxUses)
  @Max(MAX_USES)
  @Min(1)
  @IsInt()
  @IsOptional()
  max_uses?: number | null;
}

export class NewCodeDto extends CodeSettingsDto {
  @ApiPropertyOptional({
    type: String,
    minLength: 3,
    maxLength: 32,
    pattern: '^[A-Za-z0-9_-]+$',
    example: 'SUMMER-2027',
    description:
      'Letters, digits, `_` and `-`; generated when left out. Case and hyphens do not tell codes apart.',
  })
  @Text({ min: 1, max: 64 })
  @OptionalNotNull()
  code?: string;

  @ApiPropertyOptional({ ...uuid, description: "Makes it this user's own code. Without: a template." })
  @IsUUID()
  @OptionalNotNull()
  app_user_id?: string;
}

export class UpdateCodeDto extends CodeSettingsDto {
  @ApiPropertyOptional({ type: Boolean })
  @IsBoolean()
  @OptionalNotNull()
  is_active?: boolean;
}

export class CodesQuery extends PageQuery {
  @ApiPropertyOptional({ type: String, maxLength: 64, example: 'ada', description: 'Part of a code.' })
  @Text({ min: 1, max: 64 })
  @IsOptional()
  @EmptyIsNone()
  search?: string;

  @ApiPropertyOptional({
    type: String,
    enum: ['user', 'template'],
    description: "`user`: users' own codes; `template`: those without an owner.",
  })
  @IsIn(['user', 'template'])
  @IsOptional()
  @EmptyIsNone()
  kind?: 'user' | 'template';
}

export class StatsQuery extends PageQuery {
  @ApiPropertyOptional({
    description: 'Claims to return.',
    type: 'integer',
    minimum: 1,
    maximum: MAX_CLAIMS,
    default: 1000,
  })
  @Max(MAX_CLAIMS)
  @Min(1)
  @IsInt()
  @WholeNumber()
  override limit: number = 1000;
}

class CodeClaimDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty({ ...uuid, nullable: true, description: 'The owner of the code; null when it has none.' })
  referrer_id: string | null;

  @ApiProperty({ ...uuid, description: 'The user who claimed it.' })
  referee_id: string;

  @ApiProperty({ ...reward, description: 'What was promised to the owner.' })
  reward_referrer: RewardJson;

  @ApiProperty({ ...reward, description: 'What was promised to the claimer.' })
  reward_referee: RewardJson;

  @ApiProperty({ type: String, format: 'date-time' })
  claimed_at: Date;
}

export class CodeStatsDto {
  @ApiProperty({ type: AdminCodeDto })
  referral_code: AdminCodeDto;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'All claims, whatever the page.' })
  total_claims: number;

  @ApiProperty({ type: [CodeClaimDto], description: 'The claims, newest first.' })
  claims: CodeClaimDto[];
}

export function toStatsDto({ code, total, claims }: CodeStats): CodeStatsDto {
  return { referral_code: toReferralCodeJson(code), total_claims: total, claims: claims.map(toCodeClaimDto) };
}

function toCodeClaimDto(claim: ReferralClaim): CodeClaimDto {
  return {
    id: claim.id,
    referrer_id: claim.referrerId,
    referee_id: claim.refereeId,
    reward_referrer: claim.rewardReferrer,
    reward_referee: claim.rewardReferee,
    claimed_at: claim.claimedAt,
  };
}
