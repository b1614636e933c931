import { Failure } from "./backend.js";
import { parseWithArrays } from "./number_array.js";

const MOST_TRIES = 6;
const LONGEST_WAIT = 8; // seconds

/**
 * Open the backend that asks the server of `elboroom explore`.
 *
 * @returns {import("./backend.js").Backend}
 */
export function openBackend() {
  return new HttpBackend();
}

class HttpBackend {
  #listener = () => {};

  onWait(listener) {
    this.#listener = listener;
  }

  runs() {
    return this.#get("api/runs");
  }

  run(id) {
    return this.#get(address(id));
  }

  map(id, query, signal) {
    return this.#get(address(id, "map", query), signal);
  }

  manifold(id, query, signal) {
    return this.#get(address(id, "manifold", query), signal);
  }

  pictures(id, rows, signal) {
    return this.#get(address(id, "pictures", { rows: rows.join(",") }), signal);
  }

  row(id, row, axes, signal) {
    return this.#get(address(id, `rows/${row}`, { axes }), signal);
  }

  decode(id, question, signal) {
    return this.#post(address(id, "decode"), question, signal);
  }

  complete(id, question, signal) {
    return this.#post(address(id, "complete"), question, signal);
  }

  samples(id, query, signal) {
    return this.#get(address(id, "samples", query), signal);
  }

  interpolate(id, question, signal) {
    return this.#post(address(id, "interpolate"), question, signal);
  }

  columns(id, signal) {
    return this.#get(address(id, "columns"), signal);
  }

  table(id, query, signal) {
    return this.#get(address(id, "table", query), signal);
  }

  entries(id, question, signal) {
    return this.#post(address(id, "entries"), question, signal);
  }

  history(id, signal) {
    return this.#get(address(id, "history"), signal);
  }

  evaluation(id, signal) {
    return this.#get(address(id, "evaluation"), signal);
  }

  figureAddress(id, name) {
    return address(id, `figures/${encodeURIComponent(name)}.png`);
  }

  #get(url, signal) {
    return this.#ask(url, { signal });
  }

  #post(url, question, signal) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(url, { method: "POST", headers, body: JSON.stringify(question), signal });
  }

  async #ask(url, options) {
    for (let tries = 1; ; tries += 1) {
      const response = await send(url, options);
      if (response.status !== 429 || tries === MOST_TRIES) return answerOf(response);
      await this.#wait(response, tries, options.signal);
    }
  }

  async #wait(response, tries, signal) {
    const asked = Number(response.headers.get("Retry-After")) || 0.25;
    const seconds = Math.min(asked * 2 ** (tries - 1), LONGEST_WAIT);
    this.#listener(seconds);
    await pause(seconds, signal).finally(() => this.#listener(null));
  }
}

function address(id, path = "", query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const search = new URLSearchParams(given).toString();
  return (
    ["api/runs", encodeURIComponent(id), path].filter(Boolean).join("/") + (search && `?${search}`)
  );
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({
      what: "The server does not answer",
      why: "it was stopped, or the connection to it was lost",
      fix: "start `elboroom explore` again, then reload this page",
    });
  }
}

async function answerOf(response) {
  const text = await response.text();
  if (response.ok) return parseWithArrays(text);
  throw new Failure(explained(text) ?? unexplained(response));
}

function explained(text) {
  try {
    return JSON.parse(text).error ?? null;
  } catch {
    return null;
  }
}

function unexplained(response) {
  return {
    what: `The server answered ${response.status} ${response.statusText}`.trim(),
    why: "it did not say why",
    fix: "look at what `elboroom explore` printed in its terminal",
  };
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
