// The SDK's own EnvironmentWorker serves a self-hosted environment: with POLL until the test says
// that it has seen enough, else the one item that the ANTHROPIC_* variables name.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: "test" });
const common = { workdir: process.env.WORKDIR, maxIdleMs: 300 };

if (process.env.POLL) {
  const worker = client.beta.environments.work.worker({
    ...common,
    environmentId: process.env.ANTHROPIC_ENVIRONMENT_ID,
    environmentKey: process.env.ANTHROPIC_ENVIRONMENT_KEY,
  });
  const over = new AbortController();
  process.stdin.resume();
  process.stdin.on("end", () => over.abort());
  await worker.run(over.signal);
} else {
  await client.beta.environments.work.worker(common).handleItem();
}
console.log("done");
process.exit(0);
