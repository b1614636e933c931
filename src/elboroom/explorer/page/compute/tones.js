/**
 * Compute the tones of pictures, 0 to 255; a missing value is black.
 *
 * @param {ArrayLike<number>} values
 * @param {{low: number, high: number}} ends the values drawn black and white.
 * @returns {Uint8Array}
 */
export function tonesOf(values, { low, high }) {
  // This array rounds, and cuts at its ends; NaN becomes 0.
  const drawn = Uint8ClampedArray.from(values, (value) => (255 * (value - low)) / (high - low));
  return new Uint8Array(drawn.buffer);
}
