import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue';

/** One field that was refused, as listed in `error.details` of `INVALID_INPUT`. */
export interface FieldError {
  field: string;
  message: string;
}

interface ApiErrorOptions {
  /** Replaces the catalogue's sentence where the case allows a more exact one. */
  message?: string;
  details?: unknown;
  /** Seconds after which a retry makes sense; sent as `Retry-After`. */
  retryAfterS?: number;
  cause?: unknown;
}

/** The only exception features throw at a caller: a code of the catalogue, rendered by `ApiErrorFilter`. */
export class ApiError extends Error {
  readonly status: number;
  readonly details?: unknown;
  readonly retryAfterS?: number;

  constructor(
    readonly code: ErrorCode,
    options: ApiErrorOptions = {},
  ) {
    super(options.message ?? ERROR_CATALOGUE[code].message, { cause: options.cause });
    this.name = 'ApiError';
    this.status = ERROR_CATALOGUE[code].status;
    this.details = options.details;
    this.retryAfterS = options.retryAfterS;
  }

  static invalidInput(...details: FieldError[]): ApiError {
    return new ApiError('INVALID_INPUT', { details });
  }
}

/** The body of every failed request. */
export function errorBody(error: ApiError, requestId: string) {
  const { code, message, details } = error;
  return { error: { code, message, ...(details === undefined ? {} : { details }), request_id: requestId } };
}
