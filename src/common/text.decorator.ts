import { ValidateBy } from 'class-validator';

/**
 * A string of so many code points, as PostgreSQL's `char_length` counts them. The length that class-validator counts
 * leaves some out, and a text that passes there would be refused by the database.
 */
export function Text({ min = 0, max }: { min?: number; max: number }): PropertyDecorator {
  return ValidateBy({
    name: 'text',
    validator: {
      validate: (value: unknown) => {
        if (typeof value !== 'string') return false;
        const { length } = [...value];
        return length >= min && length <= max;
      },
      defaultMessage: () => `$property must be a string of ${min} to ${max} characters`,
    },
  });
}

/** Something that a person can read: at least one visible character, and none that controls a terminal. */
export function Visible(): PropertyDecorator {
  return ValidateBy({
    name: 'visible',
    validator: {
      validate: (value: unknown) =>
        typeof value === 'string' && /[^\s\p{C}]/u.test(value) && !/\p{Cc}/u.test(value),
      defaultMessage: () => '$property must have a visible character and no control characters',
    },
  });
}
