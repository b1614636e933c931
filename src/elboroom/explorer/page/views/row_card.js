import { dataButton, savableFigure } from "../controls/download.js";
import { box, element } from "../controls/element.js";
import { button } from "../controls/field.js";
import { fixed } from "../controls/number_text.js";
import { drawPicture, pictureCanvas, tonesOf } from "../picture/picture.js";

const MOST_LATENTS = 8; // that are written out

/** One encoded row: its picture, its posterior in numbers, and its neighbours. */
export class RowCard {
  /**
   * @param {import("./view.js").Stage} stage
   * @param {import("../backend/newest_request.js").NewestRequest} request for the pictures of
   *   neighbours.
   * @param {(row: number) => void} choose is told of a neighbour that is chosen.
   */
  constructor(stage, request, choose) {
    this.stage = stage;
    this.request = request;
    this.choose = choose;
    this.element = element("section", { class: "card row-card" });
  }

  /**
   * Show a row; null says how to choose one.
   *
   * @param {?object} encoded
   */
  show(encoded) {
    const title = element("h3", {}, encoded ? encoded.origin : "Selected");
    const content = encoded
      ? this.#content(encoded)
      : [element("p", { class: "quiet" }, "Click a dot of the map.")];
    this.element.replaceChildren(title, ...content);
    if (encoded) this.#showNeighbours(encoded.neighbours);
  }

  #content(encoded) {
    const data = dataButton(encoded.origin, () => encoded);
    const words = element("div", {}, ...this.#facts(encoded), data);
    if (this.stage.run.kind !== "pictures")
      return [words, this.#link(encoded, "table", "Look at its entries")];
    const attributes = { class: "neighbours", role: "group", "aria-label": "Nearest in z" };
    this.neighbours = element("div", attributes);
    const title = element("h4", {}, "Nearest in z");
    return [
      box("beside", this.#picture(encoded), words),
      title,
      this.neighbours,
      this.#link(encoded, "complete", "Hide a part, and complete it"),
    ];
  }

  #picture({ x, origin, row }) {
    const canvas = pictureCanvas(`The image of ${origin}`);
    drawPicture(canvas, tonesOf(x.values, this.stage.run.tones), x.shape);
    return savableFigure(canvas, `row ${row}`);
  }

  #facts({ label, mean, std }) {
    const name = this.stage.run.classes.find((one) => one.label === label)?.name;
    const latents = mean
      .slice(0, MOST_LATENTS)
      .map((value, i) => `z${subscript(i + 1)} = ${fixed(value, 2)} ± ${fixed(std[i], 2)}`);
    const more =
      mean.length > MOST_LATENTS ? [`and ${fixed(mean.length - MOST_LATENTS, 0)} more`] : [];
    const lines = [...(name === undefined ? [] : [`class ${name}`]), ...latents, ...more];
    return lines.map((line) => element("p", { class: "fact" }, line));
  }

  #link({ row }, view, words) {
    const href = this.stage.addressOf(view, { row: String(row) });
    const offered = this.stage.run.views.includes(view);
    return element("p", { hidden: !offered }, element("a", { href }, words));
  }

  #showNeighbours(rows) {
    if (this.stage.run.kind !== "pictures" || rows.length === 0) return;
    const { backend, run } = this.stage;
    const show = ({ images }) =>
      this.neighbours.replaceChildren(
        ...rows.map((row, i) => this.#neighbour(row, images.item(i))),
      );
    this.request.ask((signal) => backend.pictures(run.id, rows, signal), show);
  }

  #neighbour(row, { values, shape }) {
    const canvas = element("canvas", { class: "picture", "aria-hidden": "true" });
    drawPicture(canvas, values, shape);
    const chosen = button("", () => this.choose(row), {
      class: "pick",
      "aria-label": `Row ${row}`,
      title: `Row ${row}`,
    });
    chosen.append(canvas);
    return chosen;
  }
}

function subscript(number) {
  return String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}
