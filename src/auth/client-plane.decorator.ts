import { applyDecorators } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import { ApiErrors } from '../common/api-docs';

/** Names of the two security schemes in the OpenAPI document. */
export const API_KEY_SCHEME = 'ApiKey';
export const SESSION_SCHEME = 'Session';

/** Documents what every client route needs and how it refuses a caller. The guards themselves are global. */
export const ClientPlane = () =>
  applyDecorators(
    ApiSecurity({ [API_KEY_SCHEME]: [], [SESSION_SCHEME]: [] }),
    ApiErrors(
      'MISSING_API_KEY',
      'INVALID_API_KEY',
      'MISSING_SESSION',
      'INVALID_TOKEN',
      'FORBIDDEN',
      'INTERNAL_ERROR',
      'SERVICE_UNAVAILABLE',
    ),
  );
