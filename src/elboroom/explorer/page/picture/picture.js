import { element } from "../controls/element.js";

const OPAQUE = 0xff000000; // of a pixel whose bytes are red, green, blue, alpha

/**
 * Turn tones into pixels.
 *
 * @param {Uint8Array|Uint8ClampedArray} tones (C, H, W), 0 to 255; C is 1 or 3.
 * @param {number[]} shape [C, H, W].
 * @returns {ImageData}
 */
export function pixelsOf(tones, [channels, height, width]) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [green, blue] = channels === 3 ? [pixels.length, 2 * pixels.length] : [0, 0];
  for (let i = 0; i < pixels.length; i += 1) {
    pixels[i] = OPAQUE | (tones[i + blue] << 16) | (tones[i + green] << 8) | tones[i];
  }
  return image;
}

/**
 * Turn values into tones; a missing value is black.
 *
 * @param {Float32Array} values in units of the data.
 * @param {{low: number, high: number}} tones the values that are black and white.
 * @returns {Uint8ClampedArray}
 */
export function tonesOf(values, { low, high }) {
  const tones = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i += 1) tones[i] = (255 * (values[i] - low)) / (high - low);
  return tones;
}

/**
 * Draw a picture on a canvas, pixel for pixel.
 *
 * @param {HTMLCanvasElement} canvas takes the picture's size.
 * @param {Uint8Array|Uint8ClampedArray} tones (C, H, W).
 * @param {number[]} shape [C, H, W].
 */
export function drawPicture(canvas, tones, shape) {
  [canvas.height, canvas.width] = shape.slice(1);
  canvas.getContext("2d").putImageData(pixelsOf(tones, shape), 0, 0);
}

/**
 * Make a canvas for a picture.
 *
 * @param {string} label the alternative in words.
 * @returns {HTMLCanvasElement}
 */
export function pictureCanvas(label) {
  return element("canvas", {
    class: "picture",
    role: "img",
    "aria-label": label,
    width: 1,
    height: 1,
  });
}
