import { ApiProperty } from '@nestjs/swagger';
import { COMPARISONS } from './reconciliation';

const count = { type: 'integer', minimum: 0 } as const;
/** Never a string and never rounded: what JSON cannot carry exactly is null. */
const sum = {
  type: 'integer',
  nullable: true,
  maximum: Number.MAX_SAFE_INTEGER,
  example: 1250,
  description: 'null when it is above 2^53 - 1. The comparisons are exact all the same.',
} as const;
const agrees = { type: Boolean, example: true } as const;

class PromisedDto {
  @ApiProperty({ ...count, example: 25 })
  count: number;

  @ApiProperty(sum)
  promised: number | null;
}

class PromisesDto {
  @ApiProperty({ type: PromisedDto })
  pending: PromisedDto;

  @ApiProperty({ type: PromisedDto })
  granted: PromisedDto;

  @ApiProperty({ type: PromisedDto })
  dead: PromisedDto;

  @ApiProperty({ type: PromisedDto })
  cancelled: PromisedDto;

  @ApiProperty(sum)
  granted_sum: number | null;

  @ApiProperty(sum)
  clamped_sum: number | null;
}

class ReferralLinesDto {
  @ApiProperty({ ...count, example: 25 })
  count: number;

  @ApiProperty(sum)
  requested: number | null;

  @ApiProperty(sum)
  sum: number | null;
}

class SourceDto {
  @ApiProperty({
    type: String,
    enum: ['event', 'admin', 'store_purchase', 'xp_reward', 'referral', 'system'],
  })
  source: string;

  @ApiProperty({ ...count, example: 25 })
  count: number;

  @ApiProperty(sum)
  sum: number | null;
}

class LedgerDto {
  @ApiProperty(sum)
  sum: number | null;

  @ApiProperty({ type: ReferralLinesDto })
  referral: ReferralLinesDto;

  @ApiProperty({ type: [SourceDto] })
  by_source: SourceDto[];
}

class BalancesDto {
  @ApiProperty({ ...count, example: 20, description: 'Users who have a balance in this currency.' })
  users: number;

  @ApiProperty(sum)
  sum: number | null;
}

class ComparisonDto {
  @ApiProperty({ type: String, enum: COMPARISONS })
  name: string;

  @ApiProperty(agrees)
  agrees: boolean;
}

class CurrencyTotalsDto {
  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ type: Boolean, example: false, description: 'Deleted, but it has a history.' })
  is_deleted: boolean;

  @ApiProperty(agrees)
  agrees: boolean;

  @ApiProperty({ type: PromisesDto })
  promises: PromisesDto;

  @ApiProperty({ type: LedgerDto })
  ledger: LedgerDto;

  @ApiProperty({ type: BalancesDto })
  balances: BalancesDto;

  @ApiProperty({ type: [ComparisonDto] })
  comparisons: ComparisonDto[];
}

export class ReconciliationDto {
  @ApiProperty({ ...agrees, description: 'Whether every comparison holds in every currency.' })
  agrees: boolean;

  @ApiProperty({
    type: String,
    format: 'date-time',
    description: 'The moment whose data was added up: nothing that happens meanwhile can make it disagree.',
  })
  checked_at: Date;

  @ApiProperty({ ...count, example: 0, description: 'Promises that are not paid yet.' })
  pending: number;

  @ApiProperty({ ...count, example: 0, description: 'Promises that wait for you.' })
  dead: number;

  @ApiProperty({ ...count, nullable: true, example: null, description: 'Of the oldest pending promise.' })
  oldest_pending_age_s: number | null;

  @ApiProperty({ type: [CurrencyTotalsDto] })
  currencies: CurrencyTotalsDto[];
}
