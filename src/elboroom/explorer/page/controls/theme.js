import { RadioField } from "./field.js";

const KEY = "elboroom-theme";
const colours = new Map(); // those of the present theme, for resolving one takes milliseconds
const CHOICES = { system: "System", light: "Light", dark: "Dark" };

/** The event by which the document says that its colours have changed. */
export const THEME_CHANGED = "themechange";

/**
 * Show the choice of theme, and apply what was chosen last time.
 *
 * @param {HTMLElement} place
 */
export function openTheme(place) {
  const field = new RadioField("Theme", CHOICES, apply);
  field.value = stored();
  place.append(field.element);
  apply(field.value);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

/**
 * Return a colour of the style sheet in the present theme.
 *
 * @param {string} name such as "ink", for --ink.
 * @returns {string} an rgb() colour.
 */
export function themeColour(name) {
  if (!colours.has(name)) colours.set(name, resolved(name));
  return colours.get(name);
}

function resolved(name) {
  const probe = document.documentElement;
  probe.style.setProperty("outline-color", `var(--${name})`);
  return getComputedStyle(probe).outlineColor;
}

/**
 * Return whether the present theme is dark.
 *
 * @returns {boolean}
 */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  store(theme);
  tell();
}

function tell() {
  colours.clear();
  document.dispatchEvent(new Event(THEME_CHANGED));
}

function stored() {
  try {
    return localStorage.getItem(KEY) in CHOICES ? localStorage.getItem(KEY) : "system";
  } catch {
    return "system"; // a browser may forbid storage
  }
}

function store(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The theme then lasts until the page is closed.
  }
}
