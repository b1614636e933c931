import { announce } from "../controls/announcement.js";
import { box, card, element } from "../controls/element.js";
import { SelectField, button } from "../controls/field.js";
import { RowChoice } from "../controls/row_choice.js";
import { EntryPanel } from "../table/entry_panel.js";
import { JointPlot } from "../table/joint_plot.js";
import { RowEntries } from "../table/row_entries.js";
import { PAGE, RowTable } from "../table/row_table.js";
import { SEED, either, listOf, oneOf, rowOf, wholeNumber } from "./address_rules.js";
import { Findings, evidenceInWords, methodTitles } from "./findings.js";
import { View } from "./view.js";

const HINT =
  "Change an entry, or hide it. Each density is that given the other seen entries; " +
  "the mark is the entry itself, dashed if it is hidden.";
const BLANK = "blank"; // the row of which nothing is known
const UNCHANGED = { set: "", hide: "", only: "" }; // the entries as the table has them
const ASKED = [...Object.keys(UNCHANGED), "across", "up", "method", "seed"];

/** A table: its rows, the density of each entry of one given the others, and of two together. */
export class TableView extends View {
  static title = "Table";

  constructor(stage) {
    super(stage, defaultsOf(stage.run), rulesOf(stage.run));
    this.joint = new JointPlot(this.run.name, this.closed);
    this.findings = new Findings(`entries by ${this.run.name}`);
    const names = ["columns", "page", "row", "entries"];
    this.requests = Object.fromEntries(names.map((name) => [name, this.request()]));
    this.fields = {
      row: new RowChoice(this.run, (row) => this.#pick(row || BLANK)),
      method: new SelectField("Method", methodTitles(this.run.methods), (method) =>
        this.change({ method }),
      ),
    };
    this.panels = [];
  }

  update(changed) {
    if (this.columns) this.#update(changed);
    else this.#load();
  }

  #load() {
    const call = (signal) => this.backend.columns(this.run.id, signal);
    this.requests.columns.ask(call, ({ columns }) => this.#build(columns));
  }

  #build(columns) {
    this.columns = columns;
    this.entries = new RowEntries(columns);
    this.rows = new RowTable(
      this.run,
      (row) => this.#pick(row),
      (first) => this.change({ first }),
    );
    this.addRules(columnRules(columns, this.run.limits.columns));
    this.#makeFields();
    this.panelPlace = box("entries");
    const joint = card("Two columns together", this.#pairFields(), this.joint.element);
    joint.hidden = columns.length < 2;
    const side = box("side", joint, this.findings.element);
    this.stage.place.append(this.#rowCard(), this.#entryCard(), side);
    this.#update(new Set(Object.keys(this.defaults)));
  }

  #makeFields() {
    const titles = this.columns.map(({ name }, i) => [String(i), name]);
    const [across, up] = usualPair(this.columns);
    Object.assign(this.defaults, { across, up });
    Object.assign(this.state, { across: this.state.across || across, up: this.state.up || up });
    this.fields.across = new SelectField("Across", titles, (value) => this.#pair("across", value));
    this.fields.up = new SelectField("Up", titles, (value) => this.#pair("up", value));
    this.fields.columns = new SelectField("Columns", this.#windows(), (value) =>
      this.change({ columns: value }),
    );
    for (const [name, field] of Object.entries(this.fields)) field.value = this.state[name];
  }

  /** The titles of the groups of columns that are shown together, by the first of each. */
  #windows() {
    const size = this.run.limits.columns;
    const firsts = this.columns.map((_, i) => i).filter((i) => i % size === 0);
    const last = (first) => this.columns[Math.min(first + size, this.columns.length) - 1].name;
    return firsts.map((first) => [String(first), `${this.columns[first].name} to ${last(first)}`]);
  }

  #pair(name, value) {
    const [other, before] = [name === "up" ? "across" : "up", this.state[name]];
    const swapped = this.state[other] === value ? { [other]: before } : {};
    this.change({ [name]: value, ...swapped });
  }

  #pairFields() {
    return box("fields", this.fields.across.element, this.fields.up.element);
  }

  #rowCard() {
    const choice = box("fields", this.fields.row.element, this.fields.columns.element);
    this.fields.columns.element.hidden = this.columns.length <= this.run.limits.columns;
    const made = card("Rows", choice, this.rows.element);
    made.classList.add("row-card");
    return made;
  }

  #entryCard() {
    const hideAll = (hidden) => () => this.#edit(() => this.entries.hideAll(hidden));
    const reset = () => this.change(UNCHANGED);
    const tools = box(
      "fields",
      this.fields.method.element,
      button("Hide all", hideAll(true)),
      button("Show all", hideAll(false)),
      button("As in the table", reset),
    );
    this.origin = element("p", { class: "quiet" });
    const made = card("Entries", this.origin, tools, this.panelPlace);
    made.classList.add("entry-card");
    return made;
  }

  #edit(apply) {
    apply();
    this.change(this.entries.state);
  }

  #pick(row) {
    const turned = row === BLANK || this.rows.has(row) ? {} : { first: row };
    this.change({ row, ...turned, ...UNCHANGED });
  }

  #update(changed) {
    if (changed.has("columns")) this.#makePanels();
    if (changed.has("columns") || this.rows.first !== this.#first) this.#loadPage();
    this.rows.mark(this.state.row);
    if (changed.has("row")) this.#loadRow();
    else if (changed.has("columns") || ASKED.some((name) => changed.has(name))) this.#restore();
  }

  /** The first row of the page: that which the address says, or that of the chosen row's page. */
  get #first() {
    const { first, row } = this.state;
    return first ? Number(first) : PAGE * Math.floor((Number(row) || 0) / PAGE);
  }

  /** The places of the columns that are shown. */
  get #places() {
    const first = Number(this.state.columns);
    const all = this.columns.map((_, i) => i);
    return all.slice(first, first + this.run.limits.columns);
  }

  #makePanels() {
    const note = () => this.#noteEntries();
    this.panels = this.#places.map(
      (place) => new EntryPanel(this.columns[place], place, this.entries, note, this.closed),
    );
    this.panelPlace.replaceChildren(...this.panels.map((panel) => panel.element));
  }

  #noteEntries() {
    this.note(this.entries.state, true);
    this.#infer();
  }

  #loadPage() {
    const query = { first: this.#first, count: PAGE };
    const call = (signal) => this.backend.table(this.run.id, query, signal);
    const show = (page) => this.rows.show(page, this.columns, this.#places);
    this.requests.page.ask(call, show);
  }

  #loadRow() {
    const { row } = this.state;
    if (row === BLANK)
      return this.#takeRow(
        this.columns.map(() => null),
        `A row of which nothing is known. ${HINT}`,
      );
    const query = { first: row, count: 1 };
    const call = (signal) => this.backend.table(this.run.id, query, signal);
    this.requests.row.ask(call, ({ rows, origins }) =>
      this.#takeRow(rows[0], `${origins[0]}. ${HINT}`),
    );
  }

  #takeRow(row, words) {
    this.origin.textContent = words;
    this.entries.take(row);
    this.#restore();
  }

  #restore() {
    this.entries.restore(this.state);
    for (const panel of this.panels) panel.refresh();
    this.#infer();
  }

  #infer() {
    const { across, up, method, seed } = this.state;
    const [places, pair] = [this.#places, [Number(across), Number(up)]];
    const nameOf = (place) => this.columns[place].name;
    const question = {
      ...this.entries.question,
      columns: places.map(nameOf),
      pair: this.columns.length > 1 ? pair.map(nameOf) : null,
      method,
      seed: Number(seed),
    };
    const started = performance.now();
    const call = (signal) => this.backend.entries(this.run.id, question, signal);
    this.requests.entries.ask(call, (inferred) => this.#show(inferred, places, pair, started));
  }

  #show(inferred, places, pair, started) {
    this.panels.forEach((panel, i) => panel.place === places[i] && panel.show(inferred.columns[i]));
    if (inferred.pair)
      this.joint.show(
        inferred.pair,
        pair.map((place) => this.columns[place]),
      );
    this.findings.show(inferred, (performance.now() - started) / 1000);
    announce(evidenceInWords(inferred.log_evidence));
  }
}

function defaultsOf(run) {
  const shown = { row: "0", first: "", columns: "0", across: "", up: "" };
  return { ...shown, ...UNCHANGED, method: run.methods[0].name, seed: "0" };
}

function rulesOf(run) {
  const later = { allows: () => true, words: "" }; // until the columns are known
  return {
    row: either(rowOf(run), oneOf([BLANK])),
    first: rowOf(run),
    method: oneOf(run.methods.map(({ name }) => name)),
    seed: SEED,
    ...Object.fromEntries(
      ["columns", "across", "up", "set", "hide", "only"].map((n) => [n, later]),
    ),
  };
}

/** Return the rules of places of columns, of which so many are shown at a time. */
function columnRules(columns, shown) {
  const place = wholeNumber(0, columns.length - 1);
  const firsts = [...columns.keys()].filter((i) => i % shown === 0).map(String);
  return {
    columns: oneOf(firsts),
    across: place,
    up: place,
    set: listOf(editOf(place), ";"),
    hide: listOf(place, ","),
    only: either(listOf(place, ","), oneOf(["none"])),
  };
}

function editOf(place) {
  const allows = (text) => {
    const [which, value] = text.split(":");
    return value !== undefined && place.allows(which) && isEncoded(value);
  };
  return { allows, words: "PLACE:ENTRY" };
}

function isEncoded(text) {
  try {
    return decodeURIComponent(text) !== null;
  } catch {
    return false;
  }
}

/** Return the first two columns of numbers, or of anything. */
function usualPair(columns) {
  const numbers = columns.map((_, i) => i).filter((i) => columns[i].levels.length === 0);
  return [...numbers, ...columns.keys()]
    .filter((place, i, all) => all.indexOf(place) === i)
    .slice(0, 2)
    .map(String);
}
