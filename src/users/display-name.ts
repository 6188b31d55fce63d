import { adjectives, animals, uniqueNamesGenerator } from 'unique-names-generator';

/** A friendly name for somebody who gave none, such as "Brave Otter". Not unique. */
export function generateDisplayName(): string {
  return uniqueNamesGenerator({ dictionaries: [adjectives, animals], separator: ' ', style: 'capital' });
}
