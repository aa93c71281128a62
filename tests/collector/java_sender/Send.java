import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Sends spans, metrics and a log record with the SDK of OpenTelemetry Java, which configures itself
 * and its stock exporters by the usual environment variables, and prints, as JSON, the ids of the
 * spans: [[trace id, span id, parent's id], ...]. What the spans carry stands in test_otel_sdks.py.
 *
 * <p>java Send.java COUNT
 */
public final class Send {
  private static final String SCOPE = "sdk tests";
  private static final long START_NS = 1_790_000_000_000_000_007L;
  private static final SpanKind[] KINDS = {
    SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER
  };
  private static final AttributeKey<String> WHERE = AttributeKey.stringKey("where");
  private static final AttributeKey<Long> TIMES = AttributeKey.longKey("times");

  public static void main(String[] arguments) {
    int count = Integer.parseInt(arguments[0]);
    List<String> ids = new ArrayList<>();
    OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
    Tracer tracer = sdk.getTracerProvider().get(SCOPE, "1.2");
    Span first = Span.getInvalid();
    Span previous = Span.getInvalid();
    for (int number = 0; number < count; number++) {
      Span span = span(tracer, number, first, previous.getSpanContext());
      String parent = first.getSpanContext().isValid() ? first.getSpanContext().getSpanId() : "";
      SpanContext own = span.getSpanContext();
      ids.add("[\"%s\",\"%s\",\"%s\"]".formatted(own.getTraceId(), own.getSpanId(), parent));
      first = number == 0 ? span : first;
      previous = span;
    }
    sendMetrics(sdk, count);
    sdk.getLogsBridge()
        .get(SCOPE)
        .logRecordBuilder()
        .setContext(Context.root().with(previous))
        .setTimestamp(START_NS, TimeUnit.NANOSECONDS)
        .setSeverity(Severity.WARN)
        .setBody("all sent")
        .setAllAttributes(Attributes.of(WHERE, "here", TIMES, 2L))
        .emit();
    sdk.shutdown().join(60, TimeUnit.SECONDS);
    System.out.println("[" + String.join(",", ids) + "]");
  }

  private static Span span(Tracer tracer, int number, Span parent, SpanContext previous) {
    long start = START_NS + number * 1_000_000L;
    SpanBuilder builder =
        tracer
            .spanBuilder("chat model")
            .setParent(Context.root().with(parent))
            .setSpanKind(KINDS[number % KINDS.length])
            .setStartTimestamp(start, TimeUnit.NANOSECONDS)
            .setAttribute("number", number)
            .setAttribute("text", "grüße 你好 🎈")
            .setAttribute("largest", Long.MAX_VALUE)
            .setAttribute("least", Long.MIN_VALUE)
            .setAttribute("score", 0.5)
            .setAttribute("right", true)
            .setAttribute(AttributeKey.stringArrayKey("texts"), List.of("stop", "length"))
            .setAttribute(AttributeKey.longArrayKey("numbers"), List.of(1L, -2L))
            .setAttribute(AttributeKey.doubleArrayKey("scores"), List.of(0.5, -1.25))
            .setAttribute(AttributeKey.booleanArrayKey("rights"), List.of(true, false));
    if (previous.isValid()) {
      builder.addLink(previous, Attributes.of(AttributeKey.stringKey("why"), "before"));
    }
    Span span = builder.startSpan();
    Attributes seen = Attributes.of(WHERE, "here", TIMES, 2L);
    span.addEvent("seen", seen, start + 1_000_001, TimeUnit.NANOSECONDS);
    span.setStatus(StatusCode.ERROR, "no luck");
    span.end(start + 5_000_000, TimeUnit.NANOSECONDS);
    return span;
  }

  private static void sendMetrics(OpenTelemetrySdk sdk, int count) {
    var meter = sdk.getMeterProvider().get(SCOPE);
    var how = Attributes.of(AttributeKey.stringKey("how"), "well");
    meter.counterBuilder("spans.sent").setUnit("{span}").build().add(count, how);
    var histogram = meter.histogramBuilder("span.duration").setUnit("s").build();
    histogram.record(0.5);
    histogram.record(1.25);
  }
}
