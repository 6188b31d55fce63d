import { ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** One page of a list, sent as `{ data, total, limit, offset }`. */
export class Page<T> {
  constructor(
    readonly data: T[],
    readonly total: number,
    readonly window: PageQuery,
  ) {}
}

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
  @Type(() => Number)
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
  @Type(() => Number)
  offset: number = 0;
}
