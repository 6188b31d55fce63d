import { SpanKind, trace } from '@opentelemetry/api';
import { noteError, tracer } from '../common/tracing';

interface Packet {
  readonly texts: string[];
  readonly answers: Promise<unknown>[];
}

/**
 * Traces statements that leave in one packet as one span, as the conventions for databases name it; nothing where there is
 * no span to put it below. The texts hold no values, which travel beside them.
 */
export function tracePacket({ texts, answers }: Packet): void {
  if (!trace.getActiveSpan()?.isRecording()) return;
  const verbs = texts.map((text) => /\w+/.exec(text)?.[0]);
  const span = tracer.startSpan(verbs.join('; '), {
    kind: SpanKind.CLIENT,
    attributes: {
      'db.system.name': 'postgresql',
      'db.query.text': texts.join(';\n'),
      ...(texts.length > 1 && { 'db.operation.batch.size': texts.length }),
    },
  });
  void Promise.allSettled(answers).then((settled) => {
    const failed = settled.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') noteError(span, failed.reason);
    span.end();
  });
}
