import { element } from "../controls/element.js";
import { fixed } from "../controls/number_text.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const STEP = 0.01; // share of the view that an arrow key moves; ten times as much with shift

/** Handles over a plane, which are dragged, or moved by arrow keys. */
export class Handles {
  #places = [];

  /**
   * @param {import("./plane.js").Plane} plane
   * @param {{moving: (index: number, point: number[]) => void, moved: (index: number) => void}} use
   */
  constructor(plane, use) {
    this.plane = plane;
    this.use = use;
    this.handles = ["A", "B", "C", "D"].map((name, index) => this.#handle(name, index));
    plane.element.append(...this.handles);
    plane.addEventListener("draw", () => this.#lay());
  }

  /**
   * Put the handles at points; those without a point are hidden.
   *
   * @param {number[][]} points
   */
  place(points) {
    this.#places = points;
    this.#lay();
  }

  #handle(name, index) {
    const made = element("button", { type: "button", class: "handle" }, name);
    made.addEventListener("pointerdown", (event) => made.setPointerCapture(event.pointerId));
    made.addEventListener("pointermove", (event) => this.#drag(event, index));
    made.addEventListener("lostpointercapture", () => this.use.moved(index));
    made.addEventListener("keydown", (event) => this.#key(event, index));
    return made;
  }

  #lay() {
    const { width, height } = this.plane.axes;
    this.handles.forEach((handle, index) => {
      handle.hidden = this.#places[index] === undefined;
      if (handle.hidden) return;
      const [x, y] = this.plane.axes.placeOf(this.#places[index]);
      handle.style.left = `${Math.min(width, Math.max(0, x))}px`;
      handle.style.top = `${Math.min(height, Math.max(0, y))}px`;
      handle.setAttribute("aria-label", this.#inWords(index));
    });
  }

  #inWords(index) {
    const place = this.#places[index]
      .map((value, i) => `${this.plane.names[i]} ${fixed(value, 2)}`)
      .join(", ");
    return `${"ABCD"[index]}: end at ${place}; arrow keys move it`;
  }

  #drag(event, index) {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const { left, top } = this.plane.canvas.getBoundingClientRect();
    this.#moveTo(index, this.plane.axes.pointAt([event.clientX - left, event.clientY - top]));
  }

  #key(event, index) {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const step = (event.shiftKey ? 10 : 1) * STEP * this.plane.axes.span;
    const [a, b] = this.#places[index];
    const [x, y] = ARROWS[event.key];
    this.#moveTo(index, [a + x * step, b + y * step]);
    this.use.moved(index);
  }

  #moveTo(index, point) {
    this.#places[index] = point;
    this.#lay();
    this.use.moving(index, point);
  }
}
