import { element } from "../controls/element.js";
import { isDark, themeColour } from "../controls/theme.js";
import { Stamp, channelsOf } from "../picture/stamp.js";
import { classColours } from "./palette.js";

const REPAINT = 150; // milliseconds between two paintings while the view moves
const RING = 1; // CSS pixels
const RADIUS = { least: 1.6, most: 4.5 }; // CSS pixels

/**
 * Many points of a plane as dots, coloured by class.
 *
 * They are painted into a layer, which is moved and stretched as the view moves, and painted again
 * a few times a second.
 */
export class Dots {
  #layer = element("canvas");
  #painted = null;
  #time = 0;
  #timer = 0;

  /**
   * @param {Float32Array} points (N, 2).
   * @param {?Int32Array} labels (N,).
   * @param {number[]} classes the labels that there are, in the order of their colours.
   * @param {() => void} redraw asks for another frame.
   */
  constructor(points, labels, classes, redraw) {
    this.points = points;
    this.kinds = kindsOf(labels, classes, points.length / 2);
    this.count = Math.max(1, classes.length);
    this.shown = new Array(this.count).fill(true);
    this.redraw = redraw;
    this.opacity = 0.8;
    this.ring = false;
    /** The colour of dots without classes, by its name in the style sheet. */
    this.plain = "accent";
  }

  /**
   * Show some classes only.
   *
   * @param {boolean[]} shown one for each class.
   */
  filter(shown) {
    this.shown = shown.length > 0 ? shown : [true];
    this.#painted = null;
    this.redraw();
  }

  /**
   * Put a ring around each dot, which makes it stand out from pictures behind it.
   *
   * @param {boolean} ring
   */
  setRing(ring) {
    this.ring = ring;
    this.#painted = null;
    this.redraw();
  }

  /**
   * Draw them.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {import("./axes.js").Axes} axes
   */
  draw(context, axes) {
    const wanted = viewOf(axes);
    if (!sameView(this.#painted, wanted)) this.#paintInTime(axes, wanted);
    const { left, right, bottom, top } = this.#painted.rectangle;
    const [x, y] = axes.placeOf([left, top]);
    const [farX, farY] = axes.placeOf([right, bottom]);
    context.drawImage(this.#layer, x, y, farX - x, farY - y);
  }

  #paintInTime(axes, wanted) {
    const moving = sameGround(this.#painted, wanted);
    if (moving && performance.now() - this.#time < REPAINT) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.redraw, REPAINT);
      return;
    }
    this.#paint(axes);
    this.#painted = wanted;
    this.#time = performance.now();
  }

  #paint(axes) {
    const { x, y, width, height } = axes.plot;
    this.#layer.width = width * devicePixelRatio;
    this.#layer.height = height * devicePixelRatio;
    const image = new ImageData(this.#layer.width, this.#layer.height);
    const [originX, originY] = axes.placeOf([0, 0]);
    const origin = [devicePixelRatio * (originX - x), devicePixelRatio * (originY - y)];
    this.#stamp(image, radiusFor(axes, this.kinds.length), origin, devicePixelRatio * axes.scale);
    this.#layer.getContext("2d").putImageData(image, 0, 0);
  }

  #stamp(image, radius, [originX, originY], scale) {
    const stamps = this.#stamps(radius * devicePixelRatio);
    for (let i = 0; i < this.kinds.length; i += 1) {
      if (!this.shown[this.kinds[i]]) continue;
      const x = Math.round(originX + scale * this.points[2 * i]);
      const y = Math.round(originY - scale * this.points[2 * i + 1]);
      for (const { stamp, colours } of stamps)
        stamp.press(image, x, y, colours[this.kinds[i] % colours.length]);
    }
  }

  #stamps(radius) {
    const colours = this.count > 1 ? classColours(this.count) : [themeColour(this.plain)];
    const dot = {
      stamp: new Stamp(radius, this.ring ? 1 : this.opacity),
      colours: colours.map(channelsOf),
    };
    if (!this.ring) return [dot];
    const ring = {
      stamp: new Stamp(radius + RING * devicePixelRatio, this.opacity),
      colours: [channelsOf(themeColour("surface"))],
    };
    return [ring, dot];
  }

  /**
   * Return the dot that is nearest to a point, among those shown.
   *
   * @param {number[]} point
   * @returns {{index: number, distance: number}} index −1 if none is shown.
   */
  nearest([a, b]) {
    let [index, least] = [-1, Infinity];
    for (let i = 0; i < this.kinds.length; i += 1) {
      if (!this.shown[this.kinds[i]]) continue;
      const square = (this.points[2 * i] - a) ** 2 + (this.points[2 * i + 1] - b) ** 2;
      if (square < least) [index, least] = [i, square];
    }
    return { index, distance: Math.sqrt(least) };
  }
}

/**
 * Return the rectangle that holds nearly all points.
 *
 * @param {Float32Array} points (N, 2).
 * @returns {{left: number, right: number, bottom: number, top: number}}
 */
export function extentOf(points) {
  const [left, right] = rangeOf(points, 0);
  const [bottom, top] = rangeOf(points, 1);
  return { left, right, bottom, top };
}

function rangeOf(points, axis) {
  const values = points.filter((_, i) => i % 2 === axis).sort();
  const [low, high] = [values[0], values[values.length - 1]];
  const margin = 0.04 * (high - low) || 1;
  return [low - margin, high + margin];
}

function kindsOf(labels, classes, count) {
  if (labels === null || classes.length === 0) return new Uint16Array(count);
  const order = new Map(classes.map((label, i) => [label, i]));
  return Uint16Array.from(labels, (label) => order.get(label) ?? 0);
}

function radiusFor(axes, count) {
  const { width, height } = axes.plot;
  const crowded = 0.34 * Math.sqrt((width * height) / count) * (8 / axes.span) ** 0.4;
  return Math.min(RADIUS.most, Math.max(RADIUS.least, crowded));
}

function viewOf(axes) {
  return { rectangle: axes.rectangle, width: axes.width, height: axes.height, dark: isDark() };
}

function sameView(one, other) {
  return one !== null && JSON.stringify(one) === JSON.stringify(other);
}

/** True if two views differ in the part of the plane at most, not in size or theme. */
function sameGround(one, other) {
  return one !== null && sameView({ ...one, rectangle: null }, { ...other, rectangle: null });
}
