// What the official Node SDKs do against a base URL, as canonical JSON on stdout.
//
//   node clients.mjs BASE_URL [OPENAI_KEY [ANTHROPIC_KEY]]
//
// The same script against a provider and against a gateway in front of it must print the same.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [baseURL, openaiKey = "sk-test-openai", anthropicKey = "sk-test-anthropic"] =
  process.argv.slice(2);
const chatModel = "gpt-4o-mini";
const messagesModel = "claude-sonnet-5-5";
const messages = [{ role: "user", content: "How do I return an order?" }];
const schema = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", minimum: 1, maximum: 7 } },
  required: ["city", "days"],
  additionalProperties: false,
};
const openaiTools = ["get_weather", "get_forecast"].map((name) => ({
  type: "function",
  function: { name, parameters: schema },
}));
const anthropicTools = ["get_weather", "get_forecast"].map((name) => ({
  name,
  input_schema: schema,
}));
const twoCalls = { headers: { "x-sim-tool-calls": "2" } };
const comparedHeaders = ["content-type", "x-request-id", "request-id", "retry-after", "x-sim-score"];

const openai = (options = {}) =>
  new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: openaiKey, maxRetries: 0, ...options });
const anthropic = (options = {}) =>
  new Anthropic({ baseURL, apiKey: anthropicKey, authToken: null, maxRetries: 0, ...options });

const fault = (text) => ({ headers: { "x-sim-fault": text } });
const chat = (more = {}) => ({ model: chatModel, messages, ...more });
const message = (more = {}) => ({ model: messagesModel, max_tokens: 400, messages, ...more });

async function collect(stream) {
  const seen = [];
  for await (const item of stream) seen.push(item);
  return seen;
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return {
      type: error.constructor.name,
      message: error.message,
      status: error.status ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      kind: error.type ?? null,
      requestID: error.requestID ?? null,
      error: error.error ?? null,
    };
  }
  return { type: "none" };
}

async function raw(promise) {
  const response = await promise.asResponse();
  const headers = {};
  for (const name of comparedHeaders) headers[name] = response.headers.get(name);
  return { status: response.status, headers, body: await response.text() };
}

const scenarios = {
  openai_chat: () => openai().chat.completions.create(chat({ n: 2 })),
  openai_chat_raw: () => raw(openai().chat.completions.create(chat())),
  openai_stream: async () => collect(await openai().chat.completions.create(chat({ stream: true }))),
  openai_stream_raw: () =>
    raw(
      openai().chat.completions.create(
        chat({ stream: true, stream_options: { include_usage: true } }),
      ),
    ),
  openai_stream_helper: async () => {
    const stream = openai().chat.completions.stream(chat());
    return stream.finalChatCompletion();
  },
  openai_tools: () =>
    openai().chat.completions.create(
      chat({ tools: openaiTools, tool_choice: "required" }),
      twoCalls,
    ),
  openai_tools_streamed: async () => {
    const body = chat({ tools: openaiTools, tool_choice: "required" });
    return openai().chat.completions.stream(body, twoCalls).finalChatCompletion();
  },
  openai_schema: () =>
    openai().chat.completions.parse(
      chat({
        response_format: { type: "json_schema", json_schema: { name: "w", strict: true, schema } },
      }),
    ),
  openai_embeddings: () =>
    openai().embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"], dimensions: 8 }),
  openai_models: async () => collect(await openai().models.list()),
  openai_unknown_model: () =>
    failure(() => openai().chat.completions.create(chat({ model: "no-such-model" }))),
  openai_bad_parameter: () =>
    failure(() => openai().chat.completions.create(chat({ temperature: 9 }))),
  openai_bad_key: () =>
    failure(() => openai({ apiKey: "sk-invalid-1" }).chat.completions.create(chat())),
  openai_rate_limit: () =>
    failure(() => openai().chat.completions.create(chat(), fault("429; retry_after=2"))),
  openai_server_error: () => failure(() => openai().chat.completions.create(chat(), fault("500"))),
  openai_timeout: () =>
    failure(() =>
      openai({ timeout: 300 }).chat.completions.create(chat(), fault("slow_first_byte; seconds=30")),
    ),
  openai_error_event: () =>
    failure(async () =>
      collect(
        await openai().chat.completions.create(chat({ stream: true }), fault("error_event; after=4")),
      ),
    ),
  anthropic_message: () => anthropic().messages.create(message({ system: "Be kind." })),
  anthropic_message_raw: () => raw(anthropic().messages.create(message())),
  anthropic_stream: async () =>
    collect(await anthropic().messages.create(message({ stream: true }))),
  anthropic_stream_raw: () => raw(anthropic().messages.create(message({ stream: true }))),
  anthropic_stream_helper: () => anthropic().messages.stream(message()).finalMessage(),
  anthropic_thinking: () =>
    anthropic()
      .messages.stream(
        message({ max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } }),
      )
      .finalMessage(),
  anthropic_tools: () =>
    anthropic()
      .messages.stream(message({ tools: anthropicTools, tool_choice: { type: "any" } }), twoCalls)
      .finalMessage(),
  anthropic_count_tokens: () =>
    anthropic().messages.countTokens({ model: messagesModel, messages, tools: anthropicTools }),
  anthropic_models: async () => collect(await anthropic().models.list()),
  anthropic_unknown_model: () =>
    failure(() => anthropic().messages.create(message({ model: "no-such-model" }))),
  anthropic_bad_key: () =>
    failure(() => anthropic({ apiKey: "sk-invalid-1" }).messages.create(message())),
  anthropic_rate_limit: () =>
    failure(() => anthropic().messages.create(message(), fault("429; retry_after=2"))),
  anthropic_overloaded: () => failure(() => anthropic().messages.create(message(), fault("529"))),
  anthropic_timeout: () =>
    failure(() =>
      anthropic({ timeout: 300 }).messages.create(message(), fault("slow_first_byte; seconds=30")),
    ),
  anthropic_error_event: () =>
    failure(async () =>
      collect(await anthropic().messages.create(message({ stream: true }), fault("error_event; after=5"))),
    ),
};

function canonical(value) {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, canonical(value[key])]),
  );
}

const results = {};
for (const [name, run] of Object.entries(scenarios)) {
  results[name] = JSON.parse(JSON.stringify((await run()) ?? null));
}
process.stdout.write(JSON.stringify(canonical(results), null, 1) + "\n");
