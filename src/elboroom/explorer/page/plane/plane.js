import { element, freshId } from "../controls/element.js";
import { fixed } from "../controls/number_text.js";
import { THEME_CHANGED, themeColour } from "../controls/theme.js";
import { Axes } from "./axes.js";
import { Gestures } from "./gestures.js";
import { writeUpwards } from "./upward_text.js";

const SETTLED = 200; // milliseconds after the last move of the view

/**
 * A canvas that shows a plane of the latent space: its axes, and layers that the view draws.
 *
 * It dispatches "hover" (detail: a point, or null), "choose" (detail: a point), "settle" when what is
 * shown has stopped moving, and "draw".
 */
export class Plane extends EventTarget {
  #settling = 0;
  #frame = 0;

  /**
   * @param {string} label the alternative in words.
   * @param {AbortSignal} closed ends its listeners, and what is about to settle.
   */
  constructor(label, closed) {
    super();
    this.axes = new Axes();
    this.names = ["", ""];
    /** Functions of a context and the axes that draw, the lowest first. */
    this.layers = [];
    this.home = { left: -4, right: 4, bottom: -4, top: 4 };
    /** True while the home rectangle is shown, whatever the size of the canvas. */
    this.atHome = true;
    this.crosshair = false;
    this.#build(label);
    this.#listen(closed);
  }

  #build(label) {
    const hint = element("span", { id: freshId(), class: "unseen" }, HINT);
    const attributes = {
      tabindex: 0,
      role: "application",
      "aria-label": label,
      "aria-describedby": hint.id,
    };
    this.canvas = element("canvas", { class: "plane-canvas", ...attributes });
    this.element = element("div", { class: "plane" }, this.canvas, hint);
  }

  #listen(closed) {
    const sizes = new ResizeObserver(() => this.#resize());
    sizes.observe(this.canvas);
    closed.addEventListener("abort", () => sizes.disconnect());
    closed.addEventListener("abort", () => clearTimeout(this.#settling));
    document.addEventListener(THEME_CHANGED, () => this.redraw(), { signal: closed });
    this.gestures = new Gestures(this);
  }

  /** Say in words what it shows. */
  describe(label) {
    this.canvas.setAttribute("aria-label", label);
  }

  /** Draw it again before the next frame. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Show its home rectangle. */
  goHome() {
    this.axes.fit(this.home);
    this.moved();
    this.atHome = true;
  }

  /** Tell that what is shown has moved. */
  moved() {
    this.atHome = false;
    this.redraw();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.dispatchEvent(new Event("settle")), SETTLED);
  }

  /** Tell of a point under the pointer, null if it has left, or one that is chosen. */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.axes.resize(clientWidth, clientHeight);
    this.canvas.width = clientWidth * devicePixelRatio;
    this.canvas.height = clientHeight * devicePixelRatio;
    if (this.atHome) this.goHome();
    else this.moved();
    this.#draw();
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const context = this.canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    drawGround(context, this.axes);
    drawInside(context, this.axes, this.layers);
    if (this.crosshair) drawCrosshair(context, this.axes);
    drawTicks(context, this.axes, this.names);
    this.dispatchEvent(new Event("draw"));
  }
}

const HINT =
  "Arrow keys move the view, plus and minus zoom, 0 shows everything. " +
  "The point is in the middle; Enter chooses it.";

function drawGround(context, { width, height, plot }) {
  context.fillStyle = themeColour("surface");
  context.fillRect(0, 0, width, height);
  context.fillStyle = themeColour("plot");
  context.fillRect(plot.x, plot.y, plot.width, plot.height);
}

function drawInside(context, axes, layers) {
  const { x, y, width, height } = axes.plot;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  drawGrid(context, axes);
  for (const draw of layers) draw(context, axes);
  context.restore();
}

function drawGrid(context, axes) {
  const { across, up } = axes.ticks();
  const { x, y, width, height } = axes.plot;
  context.fillStyle = themeColour("grid");
  for (const a of across) context.fillRect(Math.round(axes.placeOf([a, 0])[0]), y, 1, height);
  for (const b of up) context.fillRect(x, Math.round(axes.placeOf([0, b])[1]), width, 1);
}

function drawCrosshair(context, axes) {
  const [x, y] = axes.placeOf(axes.centre);
  context.strokeStyle = themeColour("ink");
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y, 7, 0, 2 * Math.PI);
  for (const [dx, dy] of [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ]) {
    context.moveTo(x + 4 * dx, y + 4 * dy);
    context.lineTo(x + 12 * dx, y + 12 * dy);
  }
  context.stroke();
}

function drawTicks(context, axes, [first, second]) {
  const { across, up, decimals } = axes.ticks();
  const { x, y, width, height } = axes.plot;
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = themeColour("quiet");
  context.textAlign = "center";
  for (const a of across)
    context.fillText(fixed(a, decimals), axes.placeOf([a, 0])[0], y + height + 16);
  context.fillText(first, x + width / 2, y + height + 33);
  context.textAlign = "right";
  for (const b of up) context.fillText(fixed(b, decimals), x - 6, axes.placeOf([0, b])[1] + 4);
  writeUpwards(context, second, 12, y + height / 2);
}
