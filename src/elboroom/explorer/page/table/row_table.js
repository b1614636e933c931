import { box, element } from "../controls/element.js";
import { button } from "../controls/field.js";
import { fixed } from "../controls/number_text.js";

/** The most rows of a page; the backend gives fewer of very long rows. */
export const PAGE = 25;

/** The rows of the table, a page at a time, of which one is chosen. */
export class RowTable {
  /**
   * @param {{rows: number, part: string}} run its description.
   * @param {(row: string) => void} choose is told of the row that is chosen.
   * @param {(first: string) => void} turn is told of the first row of another page.
   */
  constructor(run, choose, turn) {
    this.run = run;
    this.choose = choose;
    this.caption = element("caption", {});
    this.head = element("thead", {});
    this.body = element("tbody", {});
    const table = element("table", { class: "rows" }, this.caption, this.head, this.body);
    const attributes = { class: "scrolled", tabindex: 0, role: "region" };
    this.scroller = element("div", { ...attributes, "aria-label": "Rows of the table" }, table);
    this.steps = [
      button("Previous rows", () => turn(String(Math.max(0, this.first - this.count)))),
      button("Next rows", () => turn(String(this.first + this.count))),
    ];
    this.element = box("row-table", this.scroller, box("tools", ...this.steps));
  }

  /**
   * Show a page of rows.
   *
   * @param {{first: number, origins: string[], rows: (string|number|null)[][]}} page
   * @param {object[]} columns descriptions of all columns.
   * @param {number[]} places of the columns that are shown.
   */
  show({ first, origins, rows }, columns, places) {
    this.first = first;
    this.count = rows.length;
    this.caption.textContent =
      `Rows ${fixed(first, 0)} to ${fixed(first + rows.length - 1, 0)} ` +
      `of ${fixed(this.run.rows, 0)} of the ${this.run.part} part`;
    const heads = places.map((place) => headOf(columns[place]));
    this.head.replaceChildren(element("tr", {}, element("th", { scope: "col" }, "Row"), ...heads));
    this.lines = rows.map((row, i) => this.#line(first + i, origins[i], row, columns, places));
    this.body.replaceChildren(...this.lines);
    this.steps[0].disabled = first === 0;
    this.steps[1].disabled = first + rows.length >= this.run.rows;
    this.mark(this.chosen);
  }

  #line(number, origin, row, columns, places) {
    const attributes = { class: "pick-row", "aria-label": `Row ${number}, ${origin}` };
    const pick = button(String(number), () => this.choose(String(number)), attributes);
    const cells = places.map((place) => cellOf(row[place], columns[place]));
    return element("tr", {}, element("th", { scope: "row" }, pick), ...cells);
  }

  /**
   * Return whether a row is on the page.
   *
   * @param {string} row
   * @returns {boolean}
   */
  has(row) {
    return Number(row) >= this.first && Number(row) < this.first + this.count;
  }

  /**
   * Mark the chosen row, if it is on the page.
   *
   * @param {string} row
   */
  mark(row) {
    this.chosen = row;
    (this.lines ?? []).forEach((line, i) => {
      const chosen = String(this.first + i) === row;
      if (chosen) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
      if (chosen) this.#scrollTo(line);
    });
  }

  /** Scroll the table, and not the page, until a line is in sight below the head. */
  #scrollTo({ offsetTop: top, offsetHeight: height }) {
    const [head, shown] = [this.head.offsetHeight, this.scroller.clientHeight];
    const { scrollTop } = this.scroller;
    const inSight = top >= scrollTop + head && top + height <= scrollTop + shown;
    if (!inSight) this.scroller.scrollTop = top - (head + shown) / 2;
  }
}

function headOf(column) {
  return element("th", { scope: "col", class: classOf(column) }, column.name);
}

function cellOf(entry, column) {
  if (entry !== null) return element("td", { class: classOf(column) }, String(entry));
  const missing = element("span", { class: "unseen" }, "missing");
  return element("td", { class: `missing ${classOf(column) ?? ""}` }, missing);
}

function classOf({ levels, type }) {
  return levels.length === 0 && type !== "date" ? "numeric" : null;
}
