/** The masks that have a name, and which pixels they leave to be seen. */
const PRESETS = {
  all: () => true,
  none: () => false,
  top: (row, column, height) => row < height / 2,
  bottom: (row, column, height) => row >= height / 2,
  left: (row, column, height, width) => column < width / 2,
  right: (row, column, height, width) => column >= width / 2,
};

/** The names of the masks that have one. */
export const MASK_NAMES = Object.keys(PRESETS);

/** These names, with titles, as they stand beside each other. */
export const MASK_TITLES = {
  top: "Top",
  bottom: "Bottom",
  left: "Left",
  right: "Right",
  all: "All",
  none: "None",
};

/**
 * Return which pixels are seen.
 *
 * @param {string} text a name, or what `textOfMask` gave.
 * @param {number} height
 * @param {number} width
 * @returns {Uint8Array} (H · W) of 0 and 1.
 */
export function maskOf(text, height, width) {
  if (!Object.hasOwn(PRESETS, text)) return bitsOf(text, height * width);
  const seen = PRESETS[text];
  return Uint8Array.from({ length: height * width }, (_, i) =>
    seen(Math.floor(i / width), i % width, height, width),
  );
}

/**
 * Write a mask in a few characters.
 *
 * @param {Uint8Array} mask (H · W) of 0 and 1.
 * @param {number} height
 * @param {number} width
 * @returns {string} its name, if it has one; otherwise its bits in base64url.
 */
export function textOfMask(mask, height, width) {
  const name = MASK_NAMES.find((one) =>
    maskOf(one, height, width).every((seen, i) => seen === mask[i]),
  );
  return name ?? textOfBits(mask);
}

/**
 * Return the rule of what an address may say of bits.
 *
 * @param {number} most
 * @returns {import("../views/address_rules.js").Rule}
 */
export function bitsRule(most) {
  const length = Math.ceil((8 * Math.ceil(most / 8)) / 6);
  return {
    allows: (text) => /^[\w-]*$/.test(text) && text.length <= length && text.length % 4 !== 1,
    words: `${most} bits in base64url`,
  };
}

/**
 * Write bits in base64url.
 *
 * @param {Uint8Array} bits of 0 and 1.
 * @returns {string}
 */
export function textOfBits(bits) {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => {
    bytes[i >> 3] |= bit << (i & 7);
  });
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * Read bits from base64url.
 *
 * @param {string} text
 * @param {number} length how many bits there are; those beyond the text are 0.
 * @returns {Uint8Array}
 */
export function bitsOf(text, length) {
  const bytes = bytesOf(text);
  return Uint8Array.from({ length }, (_, i) => (bytes.charCodeAt(i >> 3) >> (i & 7)) & 1);
}

function bytesOf(text) {
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
}
