// One question, streamed by the official Node SDKs, with what the answer says of the cache.
//
//   node semantic.mjs BASE_URL QUESTION
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [baseURL, content] = process.argv.slice(2);
const messages = [{ role: "user", content }];
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "sk-test-openai", maxRetries: 0 });
const anthropic = new Anthropic({
  baseURL,
  apiKey: "sk-test-anthropic",
  authToken: null,
  maxRetries: 0,
});

async function told(promise) {
  const { data, response } = await promise.withResponse();
  const events = [];
  for await (const event of data) events.push(event);
  return { told: response.headers.get("x-farthing-cache"), events };
}

const results = {
  openai: await told(
    openai.chat.completions.create({
      model: "gpt-4o",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    }),
  ),
  anthropic: await told(
    anthropic.messages.create({
      model: "claude-sonnet-5-5",
      max_tokens: 200,
      messages,
      stream: true,
    }),
  ),
};
process.stdout.write(JSON.stringify(results) + "\n");
