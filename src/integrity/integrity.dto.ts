import { ApiProperty } from '@nestjs/swagger';
import type { IntegrityReport } from './integrity.service';

class InvariantDto {
  @ApiProperty({ type: 'integer', minimum: 1, example: 1 })
  number: number;

  @ApiProperty({ type: String, example: 'uses_counted', description: 'Never changes.' })
  name: string;

  @ApiProperty({ type: String, example: "A code's current_uses is the number of its claims." })
  description: string;

  @ApiProperty({ type: Boolean })
  ok: boolean;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How many rows break it.' })
  broken_rows: number;

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      'Up to 100 of these rows: ids, numbers and times that lead to them. Their fields may change.',
    example: [],
  })
  rows: object[];
}

export class IntegrityDto {
  @ApiProperty({ type: Boolean, description: 'Whether every invariant holds.' })
  ok: boolean;

  @ApiProperty({ type: String, format: 'date-time', description: 'The moment whose data was looked at.' })
  checked_at: Date;

  @ApiProperty({ type: [InvariantDto] })
  invariants: InvariantDto[];
}

export function toIntegrityDto({ ok, checkedAt, invariants }: IntegrityReport): IntegrityDto {
  return {
    ok,
    checked_at: checkedAt,
    invariants: invariants.map(({ brokenRows, number, name, description, ok, rows }) => ({
      ...{ number, name, description, ok },
      broken_rows: brokenRows,
      rows,
    })),
  };
}
