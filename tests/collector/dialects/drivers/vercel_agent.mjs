// An agent on Vercel's AI SDK with its own telemetry on.

import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { NodeSDK, tracing } from "@opentelemetry/sdk-node";
import { generateText, stepCountIs, tool } from "ai";
import { z } from "zod";

const sdk = new NodeSDK({
  autoDetectResources: false,
  instrumentations: [],
  spanProcessors: [new tracing.SimpleSpanProcessor(new OTLPTraceExporter({ url: process.env.GRPC_ENDPOINT }))],
});
sdk.start();
const openai = createOpenAI();

for (const isDown of [false, true]) {
  await generateText({
    model: openai.chat("m"),
    system: "Be brief.",
    prompt: "How is the weather?",
    temperature: 0.5,
    stopWhen: stepCountIs(2),
    tools: {
      weather: tool({
        description: "The weather.",
        inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => {
          if (isDown) throw new RangeError(city);
          return "sunny";
        },
      }),
    },
    experimental_telemetry: {
      isEnabled: true,
      functionId: "forecaster",
      metadata: { userId: "ada", sessionId: "talk-7" },
    },
  });
}
await sdk.shutdown();
