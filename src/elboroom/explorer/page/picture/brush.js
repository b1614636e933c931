const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The brush on a sketch, led by the pointer, or by arrow keys and space. */
export class Brush {
  #last = null;
  #pressed = false;

  /**
   * @param {import("./sketch_canvas.js").SketchCanvas} easel
   */
  constructor(easel) {
    this.easel = easel;
    this.mode = "reveal";
    this.width = 3;
    const listeners = {
      pointerdown: this.#down,
      pointermove: this.#move,
      pointerup: this.#lift,
      pointercancel: this.#lift,
      pointerleave: this.#leave,
      keydown: this.#key,
      keyup: this.#keyUp,
      blur: this.#leave,
    };
    for (const [type, listener] of Object.entries(listeners)) {
      easel.canvas.addEventListener(type, (event) => listener.call(this, event));
    }
  }

  #down(event) {
    if (event.button !== 0) return;
    this.easel.canvas.setPointerCapture(event.pointerId);
    this.#start(this.#pixelOf(event));
  }

  #move(event) {
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of [...steps, event]) this.#paintTo(this.#pixelOf(step));
    this.#point(this.#pixelOf(event));
  }

  #leave() {
    this.#lift();
    this.#point(null);
  }

  #lift() {
    this.#pressed = false;
    if (this.#last === null) return;
    this.#last = null;
    this.easel.dispatchEvent(new Event("stroke"));
  }

  #key(event) {
    if (event.key === " ") this.#space(event);
    else if (event.key in ARROWS) this.#step(event);
  }

  #space(event) {
    event.preventDefault();
    if (event.repeat) return;
    this.#pressed = true;
    this.#start(this.#cursor);
    this.#point(this.#cursor);
  }

  #step(event) {
    event.preventDefault();
    const { width, height } = this.easel.sketch;
    const [x, y] = ARROWS[event.key];
    const { column, row } = this.#cursor;
    const next = { column: clamp(column + x, width), row: clamp(row + y, height) };
    if (this.#pressed) this.#paintTo(next);
    this.#point(next);
  }

  #keyUp(event) {
    if (event.key === " ") this.#lift();
  }

  get #cursor() {
    const { width, height } = this.easel.sketch;
    return this.easel.cursor ?? { column: width >> 1, row: height >> 1 };
  }

  #start(pixel) {
    this.#last = pixel;
    this.#paintTo(pixel);
  }

  #paintTo(pixel) {
    if (this.#last === null) return;
    const { sketch } = this.easel;
    const touched = line(this.#last, pixel).map(({ column, row }) =>
      sketch.touch(this.mode, column, row, this.width),
    );
    this.#last = pixel;
    if (!touched.includes(true)) return;
    this.easel.redraw();
    this.easel.dispatchEvent(new Event("paint"));
  }

  #point(pixel) {
    this.easel.cursor = pixel;
    this.easel.redraw();
    this.easel.dispatchEvent(new CustomEvent("point", { detail: pixel }));
  }

  #pixelOf(event) {
    const { left, top, width, height } = this.easel.canvas.getBoundingClientRect();
    const { sketch } = this.easel;
    const column = Math.floor(((event.clientX - left) / width) * sketch.width);
    const row = Math.floor(((event.clientY - top) / height) * sketch.height);
    return { column: clamp(column, sketch.width), row: clamp(row, sketch.height) };
  }
}

function line(start, end) {
  const [across, down] = [end.column - start.column, end.row - start.row];
  const steps = Math.max(1, Math.abs(across), Math.abs(down));
  return Array.from({ length: steps + 1 }, (_, i) => ({
    column: Math.round(start.column + (i / steps) * across),
    row: Math.round(start.row + (i / steps) * down),
  }));
}

function clamp(value, size) {
  return Math.min(size - 1, Math.max(0, value));
}
