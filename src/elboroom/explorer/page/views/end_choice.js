import { element } from "../controls/element.js";
import { NumberField } from "../controls/field.js";
import { drawPicture } from "../picture/picture.js";
import { nameOfEnd } from "./path_ends.js";

/** One end of a path: its picture, and the number of its row. */
export class EndChoice {
  /**
   * @param {string} name such as "A".
   * @param {object} run its description.
   * @param {(row: string) => void} use
   */
  constructor(name, run, use) {
    this.field = new NumberField(`${name}: row`, { min: 0, max: run.rows - 1 }, use);
    this.canvas = element("canvas", { class: "picture", role: "img", width: 1, height: 1 });
    this.element = element("div", { class: "end" }, this.canvas, this.field.element);
    this.name = name;
  }

  /**
   * Show an end; undefined hides it.
   *
   * @param {import("./path_ends.js").End|undefined} end
   */
  show(end) {
    this.element.hidden = end === undefined;
    if (end === undefined) return;
    this.field.value = end.row ?? "";
    this.canvas.setAttribute("aria-label", `End ${this.name}: ${nameOfEnd(end)}, decoded`);
  }

  /**
   * Draw what the end decodes to.
   *
   * @param {?import("../backend/number_array.js").NumberArray} picture tones (C, H, W).
   */
  draw(picture) {
    if (picture !== null) drawPicture(this.canvas, picture.values, picture.shape);
  }
}
