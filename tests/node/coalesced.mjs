// A whole answer asked for while an equal call streams, with the official Node SDKs, as JSON on stdout.
//
//   node coalesced.mjs BASE_URL
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const baseURL = process.argv[2];
const messages = [{ role: "user", content: "How do I return an order?" }];
const options = { apiKey: "sk-test", maxRetries: 0 };
const openai = new OpenAI({ ...options, baseURL: `${baseURL}/v1` });
const anthropic = new Anthropic({ ...options, baseURL, authToken: null });

const chat = (stream) => openai.chat.completions.create({ model: "gpt-4o", messages, stream });
const message = (stream) =>
  anthropic.messages.create({ model: "claude-sonnet-5-5", max_tokens: 400, messages, stream });

async function beside(call) {
  let events = 0;
  let whole = null;
  for await (const _ of await call(true)) {
    events += 1;
    whole ??= call(false);
  }
  return { events, whole: await whole };
}

const results = { openai: await beside(chat), anthropic: await beside(message) };
console.log(JSON.stringify(results));
