import { applyDecorators } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import { ApiErrors } from '../common/api-docs';
import type { ErrorCode } from '../common/error-catalogue';
import { KeyOnly, ServerKey } from './access';

/** Names of the security schemes in the OpenAPI document. */
export const API_KEY_SCHEME = 'ApiKey';
export const SESSION_SCHEME = 'Session';
export const SERVER_KEY_SCHEME = 'ServerKey';

const KEY_ERRORS = ['MISSING_API_KEY', 'INVALID_API_KEY', 'FORBIDDEN'] as const;
/** Refused or failed before the route is asked: a header that comes twice, a body that a GET has no use for. */
const ANY_ROUTE = [
  ...(['INVALID_INPUT', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const),
  ...(['INTERNAL_ERROR', 'SERVICE_UNAVAILABLE'] as const),
];

/** A client route: documents its two credentials and the codes it can answer with. The guards themselves are global. */
export const ClientRoute = (...codes: ErrorCode[]) =>
  applyDecorators(
    ApiSecurity({ [API_KEY_SCHEME]: [], [SESSION_SCHEME]: [] }),
    ApiErrors(...KEY_ERRORS, 'MISSING_SESSION', 'INVALID_TOKEN', ...codes, ...ANY_ROUTE),
  );

/** A client route that needs the key only: signing in, and what an app reads before that. */
export const KeyOnlyRoute = (...codes: ErrorCode[]) =>
  applyDecorators(
    KeyOnly(),
    ApiSecurity({ [API_KEY_SCHEME]: [] }),
    ApiErrors(...KEY_ERRORS, ...codes, ...ANY_ROUTE),
  );

/** An admin route for the servers of an app. */
export const ServerRoute = (...codes: ErrorCode[]) =>
  applyDecorators(
    ServerKey(),
    ApiSecurity({ [SERVER_KEY_SCHEME]: [] }),
    ApiErrors('MISSING_SESSION', 'INVALID_TOKEN', 'FORBIDDEN', 'PROJECT_FORBIDDEN', ...codes, ...ANY_ROUTE),
  );
