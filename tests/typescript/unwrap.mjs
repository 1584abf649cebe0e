// Verifies a webhook with the TypeScript SDK. Prints the event for the test to read.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ apiKey: "test" });
const { body, headers, key } = JSON.parse(process.env.POST);
console.log(JSON.stringify(await client.beta.webhooks.unwrap(body, { headers, key })));
