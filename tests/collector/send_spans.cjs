// Sends spans with a stock OpenTelemetry JS exporter and prints, as JSON, what it sent.
// node send_spans.cjs {grpc|http|proto} URL {none|gzip} COUNT
const [kind, url, compression, count] = process.argv.slice(2);
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const exporter = new OTLPTraceExporter({ url, compression });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
const tracer = provider.getTracer('js tests', '1.2');
const sent = [];
for (let number = 0; number < Number(count); number += 1) {
  const span = tracer.startSpan('chat model', { kind: SpanKind.CLIENT });
  span.setAttributes({
    number,
    text: 'grüße 你好 🎈',
    largest: Number.MAX_SAFE_INTEGER,
    score: 0.5,
    right: true,
    reasons: ['stop', 'length'],
  });
  span.addEvent('seen', { where: 'here' });
  span.setStatus({ code: SpanStatusCode.ERROR, message: 'no luck' });
  span.end();
  const { traceId, spanId } = span.spanContext();
  sent.push([traceId, spanId, String(number)]);
}
provider.shutdown().then(() => process.stdout.write(JSON.stringify(sent)));
