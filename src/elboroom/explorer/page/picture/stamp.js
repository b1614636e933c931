import { element } from "../controls/element.js";

/** A round dot that is stamped into pixels many times over, faster than a canvas draws circles. */
export class Stamp {
  /**
   * @param {number} radius in pixels.
   * @param {number} opacity 0 to 1.
   */
  constructor(radius, opacity) {
    this.half = Math.ceil(radius);
    this.size = 2 * this.half + 1;
    this.alpha = Float32Array.from({ length: this.size ** 2 }, (_, i) => {
      const [x, y] = [(i % this.size) - this.half, Math.floor(i / this.size) - this.half];
      return opacity * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
    });
  }

  /**
   * Lay the dot over pixels.
   *
   * @param {ImageData} image
   * @param {number} x of the middle, a whole number.
   * @param {number} y of the middle, a whole number.
   * @param {number[]} colour red, green and blue, 0 to 255.
   */
  press({ data, width, height }, x, y, colour) {
    const [left, top] = [x - this.half, y - this.half];
    for (let row = Math.max(0, -top); row < Math.min(this.size, height - top); row += 1) {
      for (
        let column = Math.max(0, -left);
        column < Math.min(this.size, width - left);
        column += 1
      ) {
        const alpha = this.alpha[row * this.size + column];
        if (alpha > 0) blend(data, 4 * ((top + row) * width + left + column), colour, alpha);
      }
    }
  }
}

function blend(data, place, [red, green, blue], alpha) {
  // α = α_above + α_below (1 − α_above)
  const total = alpha + (data[place + 3] / 255) * (1 - alpha);
  const share = alpha / total;
  data[place] += share * (red - data[place]);
  data[place + 1] += share * (green - data[place + 1]);
  data[place + 2] += share * (blue - data[place + 2]);
  data[place + 3] = 255 * total;
}

/**
 * Return the red, green and blue of a colour of CSS.
 *
 * @param {string} colour
 * @returns {number[]} 0 to 255.
 */
export function channelsOf(colour) {
  const context = element("canvas", { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
