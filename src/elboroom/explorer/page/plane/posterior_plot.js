import { savableFigure } from "../controls/download.js";
import { element } from "../controls/element.js";
import { significant } from "../controls/number_text.js";
import { themeColour } from "../controls/theme.js";
import { Dots, extentOf } from "./dots.js";
import { drawEllipses } from "./ellipse.js";
import { CONTOUR_DEPTHS, Heat } from "./heat.js";
import { Plane } from "./plane.js";

const FAINT = 0.3; // opacity of the encoded rows behind the posterior
const ROOM = 0.25; // of the posterior's size, left around it
const TOO_SMALL = 0.3; // share of the view below which the view comes nearer
const DEVIATIONS = 4; // of the ellipse that the view holds

/** The posterior of z given what is seen, on a plane. */
export class PosteriorPlot {
  #heat = null;
  #posterior = null;
  #dots = null;

  /**
   * @param {string} name of the run, for files.
   * @param {AbortSignal} closed ends its listeners.
   */
  constructor(name, closed) {
    this.plane = new Plane("Posterior of z given what is seen", closed);
    this.plane.layers = [
      (context, axes) => this.#dots?.draw(context, axes),
      (context, axes) => this.#heat?.draw(context, axes),
      (context, axes) => this.#drawDraws(context, axes),
      (context, axes) => this.#drawGaussian(context, axes),
    ];
    this.key = element("ul", { class: "key" });
    const { element: shown, canvas } = this.plane;
    this.element = savableFigure(shown, `posterior of ${name}`, this.key, canvas);
    this.follows = true;
  }

  /**
   * Show the encoded rows faintly behind the posterior.
   *
   * @param {object} map of the backend.
   */
  showRows(map) {
    this.#dots = new Dots(map.points.values, null, [], () => this.plane.redraw());
    Object.assign(this.#dots, { opacity: FAINT, plain: "dot" });
    this.plane.names = map.names;
    this.plane.home = extentOf(map.points.values);
    if (this.#posterior === null || !this.follows) this.plane.goHome();
    else this.plane.redraw();
  }

  /**
   * Show a posterior.
   *
   * @param {object} posterior of the backend.
   */
  show(posterior) {
    this.#posterior = posterior;
    this.#heat = posterior.heat && new Heat(posterior.heat);
    this.plane.names = posterior.names;
    this.#explain(posterior);
    if (this.follows) this.#follow(extentOfPosterior(posterior));
    this.plane.redraw();
  }

  /**
   * Let the view follow the posterior, or show the whole plane.
   *
   * @param {boolean} follows
   */
  follow(follows) {
    this.follows = follows;
    if (!follows) this.plane.goHome();
    else if (this.#posterior) this.#comeTo(extentOfPosterior(this.#posterior));
  }

  /** Move the view only if the posterior leaves it or gets small in it: it stays calm as one paints. */
  #follow(extent) {
    const { left, right, bottom, top } = this.plane.axes.rectangle;
    const inside =
      extent.left >= left && extent.right <= right && extent.bottom >= bottom && extent.top <= top;
    const size = Math.max(
      (extent.right - extent.left) / (right - left),
      (extent.top - extent.bottom) / (top - bottom),
    );
    if (!inside || size < TOO_SMALL) this.#comeTo(extent);
  }

  #comeTo({ left, right, bottom, top }) {
    const room = ROOM * Math.max(right - left, top - bottom);
    this.plane.axes.fit({
      left: left - room,
      right: right + room,
      bottom: bottom - room,
      top: top + room,
    });
    this.plane.moved();
  }

  #drawDraws(context, axes) {
    if (this.#posterior === null || this.#heat !== null) return;
    const { values } = this.#posterior.draws;
    context.fillStyle = themeColour("accent");
    context.globalAlpha = 0.5;
    for (let i = 0; i < values.length; i += 2)
      drawDot(context, axes.placeOf([values[i], values[i + 1]]));
    context.globalAlpha = 1;
  }

  #drawGaussian(context, axes) {
    if (this.#posterior?.covariance)
      drawEllipses(context, axes, this.#posterior, themeColour("mark"));
  }

  #explain({ heat, covariance, fitted_kl: kl, mean, names }) {
    const density = heat
      ? [
          "contour-key",
          `exact p(z | seen); contours ${CONTOUR_DEPTHS.join(", ")} nats below the maximum`,
        ]
      : ["draw-key", "draws of z"];
    const gaussian = covariance ? [["ellipse-key", titleOfGaussian(kl)]] : [];
    const rows = [density, ...gaussian].map(([kind, text]) => element("li", { class: kind }, text));
    this.key.replaceChildren(...rows);
    const place = mean.map((value, i) => `${names[i]} = ${significant(value)}`).join(", ");
    this.plane.describe(`Posterior of z given what is seen: mean ${place}; ${titleOfGaussian(kl)}`);
  }
}

function titleOfGaussian(kl) {
  const ellipse = "ellipses of 1 and 2 standard deviations";
  return kl === null
    ? `mean and covariance: ${ellipse}`
    : `fitted q, KL(q ‖ p) = ${significant(kl, 2)} nats: ${ellipse}`;
}

function drawDot(context, [x, y]) {
  context.beginPath();
  context.arc(x, y, 2.2, 0, 2 * Math.PI);
  context.fill();
}

function extentOfPosterior({ heat, draws, mean, covariance }) {
  if (heat) return heat;
  if (!covariance) return extentOf(draws.values);
  const [across, up] = [0, 1].map((i) => Math.max(1e-3, DEVIATIONS * Math.sqrt(covariance[i][i])));
  return {
    left: mean[0] - across,
    right: mean[0] + across,
    bottom: mean[1] - up,
    top: mean[1] + up,
  };
}
