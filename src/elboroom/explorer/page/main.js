import { Failure, openBackend } from "./backend/backend.js";
import { announce } from "./controls/announcement.js";
import { box, element } from "./controls/element.js";
import { SelectField } from "./controls/field.js";
import { counted, duration, fixed } from "./controls/number_text.js";
import { ProblemNotice } from "./controls/problem_notice.js";
import { openTheme } from "./controls/theme.js";
import { fragmentOf, readRoute, writeRoute } from "./route.js";
import { CompleteView } from "./views/complete_view.js";
import { InterpolateView } from "./views/interpolate_view.js";
import { MapView } from "./views/map_view.js";
import { RunView } from "./views/run_view.js";
import { SamplesView } from "./views/samples_view.js";
import { TableView } from "./views/table_view.js";

const VIEWS = {
  map: MapView,
  complete: CompleteView,
  interpolate: InterpolateView,
  samples: SamplesView,
  table: TableView,
  run: RunView,
};

/** The page: it shows the view that the address names. */
class Explorer {
  #run = null;
  #view = null;
  #name = "";
  #states = new Map();
  #turn = 0;

  constructor(backend, { runs, version }) {
    this.backend = backend;
    this.runs = runs;
    this.main = document.getElementById("view");
    const titles = runs.map(({ id, name }) => [id, name]);
    this.choice = new SelectField("Run", titles, (run) => this.#go({ run, view: this.#name }));
    document.getElementById("run-choice").append(this.choice.element);
    document.getElementById("version").textContent = `elboroom ${version}`;
    addEventListener("popstate", () => this.open());
  }

  /** Show what the address names. */
  async open() {
    const turn = (this.#turn += 1);
    try {
      const route = readRoute(location.hash);
      await this.#openRun(route.run || this.runs[0].id, turn);
      if (turn === this.#turn) this.#openView(route);
    } catch (problem) {
      if (turn === this.#turn) this.#explain(problem);
    }
  }

  async #openRun(id, turn) {
    this.choice.value = id;
    if (this.#run?.id === id) return;
    if (this.runs.every((run) => run.id !== id)) throw unknownRun(id);
    this.#closeView();
    this.main.replaceChildren(element("p", { class: "quiet" }, "Opening the run …"));
    const run = await this.backend.run(id);
    if (turn !== this.#turn) return;
    this.#run = run;
    this.#states = new Map();
  }

  #openView({ view, state }) {
    const { id, views } = this.#run;
    const isKnown = view === "" || views.includes(view);
    if (!isKnown) writeRoute({ run: id, view: views[0] }, false);
    this.#show(isKnown && view ? view : views[0], isKnown ? state : {});
  }

  #show(name, state) {
    if (name !== this.#name || this.#view === null) this.#startView(name);
    this.#keepState(name, state);
    this.#view.show(state);
  }

  #startView(name) {
    this.#closeView();
    const { title } = VIEWS[name];
    const place = element("div", { class: `view ${name}` });
    const heading = box("heading", element("h2", {}, title), this.#summary());
    this.main.replaceChildren(heading, place);
    this.#name = name;
    this.#showLinks();
    this.#view = new VIEWS[name](this.#stage(name, place));
    document.title = `${title} · ${this.#run.name} · elboroom`;
    announce(title);
  }

  #closeView() {
    this.#view?.close();
    this.#view = null;
  }

  #stage(name, place) {
    const { backend, runs } = this;
    const run = this.#run;
    const keep = (state, step) => this.#keep({ run: run.id, view: name, state }, step);
    const addressOf = (view, state) => fragmentOf({ run: run.id, view, state });
    return { place, backend, run, runs, keep, addressOf };
  }

  #keep(route, step) {
    this.#keepState(route.view, route.state);
    writeRoute(route, step);
  }

  /** Remember the state of a view, which its link leads back to. */
  #keepState(view, state) {
    this.#states.set(view, state);
    this.links[view].href = this.#addressOf(view);
  }

  #go(route) {
    writeRoute(route, true);
    this.open();
  }

  #showLinks() {
    const names = this.#run.views.filter((name) => name in VIEWS);
    this.links = Object.fromEntries(names.map((name) => [name, this.#link(name)]));
    const nav = document.getElementById("views");
    const focused = nav.contains(document.activeElement);
    nav.replaceChildren(...Object.values(this.links));
    const current = this.links[this.#name];
    nav.scrollLeft = current.offsetLeft - nav.offsetLeft; // if the screen is too narrow for all
    if (focused) current.focus();
  }

  #link(name) {
    const current = name === this.#name ? "page" : null;
    return element(
      "a",
      { href: this.#addressOf(name), "aria-current": current },
      VIEWS[name].title,
    );
  }

  #addressOf(view) {
    return fragmentOf({ run: this.#run.id, view, state: this.#states.get(view) });
  }

  #summary() {
    const { latents, likelihood, rows, part, noun, step } = this.#run;
    const parts = [
      counted(latents, "latent"),
      likelihood,
      `${fixed(rows, 0)} ${part} ${noun}s`,
      `step ${fixed(step, 0)}`,
    ];
    const busy = element("span", { class: "busy" }, "working …");
    return element("p", { class: "summary" }, parts.join(" · "), busy);
  }

  #explain(problem) {
    const notice = new ProblemNotice();
    this.#closeView();
    this.#run = null;
    this.choice.value = "";
    this.main.replaceChildren(notice.element);
    notice.show(problem);
  }
}

function unknownRun(id) {
  return new Failure({
    what: `There is no run ${id} here`,
    why: "the address names a run that is not served, or was not when the page was opened",
    fix: "choose another run above",
  });
}

function showWait(seconds) {
  const text = seconds === null ? "" : `The server is busy; asking again in ${duration(seconds)}.`;
  document.getElementById("wait").textContent = text;
}

function skipToView(event) {
  event.preventDefault(); // the fragment of the address is the route
  document.getElementById("view").focus();
}

async function start() {
  openTheme(document.getElementById("theme-choice"));
  document.querySelector(".skip").addEventListener("click", skipToView);
  const backend = await openBackend();
  backend.onWait(showWait);
  await new Explorer(backend, await backend.runs()).open();
}

function explainStart(problem) {
  const notice = new ProblemNotice();
  document.getElementById("view").replaceChildren(notice.element);
  notice.show(problem);
}

start().catch(explainStart);
