import { savableFigure } from "../controls/download.js";
import { box, card } from "../controls/element.js";
import { drawPicture, pictureCanvas, tonesOf } from "./picture.js";
import { drawSheet } from "./sheet.js";

const COLUMNS = 4;

/** The mean completion of a picture, and draws of it. */
export class CompletedPictures {
  /**
   * @param {object} run its description.
   */
  constructor(run) {
    this.run = run;
    this.mean = pictureCanvas("Mean completion");
    this.draws = pictureCanvas("Draws of the completion");
    const mean = savableFigure(this.mean, `mean completion by ${run.name}`, "mean");
    const draws = savableFigure(this.draws, `draws of the completion by ${run.name}`, "draws");
    this.element = card("Completion", box("completed", mean, draws));
  }

  /**
   * Show the pictures of a completion.
   *
   * @param {object} completion of the backend.
   */
  show({ mean, draws }) {
    drawPicture(this.mean, tonesOf(mean.values, this.run.tones), mean.shape);
    drawSheet(this.draws, draws, Math.min(COLUMNS, draws.length));
    this.draws.setAttribute("aria-label", `${draws.length} draws of the completion`);
  }
}
