import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { appendFileSync } from 'node:fs';
import type { OpenAPIObject } from '@nestjs/swagger';

interface Answer {
  method: string;
  /** As it was requested, with or without the version prefix. */
  path: string;
  status: number;
  body: unknown;
  text: string;
}

/** Marks, among the sightings, what the document promises. */
export const PROMISE = 'promised: ';

/** Holds every answer that any test gets against the OpenAPI document, and notes what was seen. */
export class Conformance {
  private readonly ajv = addFormats.default(new Ajv({ strict: false, allErrors: true }));
  private readonly validators = new Map<string, ValidateFunction>();
  private readonly components: unknown;
  private readonly routes: { pattern: RegExp; path: string }[];

  constructor(private readonly document: OpenAPIObject) {
    this.components = exact(document.components);
    // as the router has it, a path that is spelt out comes before one with a parameter in its place
    const paths = Object.keys(document.paths).sort(
      (one, other) => one.split('{').length - other.split('{').length,
    );
    this.routes = paths.map((path) => ({
      path,
      pattern: new RegExp(`^${path.replace('/v1', '(?:/v1)?').replace(/\{\w+\}/g, '[^/]+')}$`),
    }));
  }

  /** @throws when a documented operation answers with an undocumented status, code or shape */
  check({ method, path, status, body, text }: Answer): void {
    const route = this.routes.find(
      (candidate) => candidate.pattern.test(path) && this.operation(candidate.path, method.toLowerCase()),
    );
    const operation = route && this.operation(route.path, method.toLowerCase());
    if (!route || !operation) return;
    const name = `${method.toUpperCase()} ${route.path}`;
    const response = operation.responses[status];
    if (!response) throw new Error(`${name} answered with an undocumented ${status}: ${text}`);
    const content = response.content?.['application/json'];
    if (!content && response.content?.['text/csv']) {
      note(`${name} ${status} ok`);
      return;
    }
    if (!content) {
      if (text !== '')
        throw new Error(`${name} answered ${status} with a body, which is not documented: ${text}`);
      note(`${name} ${status} ok`);
      return;
    }
    const code = (body as { error?: { code: string } }).error?.code ?? 'ok';
    if (code !== 'ok' && !(code in (content.examples ?? {}))) {
      throw new Error(`${name} answered with an undocumented ${status} ${code}`);
    }
    const validate = this.validator(`${name} ${status}`, content.schema);
    if (!validate(body)) {
      throw new Error(`${name} ${status}: ${this.ajv.errorsText(validate.errors)} in ${text}`);
    }
    note(`${name} ${status} ${code}`);
  }

  /** Notes every answer that the document promises, so that the run can tell which of them nobody saw. */
  notePromises(): void {
    const promises = Object.entries(this.document.paths).flatMap(([path, item]) =>
      Object.entries(item as Record<string, any>).flatMap(([method, { responses }]) =>
        Object.entries<any>(responses).flatMap(([status, response]) => {
          const codes = Object.keys(response.content?.['application/json']?.examples ?? { ok: true });
          return codes.map((code) => `${method.toUpperCase()} ${path} ${Number(status)} ${code}`);
        }),
      ),
    );
    for (const promise of promises) note(PROMISE + promise);
  }

  private operation(path: string, method: string): { responses: Record<number, any> } | undefined {
    return (this.document.paths[path] as Record<string, any>)[method];
  }

  private validator(key: string, schema: object): ValidateFunction {
    const known = this.validators.get(key);
    if (known) return known;
    // references inside the document lead from the root of what is compiled
    const validate = this.ajv.compile({
      ...(exact(schema) as object),
      components: this.components,
    });
    this.validators.set(key, validate);
    return validate;
  }
}

/** A field that the document does not list is a fault of the document. */
function exact(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(exact);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, exact(value)]));
  return copy.type === 'object' && copy.properties && !('additionalProperties' in copy)
    ? { ...copy, additionalProperties: false }
    : copy;
}

/** An answer that was seen: operation, status, and the error code or `ok`. */
function note(sighting: string): void {
  if (process.env.TEST_SIGHTINGS) appendFileSync(process.env.TEST_SIGHTINGS, `${sighting}\n`);
}
