import { HttpException, Logger } from '@nestjs/common';
import { ApiError } from './api-error';
import { type ErrorCode } from './error-catalogue';
import {
  CommitUnknownError,
  isDatabaseUnavailable,
  isLockTimeout,
  isRetryable,
  isStatementTimeout,
} from './database-error';
import { noteOfRequest } from './request-context';

const logger = new Logger('ApiError');

/** What the router, the body parser and Nest itself report by status alone. */
const CODE_BY_STATUS: Record<number, ErrorCode> = {
  400: 'INVALID_INPUT',
  404: 'NOT_FOUND',
  408: 'REQUEST_TIMEOUT',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  503: 'SERVICE_UNAVAILABLE',
};

const MAYBE_DONE = 'The database was lost at the last moment: it may be done. Look before you do it again.';
const UNREADABLE = [{ field: 'request', message: 'could not be read' }];

/** What the caller is told about an exception, ours or the framework's. The log notes it; one that is our fault in full. */
export function explainFailure(exception: unknown): ApiError {
  const error = toApiError(exception);
  noteOfRequest({ code: error.code });
  if (error.status >= 500) {
    logger.error({ msg: 'The request failed', code: error.code, stack: describe(error.cause ?? exception) });
  }
  return error;
}

function toApiError(exception: unknown): ApiError {
  if (exception instanceof ApiError) return exception;
  if (exception instanceof CommitUnknownError) {
    return new ApiError('SERVICE_UNAVAILABLE', { message: MAYBE_DONE, cause: exception, retryAfterS: 1 });
  }
  if (isWorthARetry(exception)) {
    return new ApiError('SERVICE_UNAVAILABLE', { cause: exception, retryAfterS: 1 });
  }
  const status = httpStatus(exception);
  const code = CODE_BY_STATUS[status] ?? (status >= 400 && status < 500 ? 'INVALID_INPUT' : 'INTERNAL_ERROR');
  return new ApiError(code, { ...(code === 'INVALID_INPUT' && { details: UNREADABLE }), cause: exception });
}

/** The database is away, or so busy that a lock, a statement or a turn took too long. */
function isWorthARetry(exception: unknown): boolean {
  return [isDatabaseUnavailable, isLockTimeout, isStatementTimeout, isRetryable].some((is) => is(exception));
}

function httpStatus(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  // http-errors, as thrown by the body parser and the router
  const status = (exception as { status?: unknown } | null)?.status;
  return typeof status === 'number' ? status : 500;
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
