import { Failure } from "../backend/backend.js";
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
 * What the address says against a rule is not shown, but explained, and taken out of the address.
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
   * @param {Object<string, import("./address_rules.js").Rule>} rules of what else it may say.
   */
  constructor(stage, defaults, rules) {
    this.stage = stage;
    this.run = stage.run;
    this.backend = stage.backend;
    this.defaults = defaults;
    this.rules = rules;
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
    const refused = this.#refuse(wanted);
    const changed = Object.keys(wanted).filter(
      (name) => !this.shown || wanted[name] !== this.state[name],
    );
    this.state = wanted;
    this.shown = true;
    for (const [name, field] of Object.entries(this.fields)) field.value = wanted[name];
    this.update(new Set(changed));
    if (refused) this.note({});
  }

  /** Return to the defaults where a rule does not allow a state, and explain it. */
  #refuse(wanted) {
    const refused = Object.keys(wanted).filter(
      (name) => wanted[name] !== this.defaults[name] && !this.rules[name].allows(wanted[name]),
    );
    const found = refused.map(
      (name) => `found ${name}=${wanted[name]}; expected ${this.rules[name].words}`,
    );
    for (const name of refused) wanted[name] = this.defaults[name];
    this.#report(this.rules, found.length > 0 ? wrongAddress(found.join(". ")) : null);
    return refused.length > 0;
  }

  /**
   * Add rules that are known only now, and return to the defaults where they do not allow the state.
   *
   * @param {Object<string, import("./address_rules.js").Rule>} rules
   */
  addRules(rules) {
    Object.assign(this.rules, rules);
    if (this.#refuse(this.state)) this.note({});
  }

  /**
   * Change some of the state, and show it.
   *
   * @param {Object<string, string>} changes
   * @param {boolean} step true for a step that the back button undoes.
   */
  change(changes, step = true) {
    this.#report(this.rules, null);
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

  #report(source, problem) {
    this.#problems.delete(source);
    if (problem !== null) this.#problems.set(source, problem);
    this.notice.show([...this.#problems.values()].pop() ?? null);
  }

  /** End what the view has under way. */
  close() {
    this.#closing.abort();
  }
}

function wrongAddress(why) {
  return new Failure({
    what: "The address asks for what is not there",
    why,
    fix: "the usual is shown instead; choose in the view",
  });
}
