import { box, element } from "../controls/element.js";
import { button } from "../controls/field.js";
import { fixed } from "../controls/number_text.js";
import { THEME_CHANGED } from "../controls/theme.js";
import { classColours } from "./palette.js";

/** The classes with their colours, each with a box that shows or hides it. */
export class Legend {
  /**
   * @param {{label: number, name: string, rows: number}[]} classes
   * @param {AbortSignal} closed ends its listeners.
   * @param {(hide: string) => void} use takes the labels that are hidden, as in "1,3".
   */
  constructor(classes, closed, use) {
    this.classes = classes;
    this.use = use;
    this.items = classes.map((one) => this.#item(one));
    const list = box("legend-list", ...this.items.map(({ label }) => label));
    const parts = [element("legend", {}, "Classes"), list, this.#tools()];
    const hidden = classes.length === 0;
    this.element = element("fieldset", { class: "card legend", hidden }, ...parts);
    document.addEventListener(THEME_CHANGED, () => this.#colour(), { signal: closed });
    this.#colour();
  }

  /**
   * Show which classes are hidden.
   *
   * @param {Set<number>} hidden labels.
   */
  show(hidden) {
    this.classes.forEach(({ label }, i) => {
      this.items[i].input.checked = !hidden.has(label);
    });
  }

  #item({ name, rows }) {
    const change = () => this.#tell();
    const input = element("input", { type: "checkbox", checked: true, onchange: change });
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    const count = element("span", { class: "count" }, fixed(rows, 0));
    const parts = [input, swatch, element("span", {}, name), count];
    return { input, swatch, label: element("label", { class: "check" }, ...parts) };
  }

  #tools() {
    const none = this.classes.map(({ label }) => label).join(",");
    return box(
      "tools",
      button("All", () => this.use("")),
      button("None", () => this.use(none)),
    );
  }

  #tell() {
    const hidden = this.classes.filter((_, i) => !this.items[i].input.checked);
    this.use(hidden.map(({ label }) => label).join(","));
  }

  #colour() {
    const colours = classColours(this.classes.length);
    this.items.forEach(({ swatch }, i) => swatch.style.setProperty("background-color", colours[i]));
  }
}
