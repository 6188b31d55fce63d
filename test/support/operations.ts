import type { OpenAPIObject } from '@nestjs/swagger';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Method } from './world';

/** As much of a JSON schema as the document uses for what is sent. */
export interface Schema {
  type?: string;
  format?: string;
  enum?: string[];
  pattern?: string;
  nullable?: boolean;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: string[];
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

/** One operation of the OpenAPI document. */
export interface Operation {
  method: Method;
  path: string;
  /** `post /v1/client/referrals/claim` */
  name: string;
  parameters: Parameter[];
  body?: Schema;
  /** The body's schema, as in `ClaimRequestDto`. */
  bodyName: string;
  needsBody: boolean;
}

/** Every operation of the document, which a test holds against the routes. */
export function operations(): Operation[] {
  const document = JSON.parse(
    readFileSync(join(__dirname, '../../client/openapi.json'), 'utf8'),
  ) as OpenAPIObject;
  const schemas = document.components?.schemas as Record<string, Schema>;
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, any>).map(([method, { requestBody, parameters }]) => {
      const reference: string = requestBody?.content['application/json'].schema.$ref ?? '';
      const bodyName = reference.split('/').at(-1) ?? '';
      return {
        ...{ method: method as Method, path, name: `${method} ${path}`, parameters },
        ...{ body: schemas[bodyName], bodyName, needsBody: requestBody?.required ?? false },
      };
    }),
  );
}

/** The path with these ids in it, percent-encoded. */
export function fillPath(path: string, ids: Record<string, string>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeText(ids[name] ?? ''));
}

/** Percent-encodes what can be; a lone surrogate goes out as the bytes a broken client would send. */
export function encodeText(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80';
}
