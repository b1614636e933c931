import { savableFigure } from "../controls/download.js";
import { element } from "../controls/element.js";
import { significant } from "../controls/number_text.js";
import { SizedCanvas } from "../controls/sized_canvas.js";
import { themeColour } from "../controls/theme.js";
import { contourSegments } from "../plane/contours.js";
import { strokeWithHalo } from "../plane/ellipse.js";
import { CONTOUR_DEPTHS, DEEPEST } from "../plane/heat.js";
import { heatColours } from "../plane/palette.js";
import { writeUpwards } from "../plane/upward_text.js";
import { ColumnScale, valueText } from "./column_scale.js";

const MARGIN = { left: 76, right: 12, top: 12, bottom: 44 };
const PIXELS_PER_TICK = { across: 50, up: 48 };
const DISCRETE = ["steps", "levels"];
const SPREAD = 0.3; // of a step, by which draws of one value are parted
const TURNS = [0.618, 0.7549]; // shares of 1 whose multiples are spread evenly, for both axes

/** The joint density of two columns, with draws of it and the given entries. */
export class JointPlot {
  #shown = null;

  /**
   * @param {string} name of the run, for files.
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(name, closed) {
    this.sized = new SizedCanvas("joint-canvas", closed, (...area) => this.#draw(...area));
    this.key = element("ul", { class: "key" });
    this.element = savableFigure(this.sized.canvas, `joint density of ${name}`, this.key);
  }

  /**
   * Show a joint density.
   *
   * @param {object} pair of the backend.
   * @param {object[]} columns descriptions of both columns.
   */
  show(pair, columns) {
    const smooth = [pair.across, pair.up].every(({ kind }) => !DISCRETE.includes(kind));
    const values = evenDensity(pair);
    const most = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const contours = smooth
      ? CONTOUR_DEPTHS.map((depth) =>
          contourSegments(values, pair.across.points.length, most - depth),
        )
      : [];
    this.#shown = { pair, columns, values, most, contours, smooth };
    this.#explain(smooth);
    this.sized.redraw();
  }

  #explain(smooth) {
    const { pair, columns } = this.#shown;
    const contours = `contours ${CONTOUR_DEPTHS.join(", ")} nats below the maximum`;
    const rows = [
      ["contour-key", smooth ? `joint density; ${contours}` : "joint density"],
      ["dot-key", "draws"],
      ["observed-key", "the given entries"],
    ];
    this.key.replaceChildren(...rows.map(([kind, text]) => element("li", { class: kind }, text)));
    this.sized.describe(inWords(pair, columns));
  }

  #draw(context, width, height) {
    if (this.#shown === null) return;
    const { pair, columns } = this.#shown;
    const scales = [
      new ColumnScale(columns[0], pair.across, [MARGIN.left, width - MARGIN.right]),
      new ColumnScale(columns[1], pair.up, [height - MARGIN.bottom, MARGIN.top]),
    ];
    drawTicks(context, scales, columns, [width, height]);
    this.#drawColours(context, scales);
    this.#drawContours(context, scales);
    drawDraws(context, scales, pair.draws);
    drawObserved(context, scales, pair);
  }

  #drawColours(context, [across, up]) {
    const image = pixelsOf(this.#shown);
    context.imageSmoothingEnabled = false;
    const { from: x, length: width } = across;
    context.drawImage(image, x, up.from + up.length, width, -up.length);
  }

  #drawContours(context, [across, up]) {
    const { pair, contours } = this.#shown;
    const x = (column) => across.from + (column / (pair.across.points.length - 1)) * across.length;
    const y = (row) => up.from + (row / (pair.up.points.length - 1)) * up.length;
    context.strokeStyle = themeColour("contour");
    context.lineWidth = 1;
    for (const segments of contours) {
      context.beginPath();
      for (const [a, b, c, d] of segments) {
        context.moveTo(x(a), y(b));
        context.lineTo(x(c), y(d));
      }
      context.stroke();
    }
  }
}

/** Return the log-density of what the axes are even in: of log x where x is on a logarithmic one. */
function evenDensity({ across, up, log_density: logDensity }) {
  const columns = across.points.length;
  const [first, second] = [across, up].map(({ kind, points }) =>
    points.map((value) => (kind === "logarithmic" ? Math.log(value) : 0)),
  );
  return logDensity.values.map(
    (value, i) => value + first[i % columns] + second[Math.floor(i / columns)],
  );
}

/** Colour the log-density, or with steps or levels the density itself, which differs less. */
function pixelsOf({ pair, values, most, smooth }) {
  const [width, height] = [pair.across.points.length, pair.up.points.length];
  const [image, colours] = [new ImageData(width, height), heatColours()];
  const pixels = new Uint32Array(image.data.buffer);
  values.forEach((value, i) => {
    const share = smooth ? 1 - (most - value) / DEEPEST : Math.exp(value - most);
    const level = Math.max(0, Math.round(255 * share));
    pixels[(height - 1 - Math.floor(i / width)) * width + (i % width)] = colours[level];
  });
  const canvas = element("canvas", { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function drawTicks(context, [across, up], columns, [width, height]) {
  const base = height - MARGIN.bottom;
  const most = [
    Math.max(2, Math.floor(across.length / PIXELS_PER_TICK.across)),
    Math.max(2, Math.floor(-up.length / PIXELS_PER_TICK.up)),
  ];
  context.fillStyle = themeColour("quiet");
  context.textAlign = "center";
  const room = across.length / Math.max(1, across.ticks(most[0]).length);
  for (const { value, text } of across.ticks(most[0])) {
    context.fillRect(Math.round(across.place(value)), base, 1, 4);
    context.fillText(text, across.place(value), base + 17, room);
  }
  context.fillText(columns[0].name, across.from + across.length / 2, height - 8);
  context.textAlign = "right";
  for (const { value, text } of up.ticks(most[1])) {
    context.fillRect(MARGIN.left - 4, Math.round(up.place(value)), 4, 1);
    context.fillText(text, MARGIN.left - 8, up.place(value) + 4, MARGIN.left - 26);
  }
  writeUpwards(context, columns[1].name, 12, up.from + up.length / 2);
}

function drawDraws(context, [across, up], draws) {
  context.fillStyle = themeColour("ink");
  context.globalAlpha = 0.45;
  draws.forEach(([a, b], i) => {
    const [x, y] = [partedPlace(across, a, TURNS[0] * i), partedPlace(up, b, TURNS[1] * i)];
    context.beginPath();
    context.arc(x, y, 1.7, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
}

/** Return the place of a draw, aside from its value if many draws have the same. */
function partedPlace(scale, value, turn) {
  if (!DISCRETE.includes(scale.axis.kind)) return scale.placeInside(value);
  const step = scale.place(value + 1) - scale.place(value);
  return scale.placeInside(value) + SPREAD * step * (2 * (turn % 1) - 1);
}

function drawObserved(context, [across, up], pair) {
  const [a, b] = [pair.across.observed, pair.up.observed];
  const places = [a === null ? null : across.placeInside(a), b === null ? null : up.placeInside(b)];
  if (a === null && b === null) return;
  context.beginPath();
  if (a !== null && b !== null) context.arc(...places, 6, 0, 2 * Math.PI);
  else if (a !== null) drawLine(context, [places[0], up.from], [places[0], up.from + up.length]);
  else drawLine(context, [across.from, places[1]], [across.from + across.length, places[1]]);
  strokeWithHalo(context, themeColour("mark"), 2.5);
}

function drawLine(context, start, end) {
  context.moveTo(...start);
  context.lineTo(...end);
}

function inWords({ across, up, draws }, [first, second]) {
  const numbers = [across, up].every(({ kind }) => kind !== "levels");
  const related = numbers ? `; correlation of draws ${significant(correlation(draws), 2)}` : "";
  const given = [
    [first, across.observed],
    [second, up.observed],
  ]
    .filter(([, value]) => value !== null)
    .map(([column, value]) => `; given ${column.name} ${valueText(column, value)}`);
  return `Joint density of ${first.name} and ${second.name}${related}${given.join("")}`;
}

function correlation(draws) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const centred = [0, 1].map((i) => {
    const middle = mean(draws.map((draw) => draw[i]));
    return draws.map((draw) => draw[i] - middle);
  });
  const product = (a, b) => mean(a.map((value, i) => value * b[i]));
  return (
    product(...centred) /
    Math.sqrt(product(centred[0], centred[0]) * product(centred[1], centred[1]))
  );
}
