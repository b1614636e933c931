const CLICK_REACH = 5; // CSS pixels that a click may wander
const KEY_SHARE = 0.1; // of the plot that an arrow key moves
const KEY_ZOOM = 1.3;
const WHEEL_ZOOM = 0.0015;

const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** The gestures of the mouse, fingers, the wheel and keys on a plane: pan, zoom, hover, choose. */
export class Gestures {
  #pointers = new Map();
  #start = null;

  /**
   * @param {import("./plane.js").Plane} plane
   */
  constructor(plane) {
    this.plane = plane;
    const listeners = {
      pointerdown: this.#down,
      pointermove: this.#move,
      pointerup: this.#up,
      pointercancel: this.#cancel,
      pointerleave: this.#leave,
      wheel: this.#wheel,
      keydown: this.#key,
      blur: this.#blur,
    };
    for (const [type, listener] of Object.entries(listeners)) {
      plane.canvas.addEventListener(type, (event) => listener.call(this, event), {
        passive: false,
      });
    }
  }

  #down(event) {
    this.plane.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, placeOf(event));
    this.#start = this.#pointers.size === 1 ? placeOf(event) : null;
    this.#setCrosshair(false);
  }

  #move(event) {
    const place = placeOf(event);
    this.plane.tell("hover", this.plane.axes.pointAt(place));
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return;
    if (this.#start && distance(place, this.#start) > CLICK_REACH) this.#start = null;
    if (this.#start === null) this.#drag(event.pointerId, before, place);
  }

  #drag(id, before, place) {
    const others = [...this.#pointers].filter(([other]) => other !== id);
    if (others.length > 0) {
      const [, still] = others[0];
      this.plane.axes.zoom(distance(place, still) / Math.max(1, distance(before, still)), still);
    } else {
      this.plane.axes.pan(place[0] - before[0], place[1] - before[1]);
    }
    this.#pointers.set(id, place);
    this.plane.moved();
  }

  #up(event) {
    if (this.#start) this.plane.tell("choose", this.plane.axes.pointAt(this.#start));
    this.#cancel(event);
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#start = null;
  }

  #leave() {
    if (this.#pointers.size === 0) this.plane.tell("hover", null);
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 * event.deltaY : event.deltaY;
    this.plane.axes.zoom(Math.exp(-WHEEL_ZOOM * pixels), placeOf(event));
    this.plane.moved();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.#act(event.key)) return;
    event.preventDefault();
    this.#setCrosshair(true);
    this.plane.tell("hover", this.plane.axes.centre);
  }

  #act(key) {
    const { plane } = this;
    if (key in ARROWS) this.#panBy(ARROWS[key]);
    else if (key === "+" || key === "=") this.#zoomBy(KEY_ZOOM);
    else if (key === "-" || key === "_") this.#zoomBy(1 / KEY_ZOOM);
    else if (key === "0") plane.goHome();
    else if (key === "Enter") plane.tell("choose", plane.axes.centre);
    else return false;
    return true;
  }

  #panBy([x, y]) {
    const { width, height } = this.plane.axes.plot;
    this.plane.axes.pan(x * KEY_SHARE * width, y * KEY_SHARE * height);
    this.plane.moved();
  }

  #zoomBy(factor) {
    const { axes } = this.plane;
    axes.zoom(factor, axes.placeOf(axes.centre));
    this.plane.moved();
  }

  #blur() {
    this.#setCrosshair(false);
    this.plane.tell("hover", null);
  }

  #setCrosshair(shown) {
    this.plane.crosshair = shown;
    this.plane.redraw();
  }
}

function placeOf(event) {
  const { left, top } = event.currentTarget.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

function distance([x, y], [u, v]) {
  return Math.hypot(x - u, y - v);
}
