/**
 * Write text from the bottom up, as beside an axis.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} x of its middle, in CSS pixels.
 * @param {number} y of the same.
 */
export function writeUpwards(context, text, x, y) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(text, 0, 0);
  context.restore();
}
