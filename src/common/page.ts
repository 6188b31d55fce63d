import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform, type TransformFnParams } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** One page of a list, sent as `{ data, total, limit, offset }`. */
export class Page<T> {
  constructor(
    readonly data: T[],
    readonly total: number,
    readonly window: PageQuery,
  ) {}
}

/** A number in a query. Decimal digits only: `0x10`, `1e2` and an empty text are numbers to JavaScript, not to us. */
export const WholeNumber = () =>
  Transform(({ value }: TransformFnParams): unknown =>
    typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value,
  );

export class PageQuery {
  @ApiPropertyOptional({
    description: 'Rows to return.',
    type: 'integer',
    minimum: 1,
    maximum: 200,
    default: 50,
  })
  @Max(200)
  @Min(1)
  @IsInt()
  @WholeNumber()
  limit: number = 50;

  @ApiPropertyOptional({
    description: 'Rows to pass over.',
    type: 'integer',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    default: 0,
  })
  @Max(Number.MAX_SAFE_INTEGER)
  @Min(0)
  @IsInt()
  @WholeNumber()
  offset: number = 0;
}
