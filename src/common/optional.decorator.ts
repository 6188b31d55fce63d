import { Transform, type TransformFnParams } from 'class-transformer';
import { ValidateIf } from 'class-validator';

/** May be left out, but is not null when it is there. (`@IsOptional()` lets null pass too.) */
export const OptionalNotNull = () => ValidateIf((_: unknown, value: unknown) => value !== undefined);

/** `?search=`, which an empty field of a form sends, is no filter. */
export const EmptyIsNone = () =>
  Transform(({ value }: TransformFnParams): unknown => (value === '' ? undefined : value));
