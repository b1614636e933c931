import { savableFigure } from "../controls/download.js";
import { element, freshId } from "../controls/element.js";
import { CheckField } from "../controls/field.js";
import { significant } from "../controls/number_text.js";
import { DensityChart, densityText } from "./density_chart.js";

const LONGEST = 200; // characters of an entry

/** One entry of a row: its value, which can be changed or hidden, and its density. */
export class EntryPanel {
  /**
   * @param {object} column its description.
   * @param {number} place of the column.
   * @param {import("./row_entries.js").RowEntries} entries those of the row.
   * @param {() => void} changed is told when the entry was changed, hidden or shown.
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(column, place, entries, changed, closed) {
    Object.assign(this, { column, place, entries });
    const edit = () => this.#change(() => entries.change(place, this.input.value), changed);
    this.input = inputOf(column, edit);
    this.seen = new CheckField("seen", (on) =>
      this.#change(() => entries.hide(place, on === ""), changed),
    );
    this.seen.input.setAttribute("aria-label", `${column.name} is seen`);
    this.chart = new DensityChart(column, closed);
    this.summary = element("span", {});
    const figure = savableFigure(this.chart.canvas, `density of ${column.name}`, this.summary);
    const title = element("label", { class: "entry-name", for: this.input.id }, column.name);
    const value = element("div", { class: "entry-value" }, this.input, this.seen.element);
    this.element = element("div", { class: "entry" }, title, value, figure);
  }

  #change(apply, changed) {
    apply();
    this.refresh();
    changed();
  }

  /** Show the entry as it is now. */
  refresh() {
    const entry = this.entries.entry(this.place);
    const hidden = this.entries.isHidden(this.place);
    this.input.value = entry ?? "";
    this.seen.value = entry !== null && !hidden ? "on" : "";
    this.seen.input.disabled = entry === null;
    this.element.classList.toggle("hidden-entry", entry === null || hidden);
    this.element.classList.toggle("changed-entry", this.entries.isChanged(this.place));
  }

  /**
   * Show the density of the entry.
   *
   * @param {object} density of the backend.
   */
  show(density) {
    const hidden = this.entries.isHidden(this.place);
    this.chart.show(density, hidden);
    const { surprise } = density;
    const nats = surprise === null ? "" : `; surprise ${significant(surprise, 2)} nats`;
    this.summary.textContent = densityText(this.column, density) + nats;
  }
}

function inputOf(column, edit) {
  const id = freshId();
  if (column.levels.length > 0) {
    const options = ["", ...column.levels].map((level) =>
      element("option", { value: level }, level || "missing"),
    );
    return element("select", { id, onchange: edit }, ...options);
  }
  const attributes = { id, placeholder: "missing", maxlength: LONGEST, onchange: edit };
  if (column.type === "date") return element("input", { type: "text", ...attributes });
  return element("input", { type: "number", step: "any", ...attributes });
}
