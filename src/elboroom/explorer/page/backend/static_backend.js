import { Failure } from "./backend.js";
import { NumberArray } from "./number_array.js";

/**
 * Open the backend that computes the answers in the browser, from the files beside the page.
 *
 * @returns {import("./backend.js").Backend}
 */
export function openBackend() {
  return new StaticBackend();
}

class StaticBackend {
  #waiting = new Map();
  #asked = 0;
  #worker = new Worker(new URL("../compute/worker.js", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.addEventListener("message", ({ data }) => this.#take(data));
    this.#worker.addEventListener("error", () => this.#fail());
  }

  onWait() {}

  runs() {
    return this.#ask("runs", []);
  }

  run() {
    return this.#ask("describe", []);
  }

  map(_, query, signal) {
    return this.#ask("map", [query], signal);
  }

  manifold(_, query, signal) {
    return this.#ask("manifold", [query], signal);
  }

  pictures(_, rows, signal) {
    return this.#ask("pictures", [rows], signal);
  }

  row(_, row, axes, signal) {
    return this.#ask("row", [row, axes], signal);
  }

  decode(_, question, signal) {
    return this.#ask("decode", [question], signal);
  }

  complete(_, question, signal) {
    return this.#ask("complete", [question], signal);
  }

  samples(_, query, signal) {
    return this.#ask("samples", [query], signal);
  }

  interpolate(_, question, signal) {
    return this.#ask("interpolate", [question], signal);
  }

  history(_, signal) {
    return this.#ask("history", [], signal);
  }

  evaluation(_, signal) {
    return this.#ask("evaluation", [], signal);
  }

  figureAddress(_, name) {
    return `figures/${encodeURIComponent(name)}.png`;
  }

  #ask(name, questions, signal) {
    const id = (this.#asked += 1);
    this.#worker.postMessage({ id, name, questions });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      signal?.addEventListener("abort", () => {
        if (!this.#waiting.delete(id)) return;
        this.#worker.postMessage({ cancel: id });
        reject(signal.reason);
      });
    });
  }

  #take({ id, answer, words }) {
    const waiting = this.#waiting.get(id);
    if (!this.#waiting.delete(id)) return;
    if (words) waiting.reject(new Failure(words));
    else waiting.resolve(withArrays(answer));
  }

  #fail() {
    const failure = new Failure({
      what: "The page cannot compute its answers",
      why: "a file of it is missing, or the browser is too old for modules in workers",
      fix: "put all files of the export on the host, or use a newer browser",
    });
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
  }
}

/** Return an answer with a NumberArray in the place of each shape with its values. */
function withArrays(answer) {
  if (Array.isArray(answer) || answer === null || typeof answer !== "object") return answer;
  if (answer.values && answer.shape) return new NumberArray(answer.shape, answer.values);
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => [name, withArrays(value)]),
  );
}
