// Sends spans, metrics and a log record with the stock exporters of OpenTelemetry Go, which read
// where to and how from their own environment variables, and prints, as JSON, the ids of the spans:
// [[trace id, span id, parent's id], ...]. What the spans carry stands in test_otel_sdks.py.
// sender COUNT
package main

import (
	"context"
	"encoding/json"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope   = "sdk tests"
	version = "1.2"
	startNs = 1_790_000_000_000_000_007
	// How soon to send again what was refused, where the refusal does not say: sooner than any does.
	firstWait = 50 * time.Millisecond
	lastWait  = time.Minute
)

func main() {
	count, err := strconv.Atoi(os.Args[1])
	must(err)
	ctx := context.Background()
	ids, last := sendSpans(ctx, count)
	if os.Getenv("OTEL_METRICS_EXPORTER") != "none" {
		sendMetrics(ctx, count)
	}
	if os.Getenv("OTEL_LOGS_EXPORTER") != "none" {
		sendLog(last)
	}
	must(json.NewEncoder(os.Stdout).Encode(ids))
}

// sendSpans gives the spans' ids, and a context with the last one in it.
func sendSpans(ctx context.Context, count int) ([][3]string, context.Context) {
	exporter, err := spanExporter(ctx)
	must(err)
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	tracer := provider.Tracer(scope, trace.WithInstrumentationVersion(version))
	kinds := []trace.SpanKind{
		trace.SpanKindInternal, trace.SpanKindServer, trace.SpanKindClient,
		trace.SpanKindProducer, trace.SpanKindConsumer,
	}
	ids := make([][3]string, 0, count)
	within, previous := ctx, trace.SpanContext{}
	for number := range count {
		start := time.Unix(0, startNs+int64(number)*1_000_000)
		options := []trace.SpanStartOption{
			trace.WithSpanKind(kinds[number%len(kinds)]),
			trace.WithTimestamp(start),
			trace.WithAttributes(
				attribute.Int("number", number),
				attribute.String("text", "grüße 你好 🎈"),
				attribute.Int64("largest", math.MaxInt64),
				attribute.Int64("least", math.MinInt64),
				attribute.Float64("score", 0.5),
				attribute.Bool("right", true),
				attribute.StringSlice("texts", []string{"stop", "length"}),
				attribute.Int64Slice("numbers", []int64{1, -2}),
				attribute.Float64Slice("scores", []float64{0.5, -1.25}),
				attribute.BoolSlice("rights", []bool{true, false}),
			),
		}
		if previous.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{
				SpanContext: previous,
				Attributes:  []attribute.KeyValue{attribute.String("why", "before")},
			}))
		}
		parent := trace.SpanContextFromContext(within)
		spanWithin, span := tracer.Start(within, "chat model", options...)
		span.AddEvent("seen", trace.WithTimestamp(start.Add(1_000_001)), trace.WithAttributes(
			attribute.String("where", "here"), attribute.Int("times", 2),
		))
		span.SetStatus(codes.Error, "no luck")
		span.End(trace.WithTimestamp(start.Add(5_000_000)))
		previous = span.SpanContext()
		id := [3]string{previous.TraceID().String(), previous.SpanID().String(), ""}
		if parent.IsValid() {
			id[2] = parent.SpanID().String()
		}
		ids = append(ids, id)
		if number == 0 {
			within = spanWithin
		}
	}
	must(provider.Shutdown(ctx))
	return ids, trace.ContextWithSpanContext(ctx, previous)
}

func sendMetrics(ctx context.Context, count int) {
	exporter, err := metricExporter(ctx)
	must(err)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	meter := provider.Meter(scope)
	counter, err := meter.Int64Counter("spans.sent", metric.WithUnit("{span}"))
	must(err)
	counter.Add(ctx, int64(count), metric.WithAttributes(attribute.String("how", "well")))
	histogram, err := meter.Float64Histogram("span.duration", metric.WithUnit("s"))
	must(err)
	histogram.Record(ctx, 0.5)
	histogram.Record(ctx, 1.25)
	must(provider.Shutdown(ctx))
}

func sendLog(ctx context.Context) {
	exporter, err := logExporter(ctx)
	must(err)
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	var record otellog.Record
	record.SetTimestamp(time.Unix(0, startNs))
	record.SetSeverity(otellog.SeverityWarn)
	record.SetBody(attribute.StringValue("all sent"))
	record.AddAttributes(attribute.String("where", "here"), attribute.Int("times", 2))
	provider.Logger(scope).Emit(ctx, record)
	must(provider.Shutdown(context.Background()))
}

func isGRPC() bool { return os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" }

func spanExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if isGRPC() {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstWait, MaxInterval: firstWait, MaxElapsedTime: lastWait,
		}))
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: firstWait, MaxInterval: firstWait, MaxElapsedTime: lastWait,
	}))
}

func metricExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	if isGRPC() {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

func logExporter(ctx context.Context) (sdklog.Exporter, error) {
	if isGRPC() {
		return otlploggrpc.New(ctx)
	}
	return otlploghttp.New(ctx)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
