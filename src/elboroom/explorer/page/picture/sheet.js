import { pixelsOf } from "./picture.js";

const GAP = 2; // pixels of the pictures
const FULL_ROWS = 1.2; // factor on the worth of a layout without gaps

/**
 * Draw many pictures on one canvas, row by row.
 *
 * @param {HTMLCanvasElement} canvas takes the size of the sheet.
 * @param {import("../backend/number_array.js").NumberArray} images tones (n, C, H, W).
 * @param {number} columns
 * @param {number} gap between pictures, in their pixels.
 */
export function drawSheet(canvas, images, columns, gap = GAP) {
  const [count, , height, width] = images.shape;
  canvas.width = columns * (width + gap) - gap;
  canvas.height = Math.ceil(count / columns) * (height + gap) - gap;
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; i += 1) {
    const { values, shape } = images.item(i);
    const [row, column] = [Math.floor(i / columns), i % columns];
    context.putImageData(pixelsOf(values, shape), column * (width + gap), row * (height + gap));
  }
}

/**
 * Return the layout in which pictures are largest within a rectangle; full rows count as larger.
 *
 * @param {number} count of pictures, which are about as wide as high.
 * @param {number} width of the rectangle, in CSS pixels.
 * @param {number} height of the rectangle, in CSS pixels.
 * @returns {{columns: number, width: number}} of the sheet, in CSS pixels.
 */
export function layoutFor(count, width, height) {
  const layouts = Array.from({ length: count }, (_, i) => layoutOf(count, i + 1, width, height));
  return layouts.reduce((best, layout) => (layout.worth > best.worth ? layout : best));
}

function layoutOf(count, columns, width, height) {
  const picture = Math.min(width / columns, height / Math.ceil(count / columns));
  const worth = picture * (count % columns === 0 ? FULL_ROWS : 1);
  return { columns, width: picture * columns, worth };
}
