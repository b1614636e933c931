import { NewestRequest } from "../backend/newest_request.js";
import { ProblemNotice } from "../controls/problem_notice.js";

/**
 * The surroundings of a view.
 *
 * @typedef {object} Stage
 * @property {HTMLElement} place the element that it fills.
 * @property {import("../backend/backend.js").Backend} backend
 * @property {object} run the description of the run.
 * @property {{id: string, name: string}[]} runs all runs.
 * @property {(state: Object<string, string>, step: boolean) => void} keep
 *   write the state into the address.
 * @property {(view: string, state: Object<string, string>) => string} addressOf
 *   return the address of a place in another view of the run.
 */

/**
 * A view of a run. All of its state is in the address, as strings.
 *
 * A subclass has a static title, and update(changed), which shows the parts of the state that changed.
 */
export class View {
  #closing = new AbortController();
  #problems = new Map();
  #running = new Set();

  /**
   * @param {Stage} stage
   * @param {Object<string, string>} defaults the state of an address that says nothing.
   */
  constructor(stage, defaults) {
    this.stage = stage;
    this.run = stage.run;
    this.backend = stage.backend;
    this.defaults = defaults;
    this.state = { ...defaults };
    this.fields = {};
    this.notice = new ProblemNotice();
    stage.place.before(this.notice.element);
  }

  /** Aborted when the view is closed. */
  get closed() {
    return this.#closing.signal;
  }

  /**
   * Show a state, as the address has it.
   *
   * @param {Object<string, string>} state
   */
  show(state) {
    const known = Object.entries(state).filter(([name]) => name in this.defaults);
    const wanted = { ...this.defaults, ...Object.fromEntries(known) };
    const changed = Object.keys(wanted).filter(
      (name) => !this.shown || wanted[name] !== this.state[name],
    );
    this.state = wanted;
    this.shown = true;
    for (const [name, field] of Object.entries(this.fields)) field.value = wanted[name];
    this.update(new Set(changed));
  }

  /**
   * Change some of the state, and show it.
   *
   * @param {Object<string, string>} changes
   * @param {boolean} step true for a step that the back button undoes.
   */
  change(changes, step = true) {
    this.note(changes, step);
    for (const name of Object.keys(changes))
      if (this.fields[name]) this.fields[name].value = this.state[name];
    this.update(new Set(Object.keys(changes)));
  }

  /**
   * Write into the address what is shown already; the address is another view's after the close.
   *
   * @param {Object<string, string>} changes
   * @param {boolean} step true for a step that the back button undoes.
   */
  note(changes, step = false) {
    if (this.closed.aborted) return;
    Object.assign(this.state, changes);
    const told = Object.entries(this.state).filter(
      ([name, value]) => value !== this.defaults[name],
    );
    this.stage.keep(Object.fromEntries(told), step);
  }

  /**
   * Make a request that ends with the view, which shows its problems and that it is under way.
   *
   * @returns {NewestRequest}
   */
  request() {
    const report = (problem) => this.#report(request, problem);
    const request = new NewestRequest(report, (running) => this.#tell(request, running));
    this.closed.addEventListener("abort", () => request.abort());
    return request;
  }

  #tell(request, running) {
    if (running) this.#running.add(request);
    else this.#running.delete(request);
    this.stage.place.setAttribute("aria-busy", String(this.#running.size > 0));
  }

  #report(request, problem) {
    this.#problems.delete(request);
    if (problem !== null) this.#problems.set(request, problem);
    this.notice.show([...this.#problems.values()].pop() ?? null);
  }

  /** End what the view has under way. */
  close() {
    this.#closing.abort();
  }
}
