import { themeColour } from "../controls/theme.js";

/**
 * Return the axes of the ellipse of one standard deviation.
 *
 * @param {number[][]} covariance (2, 2), symmetric.
 * @returns {{radii: number[], angle: number}} the radii along and across the angle, which is in
 *   radians from the first axis.
 */
export function ellipseOf([[a, b], [, d]]) {
  const [middle, half] = [(a + d) / 2, Math.hypot((a - d) / 2, b)];
  const radii = [middle + half, middle - half].map((variance) => Math.sqrt(Math.max(0, variance)));
  return { radii, angle: Math.atan2(2 * b, a - d) / 2 };
}

/**
 * Draw the ellipses of one and two standard deviations, and a cross at the mean.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {import("./axes.js").Axes} axes
 * @param {{mean: number[], covariance: number[][]}} gaussian
 * @param {string} colour
 */
export function drawEllipses(context, axes, { mean, covariance }, colour) {
  const { radii, angle } = ellipseOf(covariance);
  const place = axes.placeOf(mean);
  for (const [deviations, width] of [
    [1, 2],
    [2, 1.5],
  ]) {
    const [along, across] = radii.map((radius) => deviations * radius * axes.scale);
    context.beginPath();
    context.ellipse(...place, along, across, -angle, 0, 2 * Math.PI);
    strokeWithHalo(context, colour, width);
  }
  drawCross(context, place, colour);
}

/**
 * Stroke the path of a context so that it stands out from whatever lies below.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {number} width in CSS pixels.
 */
export function strokeWithHalo(context, colour, width) {
  context.strokeStyle = themeColour("halo");
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function drawCross(context, [x, y], colour) {
  context.beginPath();
  context.moveTo(x - 4, y);
  context.lineTo(x + 4, y);
  context.moveTo(x, y - 4);
  context.lineTo(x, y + 4);
  strokeWithHalo(context, colour, 1.5);
}
