const PATIENCE = 1500; // milliseconds that a request may take when a newer one waits

/**
 * The requests of one part of a view, of which only the newest counts.
 *
 * One is under way at a time, so that pictures follow a moving pointer instead of starving. A newer
 * one waits for it for a while, and then aborts it.
 */
export class NewestRequest {
  #running = null;
  #waiting = null;

  /**
   * @param {(problem: Error|null) => void} report is told of failures, and null of success.
   * @param {(running: boolean) => void} tell is told when it starts and when nothing is left to do.
   */
  constructor(report, tell) {
    this.report = report;
    this.tell = tell;
  }

  /**
   * Ask, unless something newer is asked before its turn comes.
   *
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} call
   * @param {(answer: T) => void} use
   */
  ask(call, use) {
    this.#waiting = { call, use };
    if (this.#running === null) this.#next();
    else this.#hurry(this.#running);
  }

  /** Abort what is under way, and forget what waits. */
  abort() {
    this.#waiting = null;
    this.#running?.abort();
  }

  #hurry(running) {
    setTimeout(() => {
      if (this.#running === running && this.#waiting !== null) running.abort();
    }, PATIENCE);
  }

  async #next() {
    const { call, use } = this.#waiting;
    this.#waiting = null;
    this.#running = new AbortController();
    this.tell(true);
    await this.#answer(call, use, this.#running.signal);
    this.#running = null;
    if (this.#waiting !== null) this.#next();
    else this.tell(false);
  }

  async #answer(call, use, signal) {
    try {
      const answer = await call(signal);
      if (signal.aborted) return;
      use(answer);
      this.report(null);
    } catch (problem) {
      if (problem.name !== "AbortError") this.report(problem);
    }
  }
}
