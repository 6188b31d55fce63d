import { ApiError } from './api-error';

/** Deeper JSON than any of our bodies needs; the recursive validation behind this guard would overflow. */
const MAX_DEPTH = 16;
/** Keys that every object has: they reach its prototype, or pass for a field, where a library looks carelessly. */
const isForbidden = (key: string) => key in Object.prototype || key === 'prototype';

/**
 * Refuses input that no route of ours can mean and that trips the layers behind it: deep nesting, prototype
 * keys, NUL characters and lone surrogates (PostgreSQL stores neither), and numbers that JSON cannot carry exactly. Iterative, so that depth cannot hurt it.
 *
 * @throws ApiError INVALID_INPUT naming the offending field
 */
export function refuseHostileInput(input: unknown, root: string): void {
  const open: { value: unknown; path: string; depth: number }[] = [{ value: input, path: root, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path, depth } = next;
    if (typeof value === 'string') refuseBrokenText(value, path);
    if (typeof value === 'number') refuseInexactNumber(value, path);
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= MAX_DEPTH)
      throw ApiError.invalidInput({ field: root, message: `nests deeper than ${MAX_DEPTH} levels` });
    for (const [key, child] of Object.entries(value)) {
      if (isForbidden(key))
        throw ApiError.invalidInput({ field: root, message: `may not have the key ${key}` });
      refuseBrokenText(key, root);
      open.push({ value: child, path: depth === 0 ? key : `${path}.${key}`, depth: depth + 1 });
    }
  }
}

function refuseBrokenText(text: string, field: string): void {
  if (text.includes('\u0000'))
    throw ApiError.invalidInput({ field, message: 'must not contain NUL characters' });
  if (!text.isWellFormed()) throw ApiError.invalidInput({ field, message: 'must be well-formed Unicode' });
}

/** `1e999` and 2^53 + 1 have become other numbers by the time they are parsed. */
function refuseInexactNumber(value: number, field: string): void {
  const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  if (!isExact) throw ApiError.invalidInput({ field, message: 'must be within -(2^53 - 1) and 2^53 - 1' });
}
