import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorCode } from './error-catalogue';

/** What the log tells of a request beside what its answer shows, by the names of the log: ids and codes, never a secret. */
export interface RequestFacts {
  readonly request_id: string;
  project_id?: string;
  user_id?: string;
  key_id?: string;
  developer_id?: string;
  trace_id?: string;
  /** Of the error that it was answered with. */
  code?: ErrorCode;
}

/** A request that has its id, which the answer carries as `X-Request-Id`. */
export type IdentifiedRequest = IncomingMessage & { id: string };

/** The caller's word. What looks like one of our keys or tokens is not taken for one: an id is logged and stored. */
const REQUEST_ID = /^(?!amb_)[\w-]{1,64}$/i;

const current = new AsyncLocalStorage<RequestFacts>();

/** Gives a request its id, its caller's if that can be one, and does the work as a part of this request. */
export function asRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  work: (request: IdentifiedRequest, facts: RequestFacts) => void,
): void {
  const given = incoming.headers['x-request-id'];
  const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
  response.setHeader('X-Request-Id', id);
  const facts: RequestFacts = { request_id: id };
  current.run(facts, work, Object.assign(incoming, { id }), facts);
}

/** What is known of the request that this is done for; undefined for what a worker does on its own. */
export function currentRequest(): Readonly<RequestFacts> | undefined {
  return current.getStore();
}

/** Adds to what is known of the request that this is done for, if there is one. */
export function noteOfRequest(facts: Omit<RequestFacts, 'request_id'>): void {
  const known = current.getStore();
  if (known !== undefined) Object.assign(known, facts);
}
