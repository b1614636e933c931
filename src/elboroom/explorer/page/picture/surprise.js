import { element } from "../controls/element.js";
import { significant } from "../controls/number_text.js";
import { surpriseColours } from "../plane/palette.js";

const LEAST_SCALE = 2; // nats at the end of the scale, however small the surprise

/**
 * Sum the surprise over the channels of each pixel.
 *
 * @param {import("../backend/number_array.js").NumberArray} surprise (C, H, W) in nats, NaN where
 *   unseen.
 * @returns {{values: Float32Array, most: number}} values (H · W), and the end of their scale.
 */
export function surpriseOf({ values: all, shape: [channels, height, width] }) {
  const values = new Float32Array(height * width);
  for (let i = 0; i < channels * values.length; i += 1) values[i % values.length] += all[i];
  const most = values.reduce((most, value) => (value > most ? value : most), LEAST_SCALE);
  return { values, most };
}

/** The scale of the colours of the surprise. */
export class SurpriseKey {
  constructor() {
    this.ramp = element("canvas", { width: 256, height: 1, class: "ramp", "aria-hidden": "true" });
    this.most = element("span");
    this.element = element("p", { class: "surprise-key", hidden: true }, "0", this.ramp, this.most);
  }

  /**
   * Show the scale; null hides it.
   *
   * @param {?{most: number}} surprise
   */
  show(surprise) {
    this.element.hidden = surprise === null;
    if (surprise === null) return;
    this.most.textContent = `${significant(surprise.most, 2)} nats`;
    const image = new ImageData(256, 1);
    new Uint32Array(image.data.buffer).set(surpriseColours());
    this.ramp.getContext("2d").putImageData(image, 0, 0);
  }
}
