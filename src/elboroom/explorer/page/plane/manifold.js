import { element } from "../controls/element.js";
import { drawSheet } from "../picture/sheet.js";

const TILE = 46; // CSS pixels wanted for a decoded picture

/** The pictures that the visible part of a plane decodes to, behind everything else. */
export class Manifold {
  #canvas = element("canvas");
  #on = false;
  #shown = null;

  /**
   * @param {import("../backend/backend.js").Backend} backend
   * @param {object} run its description.
   * @param {import("./plane.js").Plane} plane
   * @param {import("../backend/newest_request.js").NewestRequest} request
   */
  constructor(backend, run, plane, request) {
    Object.assign(this, { backend, run, plane, request });
  }

  /**
   * Switch it on or off.
   *
   * @param {boolean} on
   * @param {string} axes
   */
  switch(on, axes) {
    this.#on = on && this.run.kind === "pictures";
    this.#shown = null;
    this.refresh(axes);
    this.plane.redraw();
  }

  /**
   * Decode what is visible now.
   *
   * @param {string} axes
   */
  refresh(axes) {
    if (!this.#on) return;
    const { side, ...square } = tilesOf(this.plane.axes, this.run.limits.manifold);
    const call = (signal) => this.backend.manifold(this.run.id, { axes, side, ...square }, signal);
    this.request.ask(call, ({ images }) => this.#show(images.flattened(), side, square));
  }

  #show(images, side, square) {
    drawSheet(this.#canvas, images, side, 0);
    this.#shown = square;
    this.plane.redraw();
  }

  /**
   * Draw it.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {import("./axes.js").Axes} axes
   */
  draw(context, axes) {
    if (!this.#on || this.#shown === null) return;
    const { left, right, bottom, top } = this.#shown;
    const [x, y] = axes.placeOf([left, top]);
    const [farX, farY] = axes.placeOf([right, bottom]);
    context.drawImage(this.#canvas, x, y, farX - x, farY - y);
  }
}

/** Cover what is visible by a square of tiles, whose edges stay in place as the view is panned. */
function tilesOf(axes, most) {
  const { left, right, bottom, top } = axes.rectangle;
  const longer = Math.max(right - left, top - bottom);
  const side = Math.min(most, Math.max(4, Math.ceil((longer * axes.scale) / TILE) + 1));
  const tile = longer / (side - 1);
  const [x, y] = [left, bottom].map((edge) => tile * Math.floor(edge / tile));
  return { side, left: x, right: x + side * tile, bottom: y, top: y + side * tile };
}
