// What the official Node SDKs do when a budget refuses or stops a call, as JSON on stdout.
//
//   node budgets.mjs BASE_URL
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const baseURL = process.argv[2];
const messages = [{ role: "user", content: "How do I return an order?" }];
let requests = 0;
const counting = (...given) => {
  requests += 1;
  return fetch(...given);
};
const options = { apiKey: "sk-test", fetch: counting }; // with the retries they have by default
const openai = new OpenAI({ ...options, baseURL: `${baseURL}/v1` });
const anthropic = new Anthropic({ ...options, baseURL, authToken: null });
const headers = (feature, more = {}) => ({ headers: { "x-farthing-feature": feature, ...more } });
const long = { "x-sim-output-tokens": "20000" };

const chat = (feature, stream, more) =>
  openai.chat.completions.create({ model: "gpt-4o", messages, stream }, headers(feature, more));
const message = (feature, stream, max_tokens, more) =>
  anthropic.messages.create(
    { model: "claude-sonnet-5-5", max_tokens, messages, stream },
    headers(feature, more),
  );

async function refused(call) {
  requests = 0;
  try {
    await call();
  } catch (error) {
    const body = error.error?.error ?? error.error;
    return { type: error.constructor.name, status: error.status, code: body.code, requests };
  }
  return { requests };
}

async function last(stream, wanted) {
  let found = null;
  for await (const event of stream) if (wanted(event)) found = event;
  return found;
}

const results = {
  openai: await refused(() => chat("tiny", false)),
  openai_stream: await refused(() => chat("tiny", true)),
  anthropic: await refused(() => message("tiny", false, 400)),
  anthropic_stream: await refused(() => message("tiny", true, 400)),
};
const chunk = await last(await chat("flow", true, long), (event) => event.choices?.length);
results.openai_stopped = {
  finish_reason: chunk.choices[0].finish_reason,
  code: chunk.farthing?.code,
};
const delta = await last(
  await message("flow", true, 32000, long),
  (event) => event.type === "message_delta",
);
results.anthropic_stopped = { stop_reason: delta.delta.stop_reason, code: delta.farthing?.code };
process.stdout.write(JSON.stringify(results) + "\n");
