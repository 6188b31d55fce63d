import { json } from 'body-parser';
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ParsedUrlQuery } from 'node:querystring';
import { ApiError } from './common/api-error';
import { refuseHostileInput } from './common/hostile-input';
import type { IdentifiedRequest } from './common/request-context';
import type { Quota } from './limits/quota';

/** A request as the gate hands it on, for the adapter to take up. */
export interface AdmittedRequest extends IdentifiedRequest {
  /** In origin form, without the version prefix. */
  url: string;
  query: ParsedUrlQuery;
  /** The client's network address. */
  address: string;
  /** For the guards to take from. */
  quota: Quota;
  /** Parsed, and free of what no route can mean; undefined when none was sent. */
  body?: unknown;
}

const BODY_LIMIT = '16kb';
/** No route takes another. */
const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'];
const OTHER_CHARSET = /charset\s*=\s*(?!"?utf-8)/i;

const readJson = json({ limit: BODY_LIMIT, inflate: false, verify: assertUtf8 });

/**
 * Reads the body and looks at what was sent. `done` gets what is wrong with it: an ApiError, or the body parser's error, which
 * has a `status`.
 */
export function admitInput(
  request: AdmittedRequest,
  response: ServerResponse,
  done: (error?: unknown) => void,
): void {
  const finish = (error?: unknown) => done(error ? explainBrokenJson(error) : faultIn(request));
  if (!hasBody(request)) finish();
  else if (OTHER_CHARSET.test(request.headers['content-type'] ?? '')) finish(UNREADABLE());
  // the parser leaves what is not JSON
  else readJson(request, response, (error) => finish(error ?? (request.body === undefined && UNREADABLE())));
}

const UNREADABLE = () => new ApiError('UNSUPPORTED_MEDIA_TYPE');

function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || length !== '0';
}

/** Broken bytes would be read as U+FFFD and stored as what nobody sent. */
function assertUtf8(_request: unknown, _response: unknown, body: Buffer): void {
  if (!isUtf8(body)) throw new Error('not UTF-8');
}

const BODY_FAULTS: Record<string, string> = {
  'entity.parse.failed': 'must be a JSON object',
  'entity.verify.failed': 'must be UTF-8',
};

function explainBrokenJson(error: unknown): unknown {
  const message = BODY_FAULTS[(error as { type?: string }).type ?? ''];
  return message === undefined ? error : ApiError.invalidInput({ field: 'body', message });
}

/** What no route can mean, if there is something. */
function faultIn({ method = '', body, query }: AdmittedRequest): unknown {
  if (Array.isArray(body)) return ApiError.invalidInput({ field: 'body', message: 'must be a JSON object' });
  try {
    refuseHostileInput(body, 'body');
    refuseHostileInput(query, 'query');
  } catch (error) {
    return error;
  }
  return METHODS.includes(method) ? undefined : new ApiError('NOT_FOUND');
}
