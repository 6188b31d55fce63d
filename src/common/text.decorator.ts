import { ValidateBy } from 'class-validator';

/**
 * A string of so many code points, as PostgreSQL's `char_length` counts them. The length that class-validator counts
 * leaves some out, and a text that passes there would be refused by the database.
 */
export function Text({ min = 0, max }: Length): PropertyDecorator {
  return ValidateBy({
    name: 'text',
    validator: {
      validate: (value: unknown) => isText(value, { min, max }),
      defaultMessage: () => `$property must be a string of ${min} to ${max} characters`,
    },
  });
}

/** As `Text`, for every element of an array. */
export function TextEach({ min = 0, max }: Length): PropertyDecorator {
  return ValidateBy({
    name: 'textEach',
    validator: {
      validate: (value: unknown) => Array.isArray(value) && value.every((each) => isText(each, { min, max })),
      defaultMessage: () => `$property must hold strings of ${min} to ${max} characters`,
    },
  });
}

interface Length {
  min?: number;
  max: number;
}

function isText(value: unknown, { min = 0, max }: Length): boolean {
  if (typeof value !== 'string') return false;
  const { length } = [...value];
  return length >= min && length <= max;
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
