// Plays plans with the TypeScript SDK; tests/drives/driver.py says what a plan is and does the same
// in Python. Reads one plan a line, prints what came of it as one line.
import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { accumulateManagedAgentsEvent } from "@anthropic-ai/sdk/lib/sessions/accumulate";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: "test", maxRetries: 0 });
const sessions = client.beta.sessions;
const PREVIEWS = new Set(["event_start", "event_delta"]);
const PATIENCE = 45_000;

const matches = (match, event) =>
  Object.entries(match).every(
    ([path, wanted]) => path.split(".").reduce((value, name) => value?.[name], event) === wanted,
  );

function filled(template, event) {
  if (Array.isArray(template)) return template.map((value) => filled(value, event));
  if (template !== null && typeof template === "object") {
    const entries = Object.entries(template);
    return Object.fromEntries(entries.map(([name, value]) => [name, filled(value, event)]));
  }
  if (template === "$id") return event.id;
  if (typeof template === "string" && template.startsWith("$blocking.")) {
    return event.stop_reason.event_ids[Number(template.slice("$blocking.".length))];
  }
  return template;
}

class Drive {
  constructor(plan) {
    this.plan = plan;
    this.fired = new Map();
    this.known = new Set();
    this.thisStream = new Set();
    this.lastId = null;
    this.dropped = false;
    this.ended = false;
    this.snapshots = new Map();
    this.seen = [];
    this.twice = [];
    this.overlap = [];
    this.previews = [];
    this.connections = 0;
  }

  async play() {
    this.id = (await sessions.create(this.plan.session)).id;
    await this.open();
    await this.send(this.plan.first);
    while (!this.ended) await this.read();
    this.stream.controller.abort();
    return {
      session_id: this.id,
      seen: this.seen,
      twice: this.twice,
      overlap: this.overlap,
      previews: this.previews,
      connections: this.connections,
      dropped: this.dropped,
      listed: await this.list(),
      session: await sessions.retrieve(this.id),
    };
  }

  async list() {
    const listed = [];
    for await (const event of sessions.events.list(this.id)) listed.push(event);
    return listed;
  }

  async read() {
    for await (const event of this.stream) {
      if (PREVIEWS.has(event.type) || event.type === "agent.message") this.preview(event);
      if (event.type === "span.model_request_end") this.snapshots.clear();
      if (await this.take(event, false)) return;
    }
    throw new Error("the server ended the stream");
  }

  async take(event, listed) {
    if (!PREVIEWS.has(event.type)) {
      if (listed && event.processed_at == null) return false;
      if (this.known.has(event.id)) {
        const again = this.thisStream.has(event.id) && !listed;
        if (again || this.plan.back === "last_event_id") this.twice.push(event.id);
        this.overlap.push(event.id);
        if (!listed) this.thisStream.add(event.id);
        return false;
      }
      this.known.add(event.id);
      this.lastId = event.id;
      this.seen.push(event);
      if (!listed) this.thisStream.add(event.id);
    }
    const due = this.plan.rules
      .filter((rule, number) => this.now(`rule ${number}`, rule, event))
      .flatMap((rule) => rule.do);
    const last = this.now("end", this.plan.end, event);
    const drop = this.plan.drop;
    if (drop && !this.dropped && this.now("drop", drop, event)) {
      this.dropped = true;
      await this.leaveAndReturn(event, due, drop);
      return true;
    }
    await this.do(due, event);
    this.ended ||= last;
    return this.ended;
  }

  now(name, at, event) {
    if (!matches(at.when, event)) return false;
    this.fired.set(name, (this.fired.get(name) ?? 0) + 1);
    return this.fired.get(name) === (at.nth ?? 1);
  }

  async leaveAndReturn(event, due, drop) {
    const { moment, back } = this.plan;
    if (moment === "before") await this.do(due, event);
    this.stream.controller.abort();
    this.snapshots.clear();
    await this.do(drop.away ?? [], event);
    if (moment === "away") {
      await this.do(due, event);
      await this.do(drop.settled ?? [], event);
    }
    if (back === "last_event_id") {
      await this.open(this.lastId);
    } else {
      await this.open();
      for (const item of await this.list()) await this.take(item, true);
    }
    if (moment === "after") await this.do(due, event);
  }

  async open(after) {
    this.connections += 1;
    this.thisStream = new Set();
    const query = this.plan.deltas ? { event_deltas: this.plan.deltas } : {};
    const options = after ? { headers: { "Last-Event-ID": after } } : {};
    if (this.plan.thread) {
      const [thread] = (await sessions.threads.list(this.id)).data;
      const named = { session_id: this.id, ...query };
      this.stream = await sessions.threads.events.stream(thread.id, named, options);
    } else {
      this.stream = await sessions.events.stream(this.id, query, options);
    }
  }

  preview(event) {
    const key = event.event_id ?? event.event?.id ?? event.id;
    // Throws when a delta comes whose start did not.
    const after = accumulateManagedAgentsEvent(this.snapshots.get(key), event);
    if (event.type === "event_start") {
      this.previews.push({ id: key, connection: this.connections, shown: "", final: null });
    }
    if (after !== undefined) this.snapshots.set(key, after);
    for (const preview of this.previews) {
      if (preview.id !== key || preview.connection !== this.connections) continue;
      const which = event.type === "agent.message" ? "final" : "shown";
      preview[which] = (after?.content ?? []).map((block) => block.text).join("");
    }
  }

  async do(actions, event) {
    for (const action of actions) {
      const [[kind, argument]] = Object.entries(action);
      if (kind === "send") await this.send(filled(argument, event));
      else if (kind === "post") await post(argument);
      else if (kind === "budget") await this.budget(argument);
      else if (kind === "until") await this.until(argument);
      else throw new Error(kind);
    }
  }

  async send(events) {
    await sessions.events.send(this.id, { events });
  }

  async budget(more) {
    let budget = null;
    if (more !== null) {
      const { usage } = await sessions.retrieve(this.id);
      const amount = String(Number(usage.list_cost.amount) + more);
      budget = { type: "limit", max_list_cost: { amount, currency: "USD" } };
    }
    await sessions.update(this.id, { budget });
  }

  async until(at) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const listed = await this.list();
      const found = listed.filter((event) => event.processed_at && matches(at.when, event));
      if (found.length >= (at.nth ?? 1)) return;
      if (Date.now() > deadline) throw new Error(listed.map((event) => event.type).join());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function post(url) {
  const answer = await fetch(url, { method: "POST", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  let told;
  try {
    told = await new Drive(JSON.parse(line)).play();
  } catch (error) {
    told = { error: String(error?.stack ?? error) };
  }
  console.log(JSON.stringify(told));
}
