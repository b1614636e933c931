import { element } from "../controls/element.js";
import { fixed } from "../controls/number_text.js";
import { SizedCanvas } from "../controls/sized_canvas.js";
import { themeColour } from "../controls/theme.js";
import { decimalsOf, multiples, roundStep } from "../plane/axes.js";

const MARGIN = { left: 58, right: 12, top: 10, bottom: 34 };
const WARM_UP = 0.05; // share of epochs, the first, whose values are too far off to set the range

const FEW = 15; // values that are marked one by one

/**
 * A line of a chart.
 *
 * @typedef {{name: string, colour: string, dash: number[], x: number[], y: (number|null)[]}} Line
 *   `colour` names one of the style sheet.
 */

/** A chart of lines against the epoch. */
export class Chart {
  #lines = [];
  #pointed = null;

  /**
   * @param {string} title
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(title, closed) {
    this.title = title;
    this.sized = new SizedCanvas("chart-canvas", closed, (...drawing) => this.#draw(...drawing));
    this.sized.describe(title);
    this.readout = element("span", { class: "readout" });
    this.canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.#point(null));
  }

  /** The canvas. */
  get canvas() {
    return this.sized.canvas;
  }

  /**
   * Show lines.
   *
   * @param {Line[]} lines
   */
  show(lines) {
    this.#lines = lines.filter(({ y }) => y.some((value) => value !== null));
    this.sized.describe(inWords(this.title, this.#lines));
    this.sized.redraw();
  }

  #point(offset) {
    this.#pointed = offset;
    this.sized.redraw();
  }

  #draw(context, width, height) {
    if (this.#lines.length === 0) return;
    this.#drawOn(context, scaleOf(this.#lines, width, height));
  }

  #drawOn(context, scale) {
    drawScale(context, scale);
    context.save();
    context.beginPath();
    context.rect(scale.left, scale.top - 2, scale.right - scale.left, scale.bottom - scale.top + 4);
    context.clip();
    for (const line of this.#lines) drawLine(context, scale, line);
    context.restore();
    this.#drawPointed(context, scale);
  }

  #drawPointed(context, scale) {
    this.readout.textContent = "";
    if (this.#pointed === null) return;
    const epoch = Math.round(scale.epochAt(this.#pointed));
    const values = this.#lines
      .map(({ name, x, y }) => [name, y[x.indexOf(epoch)] ?? null])
      .filter(([, value]) => value !== null);
    if (values.length === 0) return;
    context.fillStyle = themeColour("quiet");
    context.fillRect(scale.x(epoch), scale.top, 1, scale.bottom - scale.top);
    const words = values.map(([name, value]) => `${name} ${fixed(value, 2)}`).join(", ");
    this.readout.textContent = `epoch ${epoch}: ${words}`;
  }
}

function scaleOf(lines, width, height) {
  const [left, right, top, bottom] = [
    MARGIN.left,
    width - MARGIN.right,
    MARGIN.top,
    height - MARGIN.bottom,
  ];
  const epochs = lines.flatMap(({ x }) => x);
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  const [low, high] = rangeOf(lines);
  const x = (epoch) => left + ((epoch - first) / Math.max(1, last - first)) * (right - left);
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const epochAt = (place) => first + ((place - left) / (right - left)) * (last - first);
  return { left, right, top, bottom, first, last, low, high, x, y, epochAt };
}

function rangeOf(lines) {
  const settled = lines.flatMap(({ y }) => withoutWarmUp(y));
  const [low, high] = [Math.min(...settled), Math.max(...settled)];
  const margin = 0.06 * (high - low) || 1;
  return [low - margin, high + margin];
}

function withoutWarmUp(y) {
  const known = y.filter((value) => value !== null);
  return known.slice(Math.floor(WARM_UP * known.length));
}

function drawScale(context, scale) {
  const { left, right, bottom, low, high, first, last } = scale;
  const step = roundStep((high - low) / 5);
  const decimals = decimalsOf(step);
  context.textAlign = "right";
  for (const value of multiples(step, low, high)) {
    context.fillStyle = themeColour("grid");
    context.fillRect(left, Math.round(scale.y(value)), right - left, 1);
    context.fillStyle = themeColour("quiet");
    context.fillText(fixed(value, decimals), left - 8, scale.y(value) + 4);
  }
  context.textAlign = "center";
  const epochs = multiples(Math.max(1, roundStep((last - first) / 5 || 1)), first, last);
  for (const epoch of epochs) context.fillText(fixed(epoch, 0), scale.x(epoch), bottom + 17);
  context.fillText("epoch", (left + right) / 2, bottom + 32);
}

function drawLine(context, scale, { colour, dash, x, y }) {
  context.strokeStyle = context.fillStyle = themeColour(colour);
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.setLineDash(dash);
  context.beginPath();
  x.forEach((epoch, i) => y[i] !== null && context.lineTo(scale.x(epoch), scale.y(y[i])));
  context.stroke();
  context.setLineDash([]);
  if (y.filter((value) => value !== null).length < FEW) drawMarks(context, scale, x, y);
}

function drawMarks(context, scale, x, y) {
  x.forEach(
    (epoch, i) =>
      y[i] !== null && context.fillRect(scale.x(epoch) - 2.5, scale.y(y[i]) - 2.5, 5, 5),
  );
}

function inWords(title, lines) {
  const each = lines.map(({ name, x, y }) => {
    const known = x.map((epoch, i) => [epoch, y[i]]).filter(([, value]) => value !== null);
    const [start, end] = [known[0], known[known.length - 1]];
    const [from, to] = [start, end].map(([epoch, value]) => `${fixed(value, 2)} at epoch ${epoch}`);
    return `${name} from ${from} to ${to}`;
  });
  return `${title}: ${each.join("; ") || "no values"}`;
}
