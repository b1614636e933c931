import { element, freshId } from "./element.js";

/** A control with a label. Its element stands in the page; its value is a string. */
class Field {
  get value() {
    return this.input.value;
  }

  set value(value) {
    this.input.value = value;
  }
}

/** A choice from a list that opens. */
export class SelectField extends Field {
  /**
   * @param {string} label
   * @param {[string, string][]} choices values and titles, in their order.
   * @param {(value: string) => void} use
   */
  constructor(label, choices, use) {
    super();
    const options = choices.map(([value, title]) => element("option", { value }, title));
    this.input = element("select", { id: freshId(), onchange: () => use(this.value) }, ...options);
    this.element = labelled(label, this.input);
  }
}

/** A choice from a few that are all in sight. */
export class RadioField {
  /**
   * @param {string} label
   * @param {Object<string, string>} choices titles by value.
   * @param {(value: string) => void} use
   */
  constructor(label, choices, use) {
    const name = freshId();
    this.inputs = Object.keys(choices).map((value) =>
      element("input", { type: "radio", name, value, onchange: () => use(value) }),
    );
    const labels = this.inputs.map((input) =>
      element("label", {}, input, element("span", {}, choices[input.value])),
    );
    const choice = element("div", { class: "segments" }, ...labels);
    this.element = element("fieldset", { class: "field" }, element("legend", {}, label), choice);
  }

  get value() {
    return this.inputs.find((input) => input.checked)?.value ?? "";
  }

  set value(value) {
    for (const input of this.inputs) input.checked = input.value === value;
  }

  /**
   * Allow or forbid one of the choices.
   *
   * @param {string} value
   * @param {boolean} allowed
   */
  allow(value, allowed) {
    this.inputs.find((input) => input.value === value).disabled = !allowed;
  }
}

/** A switch; its value is "on" or "". */
export class CheckField {
  /**
   * @param {string} label
   * @param {(value: string) => void} use
   */
  constructor(label, use) {
    this.input = element("input", { type: "checkbox", onchange: () => use(this.value) });
    this.element = element("label", { class: "check" }, this.input, element("span", {}, label));
  }

  get value() {
    return this.input.checked ? "on" : "";
  }

  set value(value) {
    this.input.checked = value === "on";
  }
}

/** A number that is typed in. */
export class NumberField extends Field {
  /**
   * @param {string} label
   * @param {{min: number, max: number}} bounds
   * @param {(value: string) => void} use
   */
  constructor(label, { min, max }, use) {
    super();
    this.input = element("input", {
      id: freshId(),
      type: "number",
      min,
      max,
      step: 1,
      required: true,
      onchange: () => this.#changed(use),
    });
    this.element = labelled(label, this.input);
  }

  /** Tell of a number as it is written in the address; the browser explains any other. */
  #changed(use) {
    if (this.input.reportValidity()) use(String(Number(this.value)));
  }
}

/** A number on a slider, with its value beside the label. */
export class SliderField extends Field {
  /**
   * @param {string} label
   * @param {{min: number, max: number, step: number}} bounds
   * @param {(value: string) => void} use is told while the slider moves.
   */
  constructor(label, { min, max, step }, use) {
    super();
    this.shown = element("output", {});
    this.input = element("input", {
      id: freshId(),
      type: "range",
      min,
      max,
      step,
      oninput: () => this.#moved(use),
    });
    this.element = labelled(label, this.input, this.shown);
  }

  set value(value) {
    this.input.value = value;
    this.shown.value = value;
  }

  get value() {
    return this.input.value;
  }

  #moved(use) {
    this.shown.value = this.value;
    use(this.value);
  }
}

/**
 * Make a button.
 *
 * @param {string} title
 * @param {() => void} use
 * @param {Object<string, *>} attributes
 * @returns {HTMLButtonElement}
 */
export function button(title, use, attributes = {}) {
  return element("button", { type: "button", onclick: use, ...attributes }, title);
}

function labelled(label, input, ...after) {
  const title = element(
    "span",
    { class: "field-title" },
    element("label", { for: input.id }, label),
    ...after,
  );
  return element("div", { class: "field" }, title, input);
}
