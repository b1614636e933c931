import { announce } from "../controls/announcement.js";
import { savableFigure } from "../controls/download.js";
import { box, card, element } from "../controls/element.js";
import { CheckField, RadioField, SelectField, button } from "../controls/field.js";
import { significant } from "../controls/number_text.js";
import { PlaneField } from "../controls/plane_field.js";
import { RowChoice } from "../controls/row_choice.js";
import { CompletedPictures } from "../picture/completed_pictures.js";
import { MASK_NAMES, MASK_TITLES, bitsRule } from "../picture/mask.js";
import { BRUSH_TITLES, Sketch } from "../picture/sketch.js";
import { SketchCanvas } from "../picture/sketch_canvas.js";
import { SurpriseKey, surpriseOf } from "../picture/surprise.js";
import { PosteriorPlot } from "../plane/posterior_plot.js";
import { Findings, evidenceInWords, methodTitles } from "./findings.js";
import { SEED, SWITCH, either, oneOf, planeOf, rowOf } from "./address_rules.js";
import { View } from "./view.js";

const DRAWS = 12;
const PAUSE = 700; // milliseconds between draws that follow each other
const BLANK = "blank"; // the row of a sketch from scratch
const REST = 300; // milliseconds without a change after which a rough posterior is refined
const FRAMES = { posterior: "Follow the posterior", all: "Whole plane" };
const ASKED = ["row", "mask", "ink", "method", "axes", "seed"];

/** Completion: a picture of which a part is seen, and what the model makes of it. */
export class CompleteView extends View {
  static title = "Complete";

  constructor(stage) {
    super(stage, defaultsOf(stage.run), rulesOf(stage.run));
    this.sketch = new Sketch(this.run.event_shape, this.run.tones);
    this.easel = new SketchCanvas(this.sketch, this.closed);
    this.plot = new PosteriorPlot(this.run.name, this.closed);
    this.pictures = new CompletedPictures(this.run);
    this.findings = new Findings(`completion by ${this.run.name}`);
    this.surpriseKey = new SurpriseKey();
    this.requests = { row: this.request(), map: this.request(), complete: this.request() };
    this.#build();
    this.#listen();
  }

  #build() {
    const change = (name) => (value) => this.change({ [name]: value });
    const { run } = this;
    this.fields = {
      row: new RowChoice(run, (row) => this.#pick(row)),
      brush: new RadioField("Brush", BRUSH_TITLES, change("brush")),
      size: new RadioField("Width", sizesFor(run.event_shape[2]), change("size")),
      surprise: new CheckField("Surprise of each seen pixel", change("surprise")),
      method: new SelectField("Method", methodTitles(run.methods), change("method")),
      axes: new PlaneField(run, change("axes")),
      frame: new RadioField("View", FRAMES, change("frame")),
      stream: new CheckField("Keep drawing", change("stream")),
    };
    this.stage.place.append(this.#sketchSide(), this.#posteriorSide(), this.#resultSide());
  }

  #sketchSide() {
    const { row, brush, size, surprise } = this.fields;
    this.origin = element("p", { class: "quiet" });
    const tools = box("fields", brush.element, size.element);
    const above = [row.element, this.origin, this.#picture()];
    const below = [this.#presets(), tools, surprise.element, this.surpriseKey.element];
    return box("card sketch-side", ...above, ...below);
  }

  #picture() {
    this.readout = element("p", { class: "place" }, "Paint what is seen.");
    const { element: shown, canvas } = this.easel;
    return savableFigure(shown, `sketch for ${this.run.name}`, this.readout, canvas);
  }

  #presets() {
    const choose = (mask) => () => this.change({ mask, ink: "" });
    const masks = Object.entries(MASK_TITLES).map(([mask, title]) => button(title, choose(mask)));
    const attributes = { class: "presets", role: "group", "aria-label": "What is seen" };
    return element("div", attributes, element("span", {}, "Seen"), ...masks);
  }

  #posteriorSide() {
    const { method, axes, frame } = this.fields;
    const planar = this.run.axes.length > 0;
    const plot = planar ? [frame.element, axes.element, this.plot.element] : [];
    const side = card("Posterior of z", method.element, ...plot);
    side.classList.add("posterior-side");
    return side;
  }

  #resultSide() {
    const more = button("More draws", () => this.#drawAnew(true));
    this.pictures.element.append(box("tools", more, this.fields.stream.element));
    return box("results", this.pictures.element, this.findings.element);
  }

  #drawAnew(step) {
    this.change({ seed: String(Number(this.state.seed) + 1) }, step);
  }

  #listen() {
    this.easel.addEventListener("paint", () => this.#paint());
    this.easel.addEventListener("stroke", () => this.#endStroke());
    this.easel.addEventListener("point", ({ detail }) => this.#read(detail));
  }

  #pick(row) {
    if (row === "") this.change({ row: BLANK, ink: "", mask: "none", brush: "white" });
    else if (this.state.row === BLANK) this.change({ row, ink: "", brush: "reveal" });
    else this.change({ row, ink: "" });
  }

  update(changed) {
    this.easel.brush.mode = this.state.brush;
    this.easel.brush.width = Number(this.state.size);
    this.fields.brush.allow("reveal", this.state.row !== BLANK);
    if (changed.has("frame")) this.plot.follow(this.state.frame === "posterior");
    if (changed.has("axes")) this.#loadMap();
    if (changed.has("surprise")) this.#showSurprise();
    if (changed.has("stream")) this.#drawOn();
    if (changed.has("row")) this.#loadRow();
    else if (ASKED.some((name) => changed.has(name))) this.#restore();
  }

  #loadMap() {
    const { axes } = this.state;
    if (!axes) return;
    this.requests.map.ask(
      (signal) => this.backend.map(this.run.id, { axes }, signal),
      (map) => this.plot.showRows(map),
    );
  }

  #loadRow() {
    if (this.state.row === BLANK) {
      this.sketch.takeBlank();
      this.origin.textContent =
        "A sketch from scratch: paint black and white pixels that are seen.";
      return this.#restore();
    }
    const call = (signal) =>
      this.backend.row(this.run.id, Number(this.state.row), this.state.axes || null, signal);
    this.requests.row.ask(call, (row) => this.#showRow(row));
  }

  #showRow({ x, missing, origin, label }) {
    this.sketch.takePicture(x.values, missing?.values ?? null);
    const name = this.run.classes.find((one) => one.label === label)?.name;
    this.origin.textContent = name === undefined ? origin : `${origin}, class ${name}`;
    this.#restore();
  }

  #restore() {
    this.sketch.restore(this.state.mask, this.state.ink);
    this.easel.redraw();
    this.#infer();
  }

  #paint() {
    if (!this.#slow) this.#infer();
  }

  #endStroke() {
    this.note({ mask: this.sketch.maskText, ink: this.sketch.inkText }, true);
    if (this.#slow) this.#infer();
  }

  /** True if the method takes so long that a stroke is finished first. */
  get #slow() {
    return this.run.methods.find(({ name }) => name === this.state.method)?.slow ?? false;
  }

  /** Ask for the posterior; the rough one of a method that refines it later is soon at hand. */
  #infer() {
    const { method } = this.state;
    this.#ask(method === "laplace" && !this.#slow ? { refine: false } : {});
  }

  #ask(how) {
    const started = performance.now();
    const question = { ...this.#question(), ...how };
    const call = (signal) => this.backend.complete(this.run.id, question, signal);
    clearTimeout(this.rest);
    this.requests.complete.ask(call, (completion) => {
      this.#show(completion, started);
      clearTimeout(this.rest);
      if (completion.refined === false) this.rest = setTimeout(() => this.#ask({}), REST);
    });
  }

  #question() {
    const { method, axes, seed } = this.state;
    const { values, seenValues } = this.sketch;
    const question = {
      x: Array.from(values),
      seen: seenValues,
      method,
      draws: DRAWS,
      seed: Number(seed),
    };
    return axes ? { ...question, axes } : question;
  }

  #show(completion, started) {
    this.completion = completion;
    if (completion.posterior) this.plot.show(completion.posterior);
    this.pictures.show(completion);
    this.#showSurprise();
    this.findings.show(completion, (performance.now() - started) / 1000);
    announce(evidenceInWords(completion.log_evidence));
    this.#drawOn();
  }

  #drawOn() {
    clearTimeout(this.timer);
    if (this.state.stream !== "on" || !this.completion || this.closed.aborted) return;
    this.timer = setTimeout(() => this.#drawAnew(false), PAUSE);
  }

  #showSurprise() {
    const on = this.state.surprise === "on" && this.completion?.surprise;
    this.surprise = on ? surpriseOf(this.completion.surprise) : null;
    this.easel.showSurprise(this.surprise);
    this.surpriseKey.show(this.surprise);
  }

  #read(pixel) {
    if (pixel === null) return;
    const { sketch } = this;
    const place = pixel.row * sketch.width + pixel.column;
    const value = sketch.seen[place] ? `seen, ${significant(sketch.values[place])}` : "unseen";
    const nats =
      this.surprise && sketch.seen[place]
        ? `, surprise ${significant(this.surprise.values[place], 2)} nats`
        : "";
    this.readout.textContent = `Row ${pixel.row + 1}, column ${pixel.column + 1}: ${value}${nats}`;
    if (this.easel.canvas.matches(":focus-visible")) announce(this.readout.textContent);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.rest);
    super.close();
  }
}

function defaultsOf(run) {
  const [method, axes] = [run.methods[0].name, run.axes[0] ?? ""];
  const asked = { row: "0", mask: "top", ink: "", method, axes, seed: "0" };
  const size = Object.keys(sizesFor(run.event_shape[2]))[1];
  return { ...asked, brush: "reveal", size, surprise: "", frame: "posterior", stream: "" };
}

function rulesOf(run) {
  const [, height, width] = run.event_shape;
  return {
    row: either(rowOf(run), oneOf([BLANK])),
    mask: either(oneOf(MASK_NAMES), bitsRule(height * width)),
    ink: bitsRule(2 * height * width),
    method: oneOf(run.methods.map(({ name }) => name)),
    axes: planeOf(run),
    seed: SEED,
    brush: oneOf(Object.keys(BRUSH_TITLES)),
    size: oneOf(Object.keys(sizesFor(width))),
    surprise: SWITCH,
    frame: oneOf(Object.keys(FRAMES)),
    stream: SWITCH,
  };
}

function sizesFor(width) {
  const unit = Math.max(1, Math.round(width / 28));
  return Object.fromEntries([1, 3, 5, 9].map((size) => [size * unit, `${size * unit} px`]));
}
