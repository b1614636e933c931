const MARGIN = { left: 44, right: 10, top: 10, bottom: 38 };
/** The smallest and the largest span. */
export const SPANS = { least: 1e-3, most: 1e3 };
const PIXELS_PER_TICK = 90;
const PIXELS_PER_DECIMAL = 8; // of the numbers beside the plot
const TICKS = 6; // some, across the span

/**
 * A rectangle of a plane, and where it lies on the screen.
 *
 * One unit has the same length on both axes.
 *
 * A point is [first, second] in units of the plane; a place is [x, y] in CSS pixels of the canvas.
 */
export class Axes {
  /** The point in the middle. */
  centre = [0, 0];
  /** The length, in units of the plane, of the shorter side. */
  span = 8;
  width = 1;
  height = 1;

  /**
   * Take the size of a canvas.
   *
   * @param {number} width in CSS pixels.
   * @param {number} height in CSS pixels.
   */
  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** The place of the plot on the canvas, inside the margins; small spans have longer numbers. */
  get plot() {
    const x = MARGIN.left + PIXELS_PER_DECIMAL * decimalsOf(roundStep(this.span / TICKS));
    const width = Math.max(1, this.width - x - MARGIN.right);
    const height = Math.max(1, this.height - MARGIN.top - MARGIN.bottom);
    return { x, y: MARGIN.top, width, height };
  }

  /** CSS pixels of one unit. */
  get scale() {
    const { width, height } = this.plot;
    return Math.min(width, height) / this.span;
  }

  /** The part of the plane that is shown. */
  get rectangle() {
    const { width, height } = this.plot;
    const [across, up] = [width / this.scale / 2, height / this.scale / 2];
    const [a, b] = this.centre;
    return { left: a - across, right: a + across, bottom: b - up, top: b + up };
  }

  /**
   * Return the place of a point.
   *
   * @param {number[]} point
   * @returns {number[]}
   */
  placeOf([a, b]) {
    const { x, y, width, height } = this.plot;
    const [first, second] = this.centre;
    return [x + width / 2 + (a - first) * this.scale, y + height / 2 - (b - second) * this.scale];
  }

  /**
   * Return the point at a place.
   *
   * @param {number[]} place
   * @returns {number[]}
   */
  pointAt([px, py]) {
    const { x, y, width, height } = this.plot;
    const [first, second] = this.centre;
    return [first + (px - x - width / 2) / this.scale, second - (py - y - height / 2) / this.scale];
  }

  /**
   * Move what is shown along with the screen.
   *
   * @param {number} x to the right, in CSS pixels.
   * @param {number} y downwards, in CSS pixels.
   */
  pan(x, y) {
    this.centre = [this.centre[0] - x / this.scale, this.centre[1] + y / this.scale];
  }

  /**
   * Enlarge what is shown about a place that stays where it is.
   *
   * @param {number} factor above 1 to come nearer.
   * @param {number[]} place
   */
  zoom(factor, place) {
    const before = this.pointAt(place);
    this.span = Math.min(Math.max(this.span / factor, SPANS.least), SPANS.most);
    const after = this.pointAt(place);
    this.centre = this.centre.map((value, i) => value + before[i] - after[i]);
  }

  /**
   * Show a whole rectangle.
   *
   * @param {{left: number, right: number, bottom: number, top: number}} rectangle
   */
  fit({ left, right, bottom, top }) {
    const { width, height } = this.plot;
    const shorter = Math.min(width, height);
    this.centre = [(left + right) / 2, (bottom + top) / 2];
    this.span = Math.max(
      ((right - left) / width) * shorter,
      ((top - bottom) / height) * shorter,
      SPANS.least,
    );
  }

  /**
   * Return round numbers along both axes.
   *
   * @returns {{across: number[], up: number[], decimals: number}}
   */
  ticks() {
    const { left, right, bottom, top } = this.rectangle;
    const step = roundStep(PIXELS_PER_TICK / this.scale);
    const decimals = decimalsOf(step);
    return { across: multiples(step, left, right), up: multiples(step, bottom, top), decimals };
  }
}

/**
 * Return the decimals of the multiples of a round step.
 *
 * @param {number} step
 * @returns {number}
 */
export function decimalsOf(step) {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

/**
 * Return the smallest of 1, 2, 5, 10, 20, … that is at least a given step.
 *
 * @param {number} least
 * @returns {number}
 */
export function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9));
}

/**
 * Return the multiples of a step within bounds.
 *
 * @param {number} step
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
export function multiples(step, low, high) {
  const first = Math.ceil(low / step);
  const count = Math.max(0, Math.floor(high / step) - first + 1);
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}
