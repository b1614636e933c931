import { element } from "./element.js";
import { THEME_CHANGED, themeColour } from "./theme.js";

/** A canvas that is drawn again whenever its size or the theme changes. */
export class SizedCanvas {
  /**
   * @param {string} name of the class in the style sheet.
   * @param {AbortSignal} closed ends its listeners.
   * @param {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw in
   *   CSS pixels, on an empty ground.
   */
  constructor(name, closed, draw) {
    this.canvas = element("canvas", { class: name, role: "img", "aria-label": "Nothing yet" });
    this.draw = draw;
    const sizes = new ResizeObserver(() => this.redraw());
    sizes.observe(this.canvas);
    closed.addEventListener("abort", () => sizes.disconnect());
    document.addEventListener(THEME_CHANGED, () => this.redraw(), { signal: closed });
  }

  /**
   * Say what is drawn to screen readers.
   *
   * @param {string} words
   */
  describe(words) {
    this.canvas.setAttribute("aria-label", words);
  }

  /** Draw it. */
  redraw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    this.canvas.width = width * devicePixelRatio;
    this.canvas.height = height * devicePixelRatio;
    const context = this.canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = themeColour("surface");
    context.fillRect(0, 0, width, height);
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    this.draw(context, width, height);
  }
}
