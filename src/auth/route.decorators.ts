import { applyDecorators } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import { ApiErrors, ApiId } from '../common/api-docs';
import type { ErrorCode } from '../common/error-catalogue';
import { DeveloperOnly, KeyOnly, ProjectAdmin, Public } from './access';
import { RateLimited } from './rate-limit.guard';
import type { LimitName } from '../config';

/** Names of the security schemes in the OpenAPI document. */
export const API_KEY_SCHEME = 'ApiKey';
export const SESSION_SCHEME = 'Session';
export const DEVELOPER_SCHEME = 'Developer';
export const SERVER_KEY_SCHEME = 'ServerKey';

const KEY_ERRORS = ['MISSING_API_KEY', 'INVALID_API_KEY', 'FORBIDDEN'] as const;
/** Refused or failed before the route is asked: a header that comes twice, a body that a GET has no use for, too many requests. */
const ANY_ROUTE = [
  ...(['INVALID_INPUT', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const),
  ...(['RATE_LIMITED', 'INTERNAL_ERROR', 'SERVICE_UNAVAILABLE'] as const),
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

const ADMIN_ERRORS = ['MISSING_SESSION', 'INVALID_TOKEN', 'FORBIDDEN'] as const;

/** An admin route for every developer. */
export const DeveloperRoute = (...codes: ErrorCode[]) =>
  applyDecorators(
    DeveloperOnly(),
    ApiSecurity({ [DEVELOPER_SCHEME]: [] }),
    ApiErrors(...ADMIN_ERRORS, ...codes, ...ANY_ROUTE),
  );

/** An admin route of one project, for the developer who owns it and for its servers. */
export const ProjectRoute = (...codes: ErrorCode[]) =>
  applyDecorators(
    ProjectAdmin(),
    ApiId('projectId'),
    ApiSecurity({ [DEVELOPER_SCHEME]: [] }),
    ApiSecurity({ [SERVER_KEY_SCHEME]: [] }),
    ApiErrors(...ADMIN_ERRORS, 'PROJECT_FORBIDDEN', 'NOT_FOUND', ...codes, ...ANY_ROUTE),
  );

/** A route without credentials that one network address may call only so often: signing up and in. */
export const LimitedRoute = (limits: LimitName[], ...codes: ErrorCode[]) =>
  applyDecorators(Public(), RateLimited(...limits), ApiErrors(...codes, ...ANY_ROUTE));
