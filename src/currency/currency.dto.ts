import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { PageQuery } from '../common/page';
import { Text } from '../common/text.decorator';

const CODE_MAX_LENGTH = 32;
const amount = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

export class BalanceDto {
  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ type: String, example: 'Gems' })
  name: string;

  @ApiProperty({ type: Boolean, example: true })
  is_premium: boolean;

  @ApiProperty({
    ...amount,
    example: 50,
    description: 'What the user has now, from 0 to the maximum of the currency.',
  })
  balance: number;

  @ApiProperty({
    ...amount,
    example: 50,
    description: 'All that was ever credited, without the initial balance.',
  })
  lifetime_earned: number;

  @ApiProperty({ ...amount, example: 0 })
  lifetime_spent: number;
}

export class TransactionDto {
  @ApiProperty({ type: String, format: 'uuid' })
  id: string;

  @ApiProperty({ type: String, format: 'uuid' })
  app_user_id: string;

  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ type: 'integer', example: 50, description: 'What was applied; 0 when nothing fitted.' })
  amount: number;

  @ApiProperty({
    type: 'integer',
    example: 50,
    description: 'What was asked for, before the maximum was applied.',
  })
  requested_amount: number;

  @ApiProperty({ ...amount, example: 50 })
  balance_after: number;

  @ApiProperty({ type: String, enum: ['earn', 'spend', 'grant', 'purchase', 'refund', 'recharge'] })
  transaction_type: string;

  @ApiProperty({
    type: String,
    enum: ['event', 'admin', 'store_purchase', 'xp_reward', 'referral', 'system'],
  })
  source: string;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description: 'For a referral reward, the id of the claim.',
  })
  reference_id: string | null;

  @ApiProperty({ type: String, format: 'date-time' })
  created_at: Date;
}

export class TransactionsQuery extends PageQuery {
  @ApiPropertyOptional({
    type: String,
    description: 'Only this currency.',
    maxLength: CODE_MAX_LENGTH,
    example: 'gems',
  })
  @Text({ min: 1, max: CODE_MAX_LENGTH })
  @IsOptional()
  currency_code?: string;
}
