/**
 * Make an element.
 *
 * @param {string} tag its name.
 * @param {Object<string, *>} attributes functions under "on…" listen to events; false and null are
 *   left out.
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function set(made, name, value) {
  if (typeof value === "function") made.addEventListener(name.slice(2), value);
  else if (value === true) made.setAttribute(name, "");
  else if (value !== false && value !== null) made.setAttribute(name, value);
}

let last = 0;

/**
 * Return an id that no other element has, for labels and descriptions.
 *
 * @returns {string}
 */
export function freshId() {
  last += 1;
  return `id-${last}`;
}

/**
 * Make a box of a class of the style sheet.
 *
 * @param {string} name of the class.
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function box(name, ...children) {
  return element("div", { class: name }, ...children);
}

/**
 * Make a part of a view, with a title.
 *
 * @param {string} title
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function card(title, ...children) {
  return element("section", { class: "card" }, element("h3", {}, title), ...children);
}
