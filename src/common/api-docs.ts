import { applyDecorators, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiParam, ApiProperty, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import type { FieldError } from './api-error';
import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue';

class FieldErrorDto implements FieldError {
  @ApiProperty({ type: String, example: 'code' })
  field: string;

  @ApiProperty({ type: String, example: 'code must be a string' })
  message: string;
}

@ApiExtraModels(FieldErrorDto)
class ErrorDetailDto {
  @ApiProperty({ type: String, example: 'INVALID_INPUT', enum: Object.keys(ERROR_CATALOGUE) })
  code: ErrorCode;

  @ApiProperty({ type: String })
  message: string;

  @ApiProperty({
    required: false,
    description: 'What the code defines: the refused fields of INVALID_INPUT, the claim of ALREADY_CLAIMED.',
    oneOf: [
      { type: 'array', items: { $ref: getSchemaPath(FieldErrorDto) } },
      { type: 'object', additionalProperties: true },
    ],
  })
  details?: unknown;

  @ApiProperty({
    type: String,
    description: 'Quote it when you report a problem; also sent as X-Request-Id.',
  })
  request_id: string;
}

export class ErrorDto {
  @ApiProperty({ type: ErrorDetailDto })
  error: ErrorDetailDto;
}

interface DataOptions {
  status: number;
  description: string;
  isArray?: boolean;
  /** Headers that the answer may have, by what they mean. */
  headers?: Record<string, string>;
}

/** Documents `{ data }` around a DTO. */
export function ApiData(dto: Type, options: DataOptions) {
  const ref = { $ref: getSchemaPath(dto) };
  return applyDecorators(
    ApiExtraModels(dto),
    ApiResponse({
      status: options.status,
      description: options.description,
      headers: Object.fromEntries(
        Object.entries(options.headers ?? {}).map(([name, description]) => [
          name,
          { description, schema: { type: 'string' } },
        ]),
      ),
      schema: {
        type: 'object',
        required: ['data'],
        properties: { data: options.isArray ? { type: 'array', items: ref } : ref },
      },
    }),
  );
}

/** Documents `{ data, total, limit, offset }` around a DTO. */
export function ApiPage(dto: Type, description: string) {
  const integer = { type: 'integer', minimum: 0 };
  return applyDecorators(
    ApiExtraModels(dto),
    ApiResponse({
      status: 200,
      description,
      schema: {
        type: 'object',
        required: ['data', 'total', 'limit', 'offset'],
        properties: {
          data: { type: 'array', items: { $ref: getSchemaPath(dto) } },
          total: integer,
          limit: integer,
          offset: integer,
        },
      },
    }),
  );
}

/** Documents a file in CSV. */
export function ApiCsv(description: string) {
  return ApiResponse({ status: 200, description, content: { 'text/csv': { schema: { type: 'string' } } } });
}

/** Documents an id in the path. */
export function ApiId(name: string) {
  return ApiParam({ name, schema: { type: 'string', format: 'uuid' } });
}

/** Documents each error code that a route can answer with, grouped by status, with an example of each. */
export function ApiErrors(...listed: ErrorCode[]) {
  const codes = [...new Set(listed)];
  const statuses = [...new Set(codes.map((code) => ERROR_CATALOGUE[code].status))];
  return applyDecorators(
    ApiExtraModels(ErrorDto),
    ...statuses.map((status) => {
      const group = codes.filter((code) => ERROR_CATALOGUE[code].status === status);
      return ApiResponse({
        status,
        description: group.map((code) => `\`${code}\`: ${ERROR_CATALOGUE[code].message}`).join('<br>'),
        content: {
          'application/json': {
            schema: { $ref: getSchemaPath(ErrorDto) },
            examples: Object.fromEntries(group.map((code) => [code, { value: exampleError(code) }])),
          },
        },
      });
    }),
  );
}

function exampleError(code: ErrorCode) {
  const { message } = ERROR_CATALOGUE[code];
  return { error: { code, message, request_id: '3f1c5b0e-6f0a-4c39-9a53-0d6f3d1f7c11' } };
}
