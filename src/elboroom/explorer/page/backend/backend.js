/**
 * The interface by which views ask about runs, wherever the answers are computed.
 *
 * Methods return promises; arrays are NumberArrays.
 *
 * @typedef {object} Backend
 * @property {() => Promise<{runs: {id: string, name: string}[], version: string}>} runs
 * @property {(id: string) => Promise<object>} run describe a run.
 * @property {(id: string, query: {axes: string}, signal?: AbortSignal) => Promise<object>} map
 *   points (N, 2) and labels (N,) or null of the encoded rows.
 * @property {(id: string, query: object, signal?: AbortSignal) => Promise<object>} manifold
 *   images (side, side, C, H, W), from the top left on.
 * @property {(id: string, rows: number[], signal?: AbortSignal) => Promise<object>} pictures
 *   images (n, C, H, W).
 * @property {(id: string, row: number, axes: ?string, signal?: AbortSignal) => Promise<object>} row
 * @property {(id: string, question: object, signal?: AbortSignal) => Promise<object>} decode
 *   images (n, C, H, W).
 * @property {(id: string, question: object, signal?: AbortSignal) => Promise<object>} complete
 * @property {(id: string, query: object, signal?: AbortSignal) => Promise<object>} samples
 * @property {(id: string, question: object, signal?: AbortSignal) => Promise<object>} interpolate
 * @property {(id: string, signal?: AbortSignal) => Promise<object>} columns of a table.
 * @property {(id: string, query: {first: number, count: number}, signal?: AbortSignal) =>
 *   Promise<object>} table rows as people write them.
 * @property {(id: string, question: object, signal?: AbortSignal) => Promise<object>} entries
 *   the density of each entry of a row given the others.
 * @property {(id: string, signal?: AbortSignal) => Promise<object>} history
 * @property {(id: string, signal?: AbortSignal) => Promise<object>} evaluation
 * @property {(id: string, name: string) => string} figureAddress
 * @property {(listener: (seconds: ?number) => void) => void} onWait
 *   tell a listener of waits for a busy server, in seconds, and null when it answers again.
 */

/** A failure that can be explained: what happened, why, and how to fix it. */
export class Failure extends Error {
  /**
   * @param {{what: string, why: string, fix: string}} words
   */
  constructor({ what, why, fix }) {
    super(what);
    this.what = what;
    this.why = why;
    this.fix = fix;
  }
}

const MODULES = { http: "./http_backend.js", static: "./static_backend.js" };

/**
 * Open the backend that the page names in its meta element.
 *
 * @returns {Promise<Backend>}
 */
export async function openBackend() {
  const name = document.querySelector('meta[name="elboroom-backend"]').content;
  const { openBackend: open } = await import(MODULES[name]);
  return open();
}
