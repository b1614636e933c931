import { announce } from "../controls/announcement.js";
import { dataButton, savableFigure } from "../controls/download.js";
import { box } from "../controls/element.js";
import { NumberField, RadioField, SelectField, SliderField, button } from "../controls/field.js";
import { counted } from "../controls/number_text.js";
import { pictureCanvas } from "../picture/picture.js";
import { layoutFor, drawSheet } from "../picture/sheet.js";
import { LARGEST_SEED, SEED, numberWithin, oneOf, wholeNumber } from "./address_rules.js";
import { View } from "./view.js";

const COUNTS = ["12", "24", "48", "100"];
const CAPTION =
  "z = E[z] + temperature · (z drawn from the prior − E[z]). " +
  "The pictures are the means of p(x | z), or draws of it.";
const VALUES = { mean: "Means", draw: "Draws" };
const MOST_TEMPERATURE = 2;
const SHARE_OF_SCREEN = 0.68; // that the pictures take in height
const LEAST_HEIGHT = 420; // CSS pixels

/** Samples of the model: z from the prior, and what it decodes to. */
export class SamplesView extends View {
  static title = "Samples";

  constructor(stage) {
    const rules = {
      count: wholeNumber(1, stage.run.limits.samples),
      temperature: numberWithin(0, MOST_TEMPERATURE),
      values: oneOf(Object.keys(VALUES)),
      seed: SEED,
    };
    super(stage, { count: "24", temperature: "1", values: "mean", seed: "0" }, rules);
    this.asked = this.request();
    this.#build();
    const sizes = new ResizeObserver(() => this.#draw());
    sizes.observe(this.stage.place);
    this.closed.addEventListener("abort", () => sizes.disconnect());
  }

  #build() {
    const change = (name) => (value) => this.change({ [name]: value });
    const warm = (temperature) => this.change({ temperature }, false);
    this.fields = {
      temperature: new SliderField(
        "Temperature",
        { min: 0, max: MOST_TEMPERATURE, step: 0.05 },
        warm,
      ),
      values: new RadioField("Pictures", VALUES, change("values")),
      count: new SelectField(
        "Number",
        COUNTS.map((one) => [one, one]),
        change("count"),
      ),
      seed: new NumberField("Seed", { min: 0, max: LARGEST_SEED }, change("seed")),
    };
    this.canvas = pictureCanvas("Samples of the model");
    const figure = savableFigure(this.canvas, this.#name, CAPTION);
    this.stage.place.append(this.#tools(), figure);
  }

  #tools() {
    const fields = Object.values(this.fields).map((field) => field.element);
    const refresh = () => this.change({ seed: freshSeed() });
    const data = dataButton(this.#name, () => this.samples);
    return box(
      "card fields",
      ...fields,
      button("New samples", refresh, { class: "primary" }),
      data,
    );
  }

  get #name() {
    return `samples of ${this.run.name}`;
  }

  update() {
    const call = (signal) => this.backend.samples(this.run.id, this.state, signal);
    this.asked.ask(call, (samples) => this.#show(samples));
  }

  #show(samples) {
    this.samples = samples;
    this.#draw();
    const { temperature, values } = this.state;
    const count = counted(samples.images.length, "sample");
    const words = `${count}, ${VALUES[values].toLowerCase()}, temperature ${temperature}`;
    this.canvas.setAttribute("aria-label", words);
    announce(words);
  }

  #draw() {
    if (!this.samples) return;
    const { images } = this.samples;
    const height = Math.max(LEAST_HEIGHT, SHARE_OF_SCREEN * innerHeight);
    const { columns, width } = layoutFor(images.length, this.stage.place.clientWidth, height);
    this.canvas.style.setProperty("width", `${width}px`);
    drawSheet(this.canvas, images, columns);
  }
}

function freshSeed() {
  return String(Math.floor(LARGEST_SEED * Math.random()));
}
