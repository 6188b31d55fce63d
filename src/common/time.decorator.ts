import { isISO8601, ValidateBy } from 'class-validator';

/** Without its offset a time is another one in each place; year 0 and offsets of 16 hours are none to PostgreSQL. */
const TIME_WITH_OFFSET =
  /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)$/;

/** A moment: a text that ISO 8601 and PostgreSQL read alike, to the microsecond that PostgreSQL keeps. */
export function Time(): PropertyDecorator {
  return ValidateBy({
    name: 'time',
    validator: {
      validate: (value: unknown) =>
        typeof value === 'string' && TIME_WITH_OFFSET.test(value) && isISO8601(value, { strict: true }),
      defaultMessage: () => '$property must be a time such as 2026-03-01T09:30:00Z',
    },
  });
}
