import { element, freshId } from "../controls/element.js";
import { THEME_CHANGED, themeColour } from "../controls/theme.js";
import { surpriseColours } from "../plane/palette.js";
import { Brush } from "./brush.js";
import { drawPicture, tonesOf } from "./picture.js";

const HATCH = 5; // CSS pixels between two lines over what is unseen

/**
 * The canvas on which a sketch is drawn and painted.
 *
 * It dispatches "paint" as pixels change, "stroke" when a stroke ends, and "point" (detail: a pixel,
 * or null) as the brush moves.
 */
export class SketchCanvas extends EventTarget {
  #picture = element("canvas");
  #heat = element("canvas");
  #frame = 0;

  /**
   * @param {import("./sketch.js").Sketch} sketch
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(sketch, closed) {
    super();
    this.sketch = sketch;
    this.surprise = null;
    this.cursor = null;
    this.#build();
    this.brush = new Brush(this);
    const sizes = new ResizeObserver(() => this.#resize());
    sizes.observe(this.canvas);
    closed.addEventListener("abort", () => sizes.disconnect());
    document.addEventListener(THEME_CHANGED, () => this.redraw(), { signal: closed });
  }

  #build() {
    const hint = element("span", { id: freshId(), class: "unseen" }, HINT);
    const attributes = {
      tabindex: 0,
      role: "application",
      "aria-label": LABEL,
      "aria-describedby": hint.id,
    };
    this.canvas = element("canvas", { class: "sketch-canvas", ...attributes });
    this.canvas.style.setProperty("aspect-ratio", `${this.sketch.width} / ${this.sketch.height}`);
    this.element = element("div", { class: "sketch" }, this.canvas, hint);
  }

  /** Draw it again before the next frame. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /**
   * Show the surprise of each pixel, or none.
   *
   * @param {?{values: Float32Array, most: number}} surprise (H · W) in nats, NaN where unseen.
   */
  showSurprise(surprise) {
    this.surprise = surprise;
    this.redraw();
  }

  #resize() {
    this.canvas.width = this.canvas.clientWidth * devicePixelRatio;
    this.canvas.height = this.canvas.clientHeight * devicePixelRatio;
    this.#draw();
  }

  #draw() {
    this.#frame = 0;
    const context = this.canvas.getContext("2d");
    const cell = this.canvas.width / this.sketch.width;
    drawPicture(this.#picture, tonesOf(this.sketch.values, this.sketch.tones), this.sketch.shape);
    this.#drawLayer(context, this.#picture);
    drawUnseen(context, this.sketch, cell);
    if (this.surprise) this.#drawSurprise(context);
    if (this.cursor) drawCursor(context, this.cursor, this.brush.width, cell);
  }

  #drawLayer(context, layer) {
    context.imageSmoothingEnabled = false;
    context.drawImage(layer, 0, 0, this.canvas.width, this.canvas.height);
  }

  #drawSurprise(context) {
    const { width, height } = this.sketch;
    const { values, most } = this.surprise;
    Object.assign(this.#heat, { width, height });
    const [image, colours] = [new ImageData(width, height), surpriseColours()];
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i += 1)
      pixels[i] = Number.isNaN(values[i]) ? 0 : colours[levelOf(values[i], most)];
    this.#heat.getContext("2d").putImageData(image, 0, 0);
    this.#drawLayer(context, this.#heat);
  }
}

const LABEL = "The picture, of which a part is seen";
const HINT = "Arrow keys move the brush, space paints; hold space and move to paint a line.";

function levelOf(surprise, most) {
  return Math.min(255, Math.max(0, Math.round((255 * surprise) / most)));
}

function drawUnseen(context, { seen, width }, cell) {
  context.beginPath();
  seen.forEach((known, i) => {
    if (!known)
      context.rect((i % width) * cell, Math.floor(i / width) * cell, cell + 0.5, cell + 0.5);
  });
  context.fillStyle = themeColour("hidden");
  context.fill();
  context.save();
  context.clip();
  drawHatch(context, context.canvas);
  context.restore();
}

function drawHatch(context, { width, height }) {
  const step = HATCH * devicePixelRatio;
  context.strokeStyle = themeColour("hatch");
  context.lineWidth = devicePixelRatio;
  context.beginPath();
  for (let x = -height; x < width; x += step) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
}

function drawCursor(context, { column, row }, width, cell) {
  const [x, y] = [(column + 0.5) * cell, (row + 0.5) * cell];
  const radius = Math.max(0.5, width / 2) * cell;
  for (const [colour, line] of [
    ["#000", 4],
    ["#fff", 2],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}
