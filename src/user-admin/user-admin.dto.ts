import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import type { Dossier, UserExport } from './user-dossier.service';

const uuid = { type: String, format: 'uuid' } as const;
const time = { type: String, format: 'date-time' } as const;
/** Of another feature, which documents it. */
const schema = (name: string) => ({ $ref: getSchemaPath(name) });

/** Inline, since a reference cannot be null in OpenAPI 3.0. */
const userCode = {
  type: 'object',
  nullable: true,
  required: ['id', 'code', 'current_uses', 'is_active'],
  properties: {
    id: { type: 'string', format: 'uuid' },
    code: { type: 'string', example: 'ADA-INVITES' },
    current_uses: { type: 'integer', minimum: 0 },
    is_active: { type: 'boolean' },
  },
} as const;

class ReferredByDto {
  @ApiProperty(uuid)
  claim_id: string;

  @ApiProperty(uuid)
  referral_code_id: string;

  @ApiProperty({ type: String, example: 'ADA-INVITES' })
  code: string;

  @ApiProperty({ ...uuid, nullable: true, description: 'null: a promo code without an owner' })
  referrer_id: string | null;

  @ApiProperty(time)
  claimed_at: Date;
}

class ReferredDto {
  @ApiProperty(uuid)
  claim_id: string;

  @ApiProperty(uuid)
  referee_id: string;

  @ApiProperty(time)
  claimed_at: Date;
}

export class DossierDto {
  @ApiProperty({ allOf: [schema('AdminUserDto')] })
  user: Dossier['user'];

  @ApiProperty({
    ...userCode,
    required: [...userCode.required],
    selfRequired: true,
    description: "The user's own code; null until it is first read.",
  })
  referral_code: Dossier['code'];

  @ApiProperty({
    type: [ReferredByDto],
    description: 'The codes that the user claimed, newest first, at most 50.',
  })
  referred_by: ReferredByDto[];

  @ApiProperty({ type: [ReferredDto], description: "Who claimed the user's code, newest first, at most 50." })
  referred: ReferredDto[];

  @ApiProperty({ type: 'array', items: schema('BalanceDto') })
  balances: Dossier['balances'];
}

const rows = { type: 'array', items: { type: 'object', additionalProperties: true } } as const;

export class UserExportDto implements UserExport {
  @ApiProperty(rows)
  profile: object[];

  @ApiProperty(rows)
  identities: object[];

  @ApiProperty(rows)
  sessions: object[];

  @ApiProperty(rows)
  referral_codes: object[];

  @ApiProperty(rows)
  claims_made: object[];

  @ApiProperty({ ...rows, description: 'Without those who made them.' })
  claims_of_own_code: object[];

  @ApiProperty(rows)
  balances: object[];

  @ApiProperty(rows)
  transactions: object[];

  @ApiProperty({ ...rows, description: 'What developers granted, and why.' })
  grants_by_hand: object[];

  @ApiProperty({ ...rows, description: 'With which the app marked its claims.' })
  idempotency_keys: object[];

  @ApiProperty({ ...rows, description: 'What developers did to the user, without who did it.' })
  administration: object[];

  @ApiProperty(rows)
  rewards: object[];
}

export function toDossierDto({ user, code, referredBy, referred, balances }: Dossier): DossierDto {
  return { user, referral_code: code, referred_by: referredBy, referred, balances };
}
