import { bitsOf, maskOf, textOfBits, textOfMask } from "./mask.js";

/** The brushes, by what they do to a pixel. */
export const BRUSH_TITLES = { reveal: "Reveal", unseen: "Hide", white: "White", black: "Black" };

const NONE = 0;
const BLACK = 1;
const WHITE = 2;

/** A picture of which a part is seen, with pixels that were painted over it. */
export class Sketch {
  /**
   * @param {number[]} shape [C, H, W].
   * @param {{low: number, high: number}} tones the values that are black and white.
   */
  constructor([channels, height, width], tones) {
    Object.assign(this, { channels, height, width, tones });
    this.size = height * width;
    this.seen = new Uint8Array(this.size);
    this.ink = new Uint8Array(this.size);
    this.takeBlank();
  }

  /** The shape of the picture, [C, H, W]. */
  get shape() {
    return [this.channels, this.height, this.width];
  }

  /** Put nothing under the mask. */
  takeBlank() {
    this.picture = null;
    this.known = new Uint8Array(this.size);
  }

  /**
   * Put a picture under the mask.
   *
   * @param {Float32Array} values (C, H, W).
   * @param {?Uint8Array} missing (C, H, W), 1 where there is no value.
   */
  takePicture(values, missing) {
    this.picture = values;
    this.known = Uint8Array.from({ length: this.size }, (_, i) =>
      Number(!this.#isMissing(missing, i)),
    );
  }

  #isMissing(missing, pixel) {
    if (missing === null) return false;
    return Array.from({ length: this.channels }, (_, c) => missing[c * this.size + pixel]).some(
      Boolean,
    );
  }

  /**
   * Set what is seen and painted, as a text has it.
   *
   * @param {string} mask
   * @param {string} ink
   */
  restore(mask, ink) {
    const bits = bitsOf(ink, 2 * this.size);
    this.ink = Uint8Array.from(
      { length: this.size },
      (_, i) => bits[i] * (1 + bits[this.size + i]),
    );
    this.seen = maskOf(mask, this.height, this.width).map(
      (seen, i) => seen & (this.known[i] | Number(this.ink[i] !== NONE)),
    );
  }

  /** The mask of what is seen, as a text. */
  get maskText() {
    return textOfMask(this.seen, this.height, this.width);
  }

  /** The painted pixels, as a text; empty if there are none. */
  get inkText() {
    if (this.ink.every((ink) => ink === NONE)) return "";
    const [painted, white] = [NONE, BLACK].map((least) =>
      this.ink.map((ink) => Number(ink > least)),
    );
    return textOfBits(Uint8Array.from([...painted, ...white]));
  }

  /**
   * Touch the pixels within a brush.
   *
   * @param {string} brush a name of BRUSH_TITLES.
   * @param {number} column of the middle.
   * @param {number} row of the middle.
   * @param {number} width of the brush, in pixels.
   * @returns {boolean} true if something has changed.
   */
  touch(brush, column, row, width) {
    const radius = width / 2;
    const reach = Math.floor(radius);
    let changed = false;
    for (let y = Math.max(0, row - reach); y <= Math.min(this.height - 1, row + reach); y += 1) {
      for (
        let x = Math.max(0, column - reach);
        x <= Math.min(this.width - 1, column + reach);
        x += 1
      ) {
        if (Math.hypot(x - column, y - row) <= radius)
          changed = this.#set(brush, y * this.width + x) || changed;
      }
    }
    return changed;
  }

  #set(brush, pixel) {
    const seen = Number(brush !== "unseen" && (brush !== "reveal" || this.known[pixel]));
    const ink = { white: WHITE, black: BLACK }[brush] ?? NONE;
    const changed = seen !== this.seen[pixel] || ink !== this.ink[pixel];
    [this.seen[pixel], this.ink[pixel]] = [seen, ink];
    return changed;
  }

  /** The values (C · H · W), finite, with what is painted. */
  get values() {
    const { low, high } = this.tones;
    return Float32Array.from({ length: this.channels * this.size }, (_, i) => {
      const ink = this.ink[i % this.size];
      if (ink !== NONE) return ink === WHITE ? high : low;
      return this.picture === null || !this.known[i % this.size] ? low : this.picture[i];
    });
  }

  /** The mask of the values (C · H · W), 1 where one is seen. */
  get seenValues() {
    return Array.from({ length: this.channels * this.size }, (_, i) => this.seen[i % this.size]);
  }
}
