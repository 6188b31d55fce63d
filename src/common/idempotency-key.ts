import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { ApiError } from './api-error';
import { header, type RequestWithId } from './request';

const NAME = 'Idempotency-Key';
const FORMAT = /^[\x21-\x7e]{1,255}$/;

/** The `Idempotency-Key` of a request, if it has one. @throws ApiError INVALID_INPUT */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const key = header(context.switchToHttp().getRequest<RequestWithId>(), NAME.toLowerCase());
  if (key === undefined || FORMAT.test(key)) return key;
  throw ApiError.invalidInput({ field: NAME, message: 'must be 1 to 255 visible ASCII characters' });
});

/** Documents the header. @param description what a key is good for here */
export function ApiIdempotencyKey(description: string) {
  return ApiHeader({
    name: NAME,
    required: false,
    description: `Up to 255 visible ASCII characters. ${description}`,
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: FORMAT.source },
  });
}
