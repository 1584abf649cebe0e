// The SDK's own tool runner answers a session's custom tools. Prints one JSON line for the test.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: "test" });
const ran = [];
const weather = betaTool({
  name: "weather",
  description: "The weather of a city.",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  run: ({ city }) => {
    ran.push(city);
    return `rain in ${city}`;
  },
});

const calls = [];
const runner = client.beta.sessions.events.toolRunner(process.env.SESSION_ID, {
  tools: [weather],
  maxIdleMs: 500,
});
const message = { type: "user.message", content: [{ type: "text", text: process.env.MESSAGE }] };
await client.beta.sessions.events.send(process.env.SESSION_ID, { events: [message] });
for await (const call of runner) calls.push([call.toolUseId, call.posted, call.isError]);
console.log(JSON.stringify({ ran, calls }));
