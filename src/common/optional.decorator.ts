import { ValidateIf } from 'class-validator';

/** May be left out, but is not null when it is there. (`@IsOptional()` lets null pass too.) */
export const OptionalNotNull = () => ValidateIf((_: unknown, value: unknown) => value !== undefined);
