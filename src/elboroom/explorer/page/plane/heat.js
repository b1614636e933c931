import { element } from "../controls/element.js";
import { themeColour } from "../controls/theme.js";
import { contourSegments } from "./contours.js";
import { heatColours } from "./palette.js";

/** The contours in nats below the maximum: those of 1 to 4 standard deviations of a Gaussian. */
export const CONTOUR_DEPTHS = [0.5, 2, 4.5, 8];
/** Nats below the maximum that have a colour. */
export const DEEPEST = 10;

/** A log-density at the centres of the tiles of a square, as a heat map with contours. */
export class Heat {
  /**
   * @param {{left: number, right: number, bottom: number, top: number,
   *   log_density: import("../backend/number_array.js").NumberArray}} heat (n, n) in nats, from
   *   the bottom up.
   */
  constructor(heat) {
    this.heat = heat;
    this.side = heat.log_density.length;
    this.most = heat.log_density.values.reduce((most, value) => Math.max(most, value), -Infinity);
    this.segments = CONTOUR_DEPTHS.map((depth) =>
      contourSegments(heat.log_density.values, this.side, this.most - depth),
    );
  }

  /**
   * Draw it.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {import("./axes.js").Axes} axes
   */
  draw(context, axes) {
    this.#drawColours(context, axes);
    context.strokeStyle = themeColour("contour");
    context.lineWidth = 1;
    for (const segments of this.segments) this.#drawSegments(context, axes, segments);
  }

  #drawColours(context, axes) {
    const [x, y] = axes.placeOf(this.#point(-0.5, this.side - 0.5));
    const [farX, farY] = axes.placeOf(this.#point(this.side - 0.5, -0.5));
    context.drawImage(this.#pixels(), x, y, farX - x, farY - y);
  }

  #drawSegments(context, axes, segments) {
    context.beginPath();
    for (const [x, y, u, v] of segments) {
      context.moveTo(...axes.placeOf(this.#point(x, y)));
      context.lineTo(...axes.placeOf(this.#point(u, v)));
    }
    context.stroke();
  }

  #point(column, row) {
    const { left, right, bottom, top } = this.heat;
    const [across, up] = [(column + 0.5) / this.side, (row + 0.5) / this.side];
    return [left + across * (right - left), bottom + up * (top - bottom)];
  }

  #pixels() {
    const { side, most } = this;
    const [image, colours] = [new ImageData(side, side), heatColours()];
    const pixels = new Uint32Array(image.data.buffer);
    this.heat.log_density.values.forEach((value, i) => {
      const level = Math.max(0, Math.round(255 * (1 - (most - value) / DEEPEST)));
      pixels[(side - 1 - Math.floor(i / side)) * side + (i % side)] = colours[level];
    });
    const canvas = element("canvas", { width: side, height: side });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }
}
