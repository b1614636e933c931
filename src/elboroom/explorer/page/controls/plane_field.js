import { element } from "./element.js";
import { NumberField, SelectField } from "./field.js";

const TITLES = [
  ["pca", "Principal components"],
  ["pair", "Two latents"],
];

/** The choice of a plane; its value is "pca" or two latents counted from 0, as in "0,1". */
export class PlaneField {
  /**
   * @param {object} run its description.
   * @param {(axes: string) => void} use
   */
  constructor(run, use) {
    const bounds = { min: 1, max: run.latents };
    const change = () => this.#valid() && use(this.value);
    this.kind = new SelectField("Axes", TITLES, () => this.#choose(use));
    this.pair = ["Across: z", "Up: z"].map((label) => new NumberField(label, bounds, change));
    this.element = element(
      "div",
      { class: "fields" },
      ...[this.kind, ...this.pair].map((field) => field.element),
    );
    this.element.hidden = run.latents < 3;
  }

  get value() {
    if (this.kind.value === "pca") return "pca";
    return this.pair.map((field) => Number(field.value) - 1).join(",");
  }

  set value(axes) {
    this.kind.value = axes === "pca" ? "pca" : "pair";
    const latents = axes === "pca" ? [0, 1] : axes.split(",").map(Number);
    this.pair.forEach((field, i) => {
      field.value = latents[i] + 1;
      field.element.hidden = axes === "pca";
    });
  }

  #choose(use) {
    this.value = this.value;
    use(this.value);
  }

  #valid() {
    return this.kind.value === "pca" || this.pair[0].value !== this.pair[1].value;
  }
}
