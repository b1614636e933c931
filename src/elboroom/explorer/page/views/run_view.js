import { dataButton } from "../controls/download.js";
import { box, card, element } from "../controls/element.js";
import { SelectField } from "../controls/field.js";
import { configTables } from "./config_table.js";
import { Curves } from "./curves.js";
import { evaluationTable } from "./evaluation_table.js";
import { oneOf } from "./address_rules.js";
import { View } from "./view.js";

const MOST_TRIES = 5; // to load a figure from a busy server
const REFRESH = 2000; // milliseconds between two looks at a run that is being trained

/** A run: its training, evaluation, figures and options, alone or beside those of another run. */
export class RunView extends View {
  static title = "Run";
  #timer = 0;

  constructor(stage) {
    const others = stage.runs.filter(({ id }) => id !== stage.run.id);
    super(stage, { compare: "" }, { compare: oneOf(others.map(({ id }) => id)) });
    this.others = others;
    this.asked = this.request();
    this.#build();
  }

  #build() {
    const compare = (other) => this.change({ compare: other });
    const { others } = this;
    const titles = [["", "no other run"], ...others.map(({ id, name }) => [id, name])];
    const field = new SelectField("Compare with", titles, compare);
    field.element.hidden = others.length === 0;
    this.fields = { compare: field };
    this.live = element("p", { class: "live", hidden: true }, "Training now");
    this.stage.place.append(box("fields", field.element, this.live), ...this.#cards());
  }

  #cards() {
    const { name, figures } = this.run;
    this.curves = new Curves(name, this.closed);
    [this.evaluation, this.config] = [box("evaluation"), box("options")];
    const [training, evaluation, options] = ["epochs", "evaluation", "config"].map((part) =>
      dataButton(`${part} of ${name}`, () =>
        this.found.map((one) => ({ name: one.name, [part]: one[part] })),
      ),
    );
    return [
      card("Training", this.curves.element, training),
      card("Evaluation", this.evaluation, evaluation),
      ...(figures.length > 0 ? [card("Figures", this.#figures())] : []),
      card("Options", this.config, options),
    ];
  }

  #figures() {
    const { id, figures } = this.run;
    const addresses = figures.map((name) => this.backend.figureAddress(id, name));
    const images = figures.map((name) => element("img", { alt: `Figure: ${titleOf(name)}` }));
    loadInTurn(images, addresses);
    return box("figures", ...images.map((image, i) => figureOf(image, figures[i], addresses[i])));
  }

  update() {
    clearTimeout(this.#timer);
    const call = (signal) => Promise.all(this.#ids.map((id) => this.#find(id, signal)));
    this.asked.ask(call, (found) => this.#show(found));
  }

  /** The run, and the one that it is compared with. */
  get #ids() {
    return [this.run.id, this.state.compare].filter(Boolean);
  }

  async #find(id, signal) {
    const [{ name, config }, { live, epochs }, { evaluation }] = await Promise.all([
      id === this.run.id ? this.run : this.backend.run(id),
      this.backend.history(id, signal),
      this.backend.evaluation(id, signal),
    ]);
    return { name, config, live, epochs, evaluation };
  }

  #show(found) {
    this.found = found;
    this.live.hidden = !found.some(({ live }) => live);
    this.curves.show(found);
    this.evaluation.replaceChildren(evaluationTable(found));
    this.config.replaceChildren(configTables(found));
    this.#watch();
  }

  #watch() {
    if (this.live.hidden || this.closed.aborted) return;
    this.#timer = setTimeout(() => this.#refresh(), REFRESH);
  }

  /** Look at the histories again; the tables stay as they are, for somebody may be reading them. */
  #refresh() {
    const call = (signal) => Promise.all(this.#ids.map((id) => this.backend.history(id, signal)));
    this.asked.ask(call, (histories) => this.#showHistories(histories));
  }

  #showHistories(histories) {
    histories.forEach(({ live, epochs }, i) => Object.assign(this.found[i], { live, epochs }));
    this.live.hidden = !histories.some(({ live }) => live);
    this.curves.show(this.found);
    if (this.live.hidden) this.update();
    else this.#watch();
  }

  close() {
    clearTimeout(this.#timer);
    super.close();
  }
}

function figureOf(image, name, address) {
  const attributes = {
    href: address,
    download: `${name}.png`,
    class: "save",
    "aria-label": `PNG: save ${titleOf(name)}`,
  };
  const caption = element(
    "figcaption",
    {},
    element("span", {}, titleOf(name)),
    element("a", attributes, "PNG"),
  );
  return element("figure", {}, image, caption);
}

/** Load images one after the other, for a server of one reader answers few questions at once. */
async function loadInTurn(images, addresses) {
  for (const [i, image] of images.entries()) {
    for (let tries = 0; tries < MOST_TRIES && !(await isLoaded(image, addresses[i])); tries += 1)
      await pause();
  }
}

function isLoaded(image, address) {
  return new Promise((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = address;
  });
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, REFRESH));
}

function titleOf(name) {
  return name.replaceAll("_", " ").replaceAll("-", " ");
}
