import { announce } from "../controls/announcement.js";
import { dataButton, savableFigure } from "../controls/download.js";
import { box, card } from "../controls/element.js";
import { RadioField, SelectField, SliderField, button } from "../controls/field.js";
import { PlaneField } from "../controls/plane_field.js";
import { themeColour } from "../controls/theme.js";
import { drawPicture, pictureCanvas } from "../picture/picture.js";
import { drawSheet } from "../picture/sheet.js";
import { Dots, extentOf } from "../plane/dots.js";
import { strokeWithHalo } from "../plane/ellipse.js";
import { Handles } from "../plane/handles.js";
import { Plane } from "../plane/plane.js";
import { EndChoice } from "./end_choice.js";
import { either, listOf, oneOf, planeOf, point, rowOf, wholeNumber } from "./address_rules.js";
import { readEnds, textOfEnds } from "./path_ends.js";
import { View } from "./view.js";

const FAINT = 0.28; // opacity of the encoded rows behind the path
const FRAME = 40; // CSS pixels that a picture of the filmstrip has at least
const PATHS = { straight: "Straight", spherical: "Spherical" };
const COUNTS = { 2: "Two images", 4: "Four images" };
const HINT = "Drag an end, or focus it and use the arrow keys (with shift for longer steps).";
const STEPS = ["7", "13", "25"];

/** Interpolation: the pictures on a path between two z, or on a surface between four. */
export class InterpolateView extends View {
  static title = "Interpolate";

  constructor(stage) {
    const ends = textOfEnds([0, 1].map((row) => ({ row: Math.min(row, stage.run.rows - 1) })));
    const defaults = { ends, path: "straight", steps: "13", across: "6", down: "0" };
    super(stage, { ...defaults, axes: stage.run.axes[0] ?? "" }, rulesOf(stage.run));
    this.requests = { map: this.request(), path: this.request() };
    this.planar = this.run.axes.length > 0;
    this.plane = new Plane("Path in the latent space", this.closed);
    this.handles = new Handles(this.plane, {
      moving: (index, point) => this.#move(index, point),
      moved: () => this.note({}, true),
    });
    this.#build();
    this.#listen();
  }

  get #ends() {
    return readEnds(this.state.ends);
  }

  get #name() {
    return `path of ${this.run.name}`;
  }

  #build() {
    this.frame = pictureCanvas("Picture at this place of the path");
    this.strip = pictureCanvas("Filmstrip of the path");
    this.count = new RadioField("Between", COUNTS, (count) => this.#takeEnds(Number(count)));
    this.fields = {
      path: new RadioField("Shape", PATHS, (path) => this.change({ path })),
      steps: new SelectField(
        "Steps",
        STEPS.map((one) => [one, one]),
        (steps) => this.#takeSteps(steps),
      ),
      axes: new PlaneField(this.run, (axes) => this.change({ axes })),
      across: this.#slider("Along the path", (across) => this.change({ across }, false)),
      down: this.#slider("Downwards", (down) => this.change({ down }, false)),
    };
    this.choices = ["A", "B", "C", "D"].map((name, i) => this.#choice(name, i));
    const side = box("side", this.#endsCard(), this.#pathCard());
    this.stage.place.append(this.#planeSide(), this.#filmstrip(), side);
  }

  #slider(label, use) {
    return new SliderField(label, { min: 0, max: Number(this.state.steps) - 1, step: 1 }, use);
  }

  #choice(name, index) {
    return new EndChoice(name, this.run, (row) => this.#takeRow(index, row));
  }

  #planeSide() {
    const { element: shown, canvas } = this.plane;
    const figure = savableFigure(shown, this.#name, HINT, canvas);
    const side = box("wide", this.fields.axes.element, figure);
    side.hidden = !this.planar;
    return side;
  }

  #endsCard() {
    const ends = box("ends", ...this.choices.map((choice) => choice.element));
    const another = button("Random images", () => this.#takeRandom());
    return card("Ends", this.count.element, ends, another);
  }

  #pathCard() {
    const { path, steps, across, down } = this.fields;
    const frame = savableFigure(this.frame, `picture on the ${this.#name}`);
    const sliders = box("sliders", across.element, down.element);
    const fields = box("fields", path.element, steps.element);
    return card("Path", fields, box("beside", frame, sliders));
  }

  #filmstrip() {
    const name = `filmstrip of ${this.run.name}`;
    this.film = savableFigure(
      this.strip,
      name,
      dataButton(name, () => this.path),
    );
    return box("film", card("Filmstrip", this.film));
  }

  #listen() {
    this.plane.layers = [
      (context, axes) => this.dots?.draw(context, axes),
      (context, axes) => this.#drawPath(context, axes),
    ];
    const sizes = new ResizeObserver(() => this.#drawStrip());
    sizes.observe(this.stage.place);
    this.closed.addEventListener("abort", () => sizes.disconnect());
  }

  update(changed) {
    this.count.value = String(this.#ends.length);
    this.fields.down.element.hidden = this.#ends.length < 4;
    this.choices.forEach((choice, i) => choice.show(this.#ends[i]));
    if (changed.has("axes")) this.#loadMap();
    if (["ends", "path", "steps", "axes"].some((name) => changed.has(name))) this.#load();
    else this.#showFrame();
  }

  #takeEnds(count) {
    const others = Array.from({ length: 4 }, () => ({ row: this.#randomRow() }));
    const middle = this.#middle(count, this.state.steps);
    this.change({ ends: textOfEnds([...this.#ends, ...others].slice(0, count)), ...middle });
  }

  #takeRow(index, row) {
    this.change({
      ends: textOfEnds(this.#ends.map((end, i) => (i === index ? { row: Number(row) } : end))),
    });
  }

  #takeRandom() {
    this.change({ ends: textOfEnds(this.#ends.map(() => ({ row: this.#randomRow() }))) });
  }

  #takeSteps(steps) {
    this.change({ steps, ...this.#middle(this.#ends.length, steps) });
  }

  #middle(ends, steps) {
    const middle = String((Number(steps) - 1) / 2);
    return { across: middle, down: ends === 4 ? middle : "0" };
  }

  #randomRow() {
    return Math.floor(this.run.rows * Math.random());
  }

  /** Show an end elsewhere; the address follows once it is let go. */
  #move(index, point) {
    this.state.ends = textOfEnds(this.#ends.map((end, i) => (i === index ? { point } : end)));
    this.update(new Set(["ends"]));
  }

  #loadMap() {
    const { axes } = this.state;
    if (axes)
      this.requests.map.ask(
        (signal) => this.backend.map(this.run.id, { axes }, signal),
        (map) => this.#showMap(map),
      );
  }

  #showMap(map) {
    const classes = this.run.classes.map(({ label }) => label);
    this.dots = new Dots(map.points.values, map.labels?.values ?? null, classes, () =>
      this.plane.redraw(),
    );
    this.dots.opacity = FAINT;
    this.plane.names = map.names;
    this.plane.home = extentOf(map.points.values);
    this.plane.goHome();
  }

  #load() {
    const { path, axes, steps } = this.state;
    const question = { ends: this.#ends, path, steps: Number(steps), ...(axes ? { axes } : {}) };
    const call = (signal) => this.backend.interpolate(this.run.id, question, signal);
    this.requests.path.ask(call, (found) => this.#showPath(found));
  }

  #showPath(path) {
    this.path = path;
    const steps = path.images.length;
    for (const name of ["across", "down"])
      this.#bound(this.fields[name], steps - 1, this.state[name]);
    if (path.points) this.handles.place(this.#corners());
    this.choices.forEach((choice, i) => choice.draw(this.#cornerPicture(i)));
    this.#drawStrip();
    this.#showFrame();
  }

  #bound(slider, most, value) {
    slider.input.max = most;
    slider.value = value; // which a smaller bound has cut
  }

  /** True if the pictures are those of a surface. */
  get #surface() {
    return this.path.z.shape.length === 3;
  }

  /** The places of the ends among the pictures. */
  get #cornerIndices() {
    const steps = this.path.images.length;
    return this.#surface ? [0, steps - 1, steps * (steps - 1), steps * steps - 1] : [0, steps - 1];
  }

  get #pictures() {
    return this.#surface ? this.path.images.flattened() : this.path.images;
  }

  #corners() {
    const { values } = this.path.points;
    const corners = this.#cornerIndices.map((i) => [values[2 * i], values[2 * i + 1]]);
    return corners.map((corner, i) => this.#ends[i]?.point ?? corner); // which was moved since
  }

  #cornerPicture(index) {
    const place = this.#cornerIndices[index];
    return place === undefined ? null : this.#pictures.item(place);
  }

  #drawStrip() {
    const width = this.film.clientWidth;
    if (!this.path || width === 0) return; // it is drawn when it is laid out
    const steps = this.path.images.length;
    const columns = this.#surface ? steps : Math.ceil(steps / Math.ceil((steps * FRAME) / width));
    this.strip.classList.toggle("surface", this.#surface);
    drawSheet(this.strip, this.#pictures, columns, this.#surface ? 0 : 2);
  }

  get #place() {
    const steps = this.path.images.length;
    const [across, down] = ["across", "down"].map((name) =>
      Math.min(steps - 1, Number(this.state[name])),
    );
    return this.#surface ? down * steps + across : across;
  }

  #showFrame() {
    if (!this.path) return;
    const { values, shape } = this.#pictures.item(this.#place);
    drawPicture(this.frame, values, shape);
    this.plane.redraw();
    announce(`Picture ${this.#place + 1} of ${this.#pictures.length}`);
  }

  #drawPath(context, axes) {
    if (!this.path?.points) return;
    const { values } = this.path.points;
    context.fillStyle = themeColour("mark");
    for (let i = 0; i < values.length; i += 2)
      drawDisc(context, axes.placeOf([values[i], values[i + 1]]), this.#surface ? 1.6 : 3);
    const here = 2 * this.#place;
    context.beginPath();
    context.arc(...axes.placeOf([values[here], values[here + 1]]), 8, 0, 2 * Math.PI);
    strokeWithHalo(context, themeColour("mark"), 2.5);
  }
}

function drawDisc(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function rulesOf(run) {
  const place = wholeNumber(0, run.limits.steps - 1);
  return {
    ends: listOf(endOf(run), ";", [2, 4]),
    path: oneOf(Object.keys(PATHS)),
    steps: wholeNumber(2, run.limits.steps),
    axes: planeOf(run),
    across: place,
    down: place,
  };
}

function endOf(run) {
  return run.axes.length > 0 ? either(rowOf(run), point()) : rowOf(run);
}
