// The article's program, from the TypeScript SDK. Prints one JSON line for the test to read.
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: "test", maxRetries: 0 });

const agent = await client.beta.agents.create({
  name: "typescript",
  model: "claude-sonnet-5",
  tools: [{ type: "agent_toolset_20260401" }],
});
const environment = await client.beta.environments.create({ name: "typescript" });
const session = await client.beta.sessions.create({
  agent: { type: "agent", id: agent.id, version: agent.version },
  environment_id: environment.id,
  title: "From TypeScript",
});

const stream = await client.beta.sessions.events.stream(session.id);
const echo = await client.beta.sessions.events.send(session.id, {
  events: [
    { type: "user.message", content: [{ type: "text", text: process.env.MESSAGE }] },
  ],
});

const types = [];
let said = "";
for await (const event of stream) {
  types.push(event.type);
  if (event.type === "agent.message") {
    for (const block of event.content) said += block.text;
  }
  if (event.type === "session.status_idle") break;
}

const listed = [];
for await (const event of client.beta.sessions.events.list(session.id)) listed.push(event.type);

let missing = null;
try {
  await client.beta.sessions.retrieve("sesn_011111111111111111111111");
} catch (error) {
  missing = { name: error.constructor.name, status: error.status };
}

const uploaded = await client.files.upload({
  file: await toFile(Buffer.from("# Notes"), "notes.md", { type: "text/markdown" }),
});
const files = [];
for await (const file of client.files.list({ limit: 1 })) files.push(file.filename);
const deleted = await client.files.delete(uploaded.id);

const last = await client.beta.sessions.retrieve(session.id);
console.log(
  JSON.stringify({
    types,
    listed,
    said,
    echoed: echo.data.map((event) => event.type),
    status: last.status,
    usage: last.usage,
    missing,
    files,
    uploaded,
    deleted,
  }),
);
