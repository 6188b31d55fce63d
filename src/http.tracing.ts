import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { noteOfRequest } from './common/request-context';
import { tracer } from './common/tracing';
import { methodOf, PROBED, routeOf } from './route';

/**
 * Does the work as the span of this request, which goes on with the trace that the caller names in `traceparent`, and ends
 * when the answer has left. Probes have none.
 */
export function traceRequest(request: IncomingMessage, response: ServerResponse, work: () => void): void {
  if (PROBED.test(request.url ?? '')) return work();
  const method = methodOf(request);
  const caller = propagation.extract(ROOT_CONTEXT, request.headers);
  const span = tracer.startSpan(method, { kind: SpanKind.SERVER }, caller);
  if (span.isRecording()) {
    noteOfRequest({ trace_id: span.spanContext().traceId });
    span.setAttribute('http.request.method', method === 'other' ? '_OTHER' : method);
    response.on('close', () => {
      const route = routeOf(request);
      if (route !== 'none') span.updateName(`${method} ${route}`).setAttribute('http.route', route);
      if (response.writableFinished) span.setAttribute('http.response.status_code', response.statusCode);
      if (!response.writableFinished || response.statusCode >= 500)
        span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
  }
  context.with(trace.setSpan(caller, span), work);
}
