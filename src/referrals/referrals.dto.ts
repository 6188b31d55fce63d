import { ApiProperty } from '@nestjs/swagger';
import { Text } from '../common/text.decorator';
import type { RewardJson } from '../rewards/reward';

/** The demo project's code, so that "Try it out" works as it stands. */
export const EXAMPLE_CODE = 'ADA-INVITES';

/** Documents a reward as it is written. */
export const reward = {
  description:
    'Amounts by currency code: `{}`, `{ "currency": "gems", "amount": 50 }` or `{ "gems": 50, "gold": 10 }`.',
  type: 'object',
  additionalProperties: true,
  example: { gems: 50 },
} as const;

/** A code, whoever reads it. */
export class CodeDto {
  @ApiProperty({ type: String, format: 'uuid' })
  id: string;

  @ApiProperty({ type: String, example: EXAMPLE_CODE })
  code: string;

  @ApiProperty(reward)
  reward_referrer: RewardJson;

  @ApiProperty(reward)
  reward_referee: RewardJson;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  current_uses: number;

  @ApiProperty({ type: 'integer', minimum: 1, nullable: true, example: null, description: 'null: no limit' })
  max_uses: number | null;

  @ApiProperty({ type: Boolean })
  is_active: boolean;

  @ApiProperty({ type: String, format: 'date-time' })
  created_at: Date;

  @ApiProperty({ type: String, format: 'date-time' })
  updated_at: Date;
}

export class ReferralCodeDto extends CodeDto {
  @ApiProperty({ type: String, format: 'uuid' })
  app_user_id: string;
}

export class ClaimRequestDto {
  @ApiProperty({
    type: String,
    minLength: 1,
    maxLength: 64,
    example: EXAMPLE_CODE,
    description: 'As the user typed it: case, spaces and hyphens do not matter.',
  })
  @Text({ min: 1, max: 64 })
  code: string;
}

export class RewardDto {
  @ApiProperty({ type: String, example: 'gems' })
  currency_code: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 50, description: 'What was promised.' })
  amount: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 50,
    description: 'What was paid; less when the maximum was reached.',
  })
  granted: number;

  @ApiProperty({
    type: String,
    enum: ['granted', 'pending'],
    description: 'A pending reward follows on its own.',
  })
  status: 'granted' | 'pending';
}

export class ClaimDto {
  @ApiProperty({ type: String, format: 'uuid' })
  id: string;

  @ApiProperty({ type: String, format: 'uuid' })
  referral_code_id: string;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description: 'null: a promo code without an owner',
  })
  referrer_id: string | null;

  @ApiProperty({ type: String, format: 'uuid' })
  referee_id: string;

  @ApiProperty({ type: String, format: 'date-time' })
  claimed_at: Date;

  @ApiProperty({ type: [RewardDto], description: "The caller's own rewards." })
  rewards: RewardDto[];
}
