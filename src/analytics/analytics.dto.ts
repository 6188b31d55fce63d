import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsInt, IsOptional, Max, Min, ValidateBy } from 'class-validator';
import { WholeNumber } from '../common/page';
import { isDay } from './period';

const count = { type: 'integer', minimum: 0 } as const;
const amount = { ...count, maximum: Number.MAX_SAFE_INTEGER } as const;
const day = { type: String, format: 'date', example: '2026-03-31' } as const;

export const MAX_TOP = 100;

/** What the ratios mean; sent along with them, so that nobody has to guess. */
export const DEFINITIONS = {
  conversion:
    'users_with_claim / users_with_code, null without users: of the users who had a code at the end of the period, the share ' +
    'whose code had been claimed at least once by then.',
  k_factor:
    'user_code_claims / users_with_code, null without users: claims that each user with a code brought in during the period. ' +
    'Claims of codes without an owner are left out.',
};

function IsDay(): PropertyDecorator {
  return ValidateBy({
    name: 'day',
    validator: {
      validate: isDay,
      defaultMessage: () => '$property must be a calendar day from 2000 on, as YYYY-MM-DD',
    },
  });
}

export class AnalyticsQuery {
  @ApiPropertyOptional({
    ...day,
    example: '2026-03-01',
    description: 'First day, UTC. 30 days when not given.',
  })
  @IsDay()
  @IsOptional()
  from?: string;

  @ApiPropertyOptional({
    ...day,
    description: 'Last day, UTC, at most 366 days in all. Today when not given.',
  })
  @IsDay()
  @IsOptional()
  to?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_TOP,
    default: 10,
    description: 'How many of the top referrers to list.',
  })
  @Max(MAX_TOP)
  @Min(1)
  @IsInt()
  @WholeNumber()
  top: number = 10;
}

export class AnalyticsPeriodDto {
  @ApiProperty({ ...day, example: '2026-03-01', description: 'UTC, inclusive.' })
  from: string;

  @ApiProperty({ ...day, description: 'UTC, inclusive.' })
  to: string;
}

export class AnalyticsTotalsDto {
  @ApiProperty({ ...count, description: 'Codes made in the period: of users, templates and promo codes.' })
  codes_made: number;

  @ApiProperty({ ...count, description: 'Of these, the ones that are a user’s own.' })
  user_codes_made: number;

  @ApiProperty({ ...count, description: 'Claims in the period, of all codes.' })
  claims: number;

  @ApiProperty({ ...count, description: 'Of these, the claims of users’ own codes.' })
  user_code_claims: number;

  @ApiProperty({ ...count, description: 'Different users whose own code was claimed in the period.' })
  unique_referrers: number;

  @ApiProperty({ ...count, description: 'Users who had a code of their own at the end of the period.' })
  users_with_code: number;

  @ApiProperty({
    ...count,
    description: 'Of these, the ones whose code had been claimed by then, in the period or before it.',
  })
  users_with_claim: number;

  @ApiProperty({
    ...{ type: Number, minimum: 0, maximum: 1, nullable: true, example: 0.4 },
    description: DEFINITIONS.conversion,
  })
  conversion: number | null;

  @ApiProperty({
    ...{ type: Number, minimum: 0, nullable: true, example: 1.25 },
    description: DEFINITIONS.k_factor,
  })
  k_factor: number | null;
}

export class AnalyticsRewardsDto {
  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ ...count, description: 'Referral rewards paid in the period, by the day of payment.' })
  granted_count: number;

  @ApiProperty({ ...count, description: 'Of these, the ones that the currency’s maximum cut short.' })
  clamped_count: number;

  @ApiProperty({
    ...amount,
    description: 'What these rewards promised. A sum beyond 2^53 - 1 is given as 2^53 - 1.',
  })
  promised: number;

  @ApiProperty({ ...amount, description: 'What they added to balances, as far as 2^53 - 1.' })
  granted: number;

  @ApiProperty({ ...amount, description: 'What was cut off: promised - granted, as far as 2^53 - 1.' })
  clamped: number;
}

export class TopReferrerDto {
  @ApiProperty({ type: String, format: 'uuid' })
  app_user_id: string;

  @ApiProperty({ ...count, minimum: 1, description: 'Claims of this user’s code in the period.' })
  claims: number;
}

export class AnalyticsDayDto {
  @ApiProperty(day)
  day: string;

  @ApiProperty(count)
  codes_made: number;

  @ApiProperty(count)
  claims: number;

  @ApiProperty(count)
  unique_referrers: number;
}

export class AnalyticsDefinitionsDto {
  @ApiProperty({ type: String, example: DEFINITIONS.conversion })
  conversion: string;

  @ApiProperty({ type: String, example: DEFINITIONS.k_factor })
  k_factor: string;
}

export class AnalyticsDto {
  @ApiProperty({ type: AnalyticsPeriodDto })
  period: AnalyticsPeriodDto;

  @ApiProperty({ type: AnalyticsTotalsDto })
  totals: AnalyticsTotalsDto;

  @ApiProperty({
    type: AnalyticsRewardsDto,
    isArray: true,
    description: 'One row per currency paid, by code.',
  })
  rewards: AnalyticsRewardsDto[];

  @ApiProperty({
    ...{ type: TopReferrerDto, isArray: true },
    description: 'The users whose codes were claimed most in the period; of equals, who referred first.',
  })
  top_referrers: TopReferrerDto[];

  @ApiProperty({ type: AnalyticsDayDto, isArray: true, description: 'Every day of the period, in order.' })
  daily: AnalyticsDayDto[];

  @ApiProperty({ type: AnalyticsDefinitionsDto })
  definitions: AnalyticsDefinitionsDto;
}
