import { SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import { ApiError } from './api-error';
import { sqlState } from './database-error';

/** Does nothing until `src/tracing.ts` has started something that takes spans. */
export const tracer = trace.getTracer('amba-referrals');

/** Does the work as a span of this name, below the one that is active. A refusal is no failure of it. */
export function traced<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work();
    } catch (error) {
      noteError(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Its kind alone, an error code or an SQLSTATE: what an error says may hold what nobody else may read. */
export function noteError(span: Span, error: unknown): void {
  const isOurs = error instanceof ApiError;
  const kind = isOurs ? error.code : (sqlState(error) ?? (error instanceof Error ? error.name : 'unknown'));
  span.setAttribute('error.type', kind);
  if (!isOurs || error.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
}
