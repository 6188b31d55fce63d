import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsInt, IsOptional, IsUUID, Matches, Max, Min } from 'class-validator';
import { OptionalNotNull } from '../common/optional.decorator';
import { Text, Visible } from '../common/text.decorator';
import { MAX_AMOUNT } from './amount';
import { TransactionDto } from './currency.dto';
import type { Currency } from './currency.entity';
import { toCurrencyJson, type CurrencyChanges } from './currency.service';

const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
const code = {
  type: String,
  minLength: 1,
  maxLength: 32,
  pattern: '^[A-Za-z][A-Za-z0-9_-]*$',
  example: 'gems',
} as const;
const name = { type: String, minLength: 1, maxLength: 100, example: 'Gems' } as const;
const description = { type: String, nullable: true, maxLength: 500, example: 'Bought and won' } as const;
const initialBalance = {
  type: 'integer',
  minimum: 0,
  maximum: MAX_AMOUNT,
  example: 0,
  description: 'What a user has before the first movement.',
} as const;
const maxBalance = {
  type: 'integer',
  nullable: true,
  minimum: 1,
  maximum: MAX_AMOUNT,
  example: 1000,
  description: 'What a user can have at most; null: no limit.',
} as const;
const reason = {
  type: String,
  nullable: true,
  minLength: 1,
  maxLength: 500,
  example: 'Sorry for the outage',
} as const;

export class CurrencyDto {
  @ApiProperty(uuid)
  id: string;

  @ApiProperty(code)
  code: string;

  @ApiProperty(name)
  name: string;

  @ApiProperty(description)
  description: string | null;

  @ApiProperty({ type: Boolean, description: 'Marks a currency that is sold for money.' })
  is_premium: boolean;

  @ApiProperty(initialBalance)
  initial_balance: number;

  @ApiProperty(maxBalance)
  max_balance: number | null;

  @ApiProperty(time)
  created_at: Date;

  @ApiProperty(time)
  updated_at: Date;
}

class CurrencySettingsDto {
  @ApiPropertyOptional(description)
  @Text({ max: 500 })
  @IsOptional()
  description?: string | null;

  @ApiPropertyOptional({ type: Boolean, description: 'Marks a currency that is sold for money.' })
  @IsBoolean()
  @OptionalNotNull()
  is_premium?: boolean;

  @ApiPropertyOptional(initialBalance)
  @Max(MAX_AMOUNT)
  @Min(0)
  @IsInt()
  @OptionalNotNull()
  initial_balance?: number;

  @ApiPropertyOptional(maxBalance)
  @Max(MAX_AMOUNT)
  @Min(1)
  @IsInt()
  @IsOptional()
  max_balance?: number | null;
}

export class NewCurrencyDto extends CurrencySettingsDto {
  @ApiProperty({
    ...code,
    description: 'Letters, digits, `_` and `-`, a letter first. It cannot be changed.',
  })
  @Matches(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/, {
    message: 'code must be 1 to 32 letters, digits, _ and -, a letter first',
  })
  code: string;

  @ApiProperty(name)
  @Visible()
  @Text({ min: 1, max: 100 })
  name: string;
}

export class UpdateCurrencyDto extends CurrencySettingsDto {
  @ApiPropertyOptional(name)
  @Visible()
  @Text({ min: 1, max: 100 })
  @OptionalNotNull()
  name?: string;
}

export class NewGrantDto {
  @ApiProperty(uuid)
  @IsUUID()
  app_user_id: string;

  @ApiProperty({ type: String, minLength: 1, maxLength: 32, example: 'gems' })
  @Text({ min: 1, max: 32 })
  currency_code: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: MAX_AMOUNT,
    example: 50,
    description: 'What does not fit under the maximum of the currency is not granted.',
  })
  @Max(MAX_AMOUNT)
  @Min(1)
  @IsInt()
  amount: number;

  @ApiPropertyOptional({
    ...reason,
    description: 'Kept for good, in the audit log too: nothing personal. Users do not see it.',
  })
  @Visible()
  @Text({ min: 1, max: 500 })
  @IsOptional()
  reason?: string | null;
}

export class AdminTransactionDto extends TransactionDto {
  @ApiProperty({ ...reason, description: 'Why a developer granted it.' })
  reason: string | null;
}

export function toCurrencyDto(currency: Currency): CurrencyDto {
  return toCurrencyJson(currency);
}

/** null takes the limit away. */
export function toChanges(dto: CurrencySettingsDto): CurrencyChanges {
  return {
    description: dto.description,
    isPremium: dto.is_premium,
    initialBalance: dto.initial_balance,
    maxBalance: dto.max_balance === null ? MAX_AMOUNT : dto.max_balance,
  };
}
