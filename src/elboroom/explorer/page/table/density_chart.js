import { fixed, significant } from "../controls/number_text.js";
import { themeColour } from "../controls/theme.js";
import { ColumnScale, valueText } from "./column_scale.js";
import { SizedCanvas } from "../controls/sized_canvas.js";

const MARGIN = { side: 8, top: 12, bottom: 24 };
const PIXELS_PER_TICK = { date: 60, other: 34 };
const GAP = 6; // CSS pixels between the texts of two ticks
const BAR = 22; // height of a level in CSS pixels
const MOST_BARS = 8; // levels that are drawn one by one
const LABEL_SHARE = 0.36; // of the width, for the names of levels

/** The density of a column: a curve of numbers, or bars of levels, with the given entry. */
export class DensityChart {
  #shown = null;

  /**
   * @param {object} column its description.
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(column, closed) {
    this.column = column;
    this.sized = new SizedCanvas("density-canvas", closed, (...area) => this.#draw(...area));
    this.canvas = this.sized.canvas;
    const bars = Math.min(column.levels.length, MOST_BARS);
    if (bars > 0) this.canvas.style.setProperty("height", `${bars * BAR + 4}px`);
  }

  /**
   * Show a density.
   *
   * @param {object} density of the backend.
   * @param {boolean} hidden true if the given entry is hidden.
   */
  show(density, hidden) {
    this.#shown = { ...density, hidden };
    this.sized.describe(inWords(this.column, density, hidden));
    this.sized.redraw();
  }

  #draw(context, width, height) {
    if (this.#shown === null) return;
    if (this.#shown.axis.kind === "levels") drawBars(context, width, this.column, this.#shown);
    else drawCurve(context, width, height, this.column, this.#shown);
  }
}

function drawCurve(context, width, height, column, shown) {
  const { axis, interval, mean } = shown;
  const scale = new ColumnScale(column, axis, [MARGIN.side, width - MARGIN.side]);
  const base = height - MARGIN.bottom;
  const room = PIXELS_PER_TICK[column.type] ?? PIXELS_PER_TICK.other;
  drawTicks(context, scale, base, Math.floor(width / room));
  const heights = heightsOf(shown, base - MARGIN.top);
  if (axis.kind === "steps") drawColumns(context, scale, base, axis.points, heights);
  else fillCurve(context, scale, base, axis.points, heights);
  const [low, high] = interval.map((value) => scale.placeInside(value));
  context.fillStyle = themeColour("accent");
  context.fillRect(low, base, Math.max(1, high - low), 3);
  context.fillRect(scale.placeInside(mean) - 1, base - 4, 2, 10);
  drawObserved(context, scale, base, shown);
}

/** On a logarithmic axis the area is right for the density of the logarithm, x p(x). */
function heightsOf({ axis, density }, room) {
  const factor = axis.kind === "logarithmic" ? (i) => axis.points[i] : () => 1;
  const values = Array.from(density.values, (value, i) => value * factor(i));
  const most = Math.max(...values) || 1;
  return values.map((value) => (room * value) / most);
}

function fillCurve(context, scale, base, points, heights) {
  context.beginPath();
  points.forEach((value, i) => context.lineTo(scale.place(value), base - heights[i]));
  context.strokeStyle = themeColour("accent");
  context.lineWidth = 1.75;
  context.stroke();
  context.lineTo(scale.place(points[points.length - 1]), base);
  context.lineTo(scale.place(points[0]), base);
  context.fillStyle = themeColour("accent-soft");
  context.globalAlpha = 0.75;
  context.fill();
  context.globalAlpha = 1;
}

function drawColumns(context, scale, base, points, heights) {
  const step = Math.abs(scale.place(points[1] ?? points[0] + 1) - scale.place(points[0]));
  const width = Math.max(1, Math.min(0.7 * step, 26));
  context.fillStyle = themeColour("accent");
  points.forEach((value, i) =>
    context.fillRect(scale.place(value) - width / 2, base - heights[i], width, heights[i]),
  );
}

function drawTicks(context, scale, base, most) {
  context.fillStyle = themeColour("grid");
  context.fillRect(scale.from, base, scale.length, 1);
  context.textAlign = "center";
  let free = -Infinity; // where the text before ends
  for (const { value, text } of scale.ticks(most)) {
    const half = context.measureText(text).width / 2;
    const place = scale.place(value);
    context.fillStyle = themeColour("quiet");
    context.fillRect(Math.round(place), base + 3, 1, 4);
    const ends = [scale.from - MARGIN.side + half, scale.from + scale.length + MARGIN.side - half];
    const middle = Math.min(Math.max(place, ends[0]), ends[1]);
    if (middle - half < free + GAP) continue;
    context.fillText(text, middle, base + 19);
    free = middle + half;
  }
}

function drawObserved(context, scale, base, { axis, hidden }) {
  if (axis.observed === null) return;
  const place = scale.placeInside(axis.observed);
  context.strokeStyle = context.fillStyle = themeColour("mark");
  context.lineWidth = 2;
  context.setLineDash(hidden ? [4, 3] : []);
  context.beginPath();
  context.moveTo(place, base);
  context.lineTo(place, MARGIN.top - 2);
  context.stroke();
  context.setLineDash([]);
  drawTip(context, place, Math.sign(scale.place(axis.observed) - place));
}

/** Draw a dot, or an arrow to where a value lies beyond the axis. */
function drawTip(context, x, beyond) {
  const y = MARGIN.top - 6;
  context.beginPath();
  if (beyond === 0) context.arc(x, y, 4, 0, 2 * Math.PI);
  else {
    context.moveTo(x + 7 * beyond, y);
    context.lineTo(x - 2 * beyond, y - 5);
    context.lineTo(x - 2 * beyond, y + 5);
  }
  context.fill();
}

function drawBars(context, width, column, { axis, density, hidden }) {
  const from = Math.round(LABEL_SHARE * width);
  const room = width - from - 46;
  likeliest(density.values, axis.observed).forEach((level, i) => {
    const middle = i * BAR + BAR / 2;
    const given = level === axis.observed;
    context.fillStyle = themeColour(given ? "ink" : "quiet");
    context.textAlign = "right";
    context.fillText(shortened(context, column.levels[level], from - 14), from - 8, middle + 4);
    context.fillStyle = themeColour("accent");
    const length = Math.max(1, room * density.values[level]);
    context.fillRect(from, middle - 7, length, 14);
    if (given) drawGiven(context, from, middle, Math.max(room, 20), hidden);
    context.fillStyle = themeColour(given ? "ink" : "quiet");
    context.textAlign = "left";
    context.fillText(percent(density.values[level]), from + room + 8, middle + 4);
  });
}

function drawGiven(context, from, middle, room, hidden) {
  context.strokeStyle = themeColour("mark");
  context.lineWidth = 2;
  context.setLineDash(hidden ? [4, 3] : []);
  context.strokeRect(from - 1, middle - 9, room + 2, 18);
  context.setLineDash([]);
}

/** Return the places of the likeliest levels in their order, and of the given one. */
function likeliest(values, observed) {
  const places = Array.from(values.keys());
  const worth = (place) => (place === observed ? 2 : values[place]);
  const chosen = places.sort((a, b) => worth(b) - worth(a)).slice(0, MOST_BARS);
  return chosen.sort((a, b) => a - b);
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
  return `${text.slice(0, length)}…`;
}

/**
 * Write a probability.
 *
 * @param {number} share
 * @returns {string} such as 12 %.
 */
export function percent(share) {
  return `${fixed(100 * share, share < 0.0995 ? 1 : 0)} %`;
}

/**
 * Write a density for a reader.
 *
 * @param {object} column its description.
 * @param {object} density of the backend.
 * @returns {string} such as "mean 47.8; 90 % in 31 to 65".
 */
export function densityText(column, { axis, density, mean, interval }) {
  if (axis.kind === "levels") {
    const best = density.values.indexOf(Math.max(...density.values));
    return `most likely ${column.levels[best]}, ${percent(density.values[best])}`;
  }
  const [low, high] = interval.map((value) => valueText(column, value));
  return `mean ${valueText(column, mean, 1)}; 90 % in ${low} to ${high}`;
}

function inWords(column, density, hidden) {
  const { axis, surprise } = density;
  const given =
    axis.observed === null
      ? ""
      : `; ${hidden ? "hidden" : "seen"} entry ${valueText(column, axis.observed)}` +
        `, surprise ${significant(surprise, 3)} nats`;
  return `Density of ${column.name} given the other seen entries: ${densityText(column, density)}${given}`;
}
