import { element } from "./element.js";
import { NumberField, button } from "./field.js";

/** The choice of a row: by its number, the next one, one at random, or none. */
export class RowChoice {
  /**
   * @param {{rows: number, noun: string}} run
   * @param {(row: string) => void} use
   */
  constructor(run, use) {
    this.rows = run.rows;
    this.field = new NumberField(`Test ${run.noun}`, { min: 0, max: run.rows - 1 }, use);
    const next = button("Next", () => use(String((Number(this.value || -1) + 1) % this.rows)));
    const random = button("Random", () => use(String(Math.floor(this.rows * Math.random()))));
    const blank = button("Blank", () => use(""));
    this.element = element("div", { class: "row-choice" }, this.field.element, next, random, blank);
  }

  get value() {
    return this.field.value;
  }

  set value(row) {
    this.field.value = row === "blank" ? "" : row;
  }
}
