import { savableFigure } from "../controls/download.js";
import { element } from "../controls/element.js";
import { Chart } from "./chart.js";

const CHARTS = [
  { title: "ELBO in training", field: "elbo" },
  { title: "Held-out ELBO", field: "held_out_elbo" },
  { title: "KL", field: "kl" },
  { title: "Reconstruction", field: "reconstruction" },
];
const STYLES = [
  { colour: "accent", dash: [] },
  { colour: "warm", dash: [6, 4] },
];

/** The training curves of one run, or of two over each other. */
export class Curves {
  /**
   * @param {string} name of the run, for files.
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(name, closed) {
    this.charts = CHARTS.map(({ title, field }) => ({ field, chart: new Chart(title, closed) }));
    this.key = element("ul", { class: "key" });
    const figures = this.charts.map(({ chart }) => figureOf(chart, name));
    this.element = element("div", {}, this.key, element("div", { class: "charts" }, ...figures));
  }

  /**
   * Show the histories of runs.
   *
   * @param {{name: string, epochs: object[]}[]} histories at most two.
   */
  show(histories) {
    const rows = histories.map(({ name }, i) =>
      element("li", { class: i === 0 ? "line-key" : "dash-key" }, name),
    );
    this.key.replaceChildren(...rows);
    for (const { field, chart } of this.charts) {
      chart.show(histories.map((history, i) => ({ ...lineOf(history, field), ...STYLES[i] })));
    }
  }
}

function figureOf(chart, name) {
  const title = element("h4", {}, chart.title, element("span", { class: "unit" }, " nats"));
  const shown = element("div", {}, title, chart.canvas);
  return savableFigure(shown, `${chart.title} of ${name}`, chart.readout, chart.canvas);
}

function lineOf({ name, epochs }, field) {
  return { name, x: epochs.map(({ epoch }) => epoch), y: epochs.map((one) => one[field]) };
}
