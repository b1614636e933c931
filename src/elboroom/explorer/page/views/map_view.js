import { announce } from "../controls/announcement.js";
import { dataButton, savableFigure } from "../controls/download.js";
import { box, card, element } from "../controls/element.js";
import { CheckField, button } from "../controls/field.js";
import { counted, fixed } from "../controls/number_text.js";
import { PlaneField } from "../controls/plane_field.js";
import { themeColour } from "../controls/theme.js";
import { drawPicture, pictureCanvas } from "../picture/picture.js";
import { SPANS } from "../plane/axes.js";
import { Dots, extentOf } from "../plane/dots.js";
import { drawEllipses, strokeWithHalo } from "../plane/ellipse.js";
import { Legend } from "../plane/legend.js";
import { Manifold } from "../plane/manifold.js";
import { Plane } from "../plane/plane.js";
import { SWITCH, listOf, numberWithin, oneOf, planeOf, point, rowOf } from "./address_rules.js";
import { RowCard } from "./row_card.js";
import { View } from "./view.js";

const REACH = 14; // CSS pixels between a click and the dot that it means

/** The latent map: every encoded row as a dot, and what any place decodes to. */
export class MapView extends View {
  static title = "Latent map";

  constructor(stage) {
    const defaults = { axes: stage.run.axes[0], at: "", span: "", hide: "", manifold: "", row: "" };
    super(stage, defaults, rulesOf(stage.run));
    this.requests = { map: this.request(), decode: this.request(), row: this.request() };
    this.plane = new Plane("Latent map", this.closed);
    this.manifold = new Manifold(this.backend, this.run, this.plane, this.request());
    this.dots = null;
    this.selected = null;
    this.#build();
    this.#listen();
  }

  #build() {
    const show = (manifold) => this.change({ manifold });
    this.fields = {
      axes: new PlaneField(this.run, (axes) => this.change({ axes, at: "", span: "" })),
      manifold: new CheckField("Decoded manifold behind the dots", show),
    };
    this.legend = new Legend(this.run.classes, this.closed, (hide) => this.change({ hide }));
    this.card = new RowCard(this.stage, this.request(), (row) => this.change({ row: String(row) }));
    const side = box("side", this.#pointerCard(), this.card.element, this.legend.element);
    this.stage.place.append(this.#mapSide(), side);
  }

  #mapSide() {
    const name = `latent map of ${this.run.name}`;
    this.fields.manifold.element.hidden = this.run.kind !== "pictures";
    const home = button("Show all", () => this.plane.goHome());
    const fields = Object.values(this.fields).map((field) => field.element);
    const tools = box(
      "fields",
      ...fields,
      home,
      dataButton(name, () => this.map),
    );
    const { element: shown, canvas } = this.plane;
    return box("wide", tools, savableFigure(shown, name, HINT, canvas));
  }

  #pointerCard() {
    this.pointer = pictureCanvas("The image that the middle of the map decodes to");
    this.place = element("p", { class: "place" }, "The middle of the map");
    const figure = savableFigure(this.pointer, `decoded image of ${this.run.name}`);
    const made = card("Under the pointer", box("pointer", figure), this.place);
    made.hidden = this.run.kind !== "pictures";
    return made;
  }

  #listen() {
    this.plane.layers = [
      (context, axes) => this.manifold.draw(context, axes),
      (context, axes) => this.dots?.draw(context, axes),
      (context, axes) => this.#drawSelected(context, axes),
    ];
    this.plane.addEventListener("hover", ({ detail }) => this.#decode(detail));
    this.plane.addEventListener("choose", ({ detail }) => this.#choose(detail));
    this.plane.addEventListener("settle", () => this.#settle());
  }

  update(changed) {
    if (changed.has("axes")) this.#load();
    else if (changed.has("at") || changed.has("span")) this.#look();
    if (changed.has("hide")) this.#filter();
    if (changed.has("manifold")) this.#switchManifold();
    if (changed.has("row") || changed.has("axes")) this.#select();
  }

  #switchManifold() {
    const on = this.state.manifold === "on";
    this.manifold.switch(on, this.state.axes);
    this.dots?.setRing(on);
  }

  #load() {
    const { axes } = this.state;
    this.requests.map.ask(
      (signal) => this.backend.map(this.run.id, { axes }, signal),
      (map) => this.#showMap(map),
    );
  }

  #showMap(map) {
    this.map = map;
    const classes = this.run.classes.map(({ label }) => label);
    this.dots = new Dots(map.points.values, map.labels?.values ?? null, classes, () =>
      this.plane.redraw(),
    );
    this.dots.ring = this.state.manifold === "on";
    this.plane.names = map.names;
    this.plane.home = extentOf(map.points.values);
    const axes = map.names.join(" and ");
    this.plane.describe(`Latent map: ${counted(this.run.rows, this.run.noun)} on ${axes}`);
    this.#filter();
    this.#look();
    this.#decode(this.plane.axes.centre);
  }

  #look() {
    const { axes } = this.plane;
    if (this.state.at === "") return this.plane.goHome();
    axes.centre = this.state.at.split(",").map(Number);
    axes.span = Number(this.state.span) || axes.span;
    this.plane.moved();
  }

  #settle() {
    if (this.dots === null) return;
    this.note(this.plane.atHome ? { at: "", span: "" } : placeOf(this.plane.axes));
    this.manifold.refresh(this.state.axes);
  }

  #filter() {
    const hidden = new Set(this.state.hide.split(",").filter(Boolean).map(Number));
    this.legend.show(hidden);
    this.dots?.filter(this.run.classes.map(({ label }) => !hidden.has(label)));
  }

  #decode(point) {
    if (point === null || this.run.kind !== "pictures") return;
    const question = { points: [point], axes: this.state.axes };
    const call = (signal) => this.backend.decode(this.run.id, question, signal);
    this.requests.decode.ask(call, ({ images }) => this.#showDecoded(images.item(0), point));
  }

  #showDecoded({ values, shape }, point) {
    drawPicture(this.pointer, values, shape);
    const place = point.map((value, i) => `${this.plane.names[i]} = ${fixed(value, 2)}`).join(", ");
    this.pointer.setAttribute("aria-label", `Decoded image at ${place}`);
    this.place.textContent = place;
  }

  #choose(point) {
    const { index, distance } = this.dots?.nearest(point) ?? { index: -1 };
    if (index < 0 || distance * this.plane.axes.scale > REACH) return;
    this.change({ row: String(index) });
  }

  #select() {
    const { row, axes } = this.state;
    if (row === "") return this.#showSelected(null);
    const call = (signal) => this.backend.row(this.run.id, Number(row), axes, signal);
    this.requests.row.ask(call, (encoded) => this.#showSelected(encoded));
  }

  #showSelected(encoded) {
    this.selected = encoded;
    this.card.show(encoded);
    this.plane.redraw();
    if (encoded !== null) announce(`${encoded.origin} is selected`);
  }

  #drawSelected(context, axes) {
    if (!this.selected?.covariance) return;
    const { point, covariance } = this.selected;
    const [x, y] = axes.placeOf(point);
    drawEllipses(context, axes, { mean: point, covariance }, themeColour("mark"));
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    strokeWithHalo(context, themeColour("mark"), 2);
  }
}

const HINT =
  "Drag or use the arrow keys to move, the wheel or + and − to zoom. " +
  "Click a dot, or press Enter, to look at it.";

function rulesOf(run) {
  const labels = run.classes.map(({ label }) => String(label));
  return {
    axes: planeOf(run),
    at: point(),
    span: numberWithin(SPANS.least, SPANS.most),
    hide: listOf(oneOf(labels), ","),
    manifold: SWITCH,
    row: rowOf(run),
  };
}

/** Write what is shown of a plane for the address. */
function placeOf({ centre, span }) {
  const digits = Math.max(0, Math.ceil(3 - Math.log10(span)));
  return { at: centre.map((value) => value.toFixed(digits)).join(","), span: span.toPrecision(4) };
}
