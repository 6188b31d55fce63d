import { Logger } from '@nestjs/common';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { settledWithin } from './common/settled-within';
import type { Config } from './config';

const SERVICE_NAME = 'amba-referrals';
/** How long a stop waits for a collector that is slow or away. */
const FLUSH_TIMEOUT_MS = 2_000;

/**
 * Sends traces to the collector that the environment names, by the standard `OTEL_…` variables; without one nothing is loaded. No
 * request ever waits for it.
 *
 * @returns what sends the rest, for two seconds at most, and ends it
 */
export async function startTracing({ tracing }: Config): Promise<() => Promise<void>> {
  if (!tracing) return () => Promise.resolve();
  const [{ BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const ours = resources.resourceFromAttributes({ 'service.name': SERVICE_NAME });
  const given = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new NodeTracerProvider({
    resource: resources.defaultResource().merge(ours).merge(given),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  reportFaults();
  return async () => {
    await settledWithin(
      provider.shutdown().catch(() => undefined),
      FLUSH_TIMEOUT_MS,
    );
  };
}

/** Spans that could not be sent are lost, which the log tells. */
function reportFaults(): void {
  const logger = new Logger('Tracing');
  const warn = (message: string) => logger.warn(message);
  const ignore = () => undefined;
  diag.setLogger({ error: warn, warn, info: ignore, debug: ignore, verbose: ignore }, DiagLogLevel.WARN);
}
