import { fixed, significant } from "../controls/number_text.js";
import { decimalsOf, multiples, roundStep } from "../plane/axes.js";
import { dateText, dateTicks } from "./dates.js";

const DIGITS = 4; // of numbers with any number of decimals
const MOST_DECIMALS = 4; // of a tick, before powers of ten are written

/** The scale of a column on the screen: which place a value has, and how values are written. */
export class ColumnScale {
  /**
   * @param {{type: string, levels: string[], decimals: ?number}} column its description.
   * @param {{kind: string, points: number[]}} axis of the backend.
   * @param {number[]} range the places of its lower and of its upper end, in CSS pixels.
   */
  constructor(column, axis, [from, to]) {
    this.column = column;
    this.axis = axis;
    this.length = to - from;
    this.from = from;
    [this.low, this.high] = endsOf(axis).map((value) => this.#even(value));
  }

  /**
   * Return the place of a value, which may lie outside the range.
   *
   * @param {number} value
   * @returns {number} in CSS pixels.
   */
  place(value) {
    return this.from + ((this.#even(value) - this.low) / (this.high - this.low)) * this.length;
  }

  /**
   * Return the place of a value, or of the end of the range beyond which it lies.
   *
   * @param {number} value
   * @returns {number} in CSS pixels.
   */
  placeInside(value) {
    const [first, last] = [this.from, this.from + this.length].sort((a, b) => a - b);
    const place = this.place(value);
    return Number.isNaN(place) ? first : Math.min(last, Math.max(first, place));
  }

  /** The values that are marked, with their texts. */
  ticks(most) {
    const { column, axis } = this;
    if (axis.kind === "levels") return column.levels.map((text, value) => ({ value, text }));
    const [low, high] = endsOf(axis);
    if (column.type === "date") return dateTicks(low, high, most);
    if (axis.kind === "logarithmic") return decadeTicks(low, high);
    const least = axis.kind === "steps" ? axis.points[1] - axis.points[0] : 0;
    const step = roundStep(Math.max((high - low) / most, Math.min(1, least)));
    return multiples(step, low, high).map((value) => ({ value, text: plain(value, step) }));
  }

  #even(value) {
    return this.axis.kind === "logarithmic" ? Math.log(value) : value;
  }
}

/**
 * Write a value of a column for people.
 *
 * @param {{type: string, levels: string[], decimals: ?number}} column its description.
 * @param {number} value in the units of the column; the place of a level; days of a date.
 * @param {number} more decimals than the column has.
 * @returns {string}
 */
export function valueText({ type, levels, decimals }, value, more = 0) {
  if (levels.length > 0) return levels[value];
  if (type === "date") return dateText(value);
  return decimals === null ? significant(value, DIGITS) : fixed(value, decimals + more);
}

function endsOf({ kind, points }) {
  const [first, last] = [points[0], points[points.length - 1]];
  if (kind !== "steps" && kind !== "levels") return [first, last];
  const half = points.length > 1 ? (points[1] - points[0]) / 2 : 0.5;
  return [first - half, last + half];
}

function decadeTicks(low, high) {
  const powers = multiples(1, Math.log10(low) - 1, Math.log10(high));
  const values = powers.flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const inside = values.filter((value) => value >= low && value <= high);
  return inside.map((value) => ({ value, text: significant(value, 1) }));
}

function plain(value, step) {
  const decimals = decimalsOf(step);
  if (decimals <= MOST_DECIMALS) return fixed(value, decimals);
  return Math.abs(value) < step / 2 ? "0" : significant(value, DIGITS);
}
