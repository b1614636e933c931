import { isDark } from "../controls/theme.js";

// After the "muted" scheme of Paul Tol, which the colour-blind can tell apart.
const ON_LIGHT = [
  ...["#332288", "#2f8fc4", "#24907f", "#117733", "#868a1e"],
  ...["#c07a00", "#cc5566", "#882255", "#aa4499", "#6a6f78"],
];
const ON_DARK = [
  ...["#9a92f5", "#88ccee", "#44c2ae", "#55b668", "#c3c451"],
  ...["#f0b040", "#f08a96", "#d2679a", "#d796d3", "#b4b9c2"],
];

/**
 * Return the colours of classes in the present theme.
 *
 * @param {number} count of classes; beyond ten, hues are spread evenly.
 * @returns {string[]}
 */
export function classColours(count) {
  const colours = isDark() ? ON_DARK : ON_LIGHT;
  if (count <= colours.length) return colours.slice(0, count);
  const lightness = isDark() ? 70 : 42;
  return Array.from(
    { length: count },
    (_, i) => `hsl(${Math.round((360 * i) / count)} 60% ${lightness}%)`,
  );
}

const HEAT_ON_LIGHT = ["#ffffff00", "#d7e7f5", "#93c3e6", "#3f8fcb", "#0f4c81"];
const HEAT_ON_DARK = ["#0f1e2c00", "#13304a", "#1b507d", "#2f7dbb", "#6cb6ee"];
const SURPRISE = ["#ffb00000", "#ffb000aa", "#fe6100dd", "#dc267fff"];

/**
 * Return the colours of a density, from nothing to its maximum.
 *
 * @returns {Uint32Array} 256 pixels of ImageData.
 */
export function heatColours() {
  return ramp(isDark() ? HEAT_ON_DARK : HEAT_ON_LIGHT);
}

/**
 * Return the colours of a surprise, from none to the largest, to be laid over a picture.
 *
 * @returns {Uint32Array} 256 pixels of ImageData.
 */
export function surpriseColours() {
  return ramp(SURPRISE);
}

function ramp(stops) {
  const colours = stops.map(channelsOf);
  const levels = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i += 1) levels.set(between(colours, i / 255), 4 * i);
  return new Uint32Array(levels.buffer);
}

function between(colours, share) {
  const place = share * (colours.length - 1);
  const below = Math.min(Math.floor(place), colours.length - 2);
  return colours[below].map(
    (value, i) => value + (place - below) * (colours[below + 1][i] - value),
  );
}

function channelsOf(colour) {
  const channels = colour
    .slice(1)
    .match(/../g)
    .map((digits) => parseInt(digits, 16));
  return channels.length === 4 ? channels : [...channels, 255];
}
