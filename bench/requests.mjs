import { headersOf, OWNERS } from './crowd.mjs';

/** Of those who read again and again. */
const tokens = new Map();

/**
 * The requests of a case, one after another, each as its user sends it.
 *
 * @param fresh `next` and `end` of the users who have done nothing yet
 * @returns what gives the next one: its `request`, and the `status` that its answer must have
 */
export function requestsOf({ next }, crowd, fresh) {
  let turn = 0;
  const takeFresh = () => {
    if (fresh.next === fresh.end) throw new Error('There are no users left who have done nothing yet');
    return fresh.next++;
  };
  return () => {
    const { user, status, body, ...request } = next(turn, takeFresh, crowd);
    turn += 1;
    const credentials = credentialsOf(user, crowd);
    const headers = body ? { ...credentials, 'content-type': 'application/json' } : credentials;
    return { status, request: { ...request, headers, ...(body && { body }) } };
  };
}

function credentialsOf(user, crowd) {
  if (user === undefined) return { authorization: `Bearer ${crowd.serverKey}` };
  return user < OWNERS ? cached(user, crowd) : headersOf(user, crowd);
}

function cached(user, crowd) {
  const known = tokens.get(user);
  if (known) return known;
  const made = headersOf(user, crowd);
  tokens.set(user, made);
  return made;
}
