import { element } from "./element.js";
import { button } from "./field.js";

const SMALLEST_WIDTH = 280; // pixels of a picture that is saved

/**
 * Put a canvas into a figure with a button that saves it.
 *
 * @param {HTMLElement} shown the canvas, or an element around it.
 * @param {string} name of the file, without its ending.
 * @param {string|Node} caption
 * @param {HTMLCanvasElement} canvas
 * @returns {HTMLElement}
 */
export function savableFigure(shown, name, caption = "", canvas = shown) {
  const attributes = { class: "save", "aria-label": `PNG: save ${name}` };
  const save = button("PNG", () => savePicture(canvas, name), attributes);
  const below = element("figcaption", {}, element("span", {}, caption), save);
  return element("figure", {}, shown, below);
}

/**
 * Make a button that saves data as JSON.
 *
 * @param {string} name of the file, without its ending.
 * @param {() => *} data is asked for what to save.
 * @returns {HTMLButtonElement}
 */
export function dataButton(name, data) {
  const attributes = { class: "save", "aria-label": `JSON: save the data of ${name}` };
  return button("JSON", () => saveData(data(), name), attributes);
}

function savePicture(canvas, name) {
  const factor = Math.ceil(SMALLEST_WIDTH / canvas.width);
  const [width, height] = [factor * canvas.width, factor * canvas.height];
  const enlarged = element("canvas", { width, height });
  const context = enlarged.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, width, height);
  enlarged.toBlob((blob) => save(blob, `${name}.png`));
}

function saveData(data, name) {
  save(new Blob([JSON.stringify(data)], { type: "application/json" }), `${name}.json`);
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name.replaceAll(" ", "-") }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
