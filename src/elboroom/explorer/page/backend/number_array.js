const TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

/** An array of numbers with a shape, in C order. */
export class NumberArray {
  /**
   * @param {number[]} shape the size of each axis.
   * @param {Float32Array|Int32Array|Uint8Array} values
   */
  constructor(shape, values) {
    this.shape = shape;
    this.values = values;
  }

  /**
   * Decode an array of the interface.
   *
   * @param {{dtype: string, shape: number[], data: string}} encoded little-endian values in base64.
   * @returns {NumberArray}
   */
  static decode({ dtype, shape, data }) {
    const text = atob(data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return new NumberArray(shape, new TYPES[dtype](bytes.buffer));
  }

  /** The size of the first axis. */
  get length() {
    return this.shape[0];
  }

  /**
   * Return one item along the first axis, without copying its values.
   *
   * @param {number} index
   * @returns {NumberArray}
   */
  item(index) {
    const size = this.values.length / this.length;
    return new NumberArray(
      this.shape.slice(1),
      this.values.subarray(index * size, (index + 1) * size),
    );
  }

  /**
   * Return the same values with the first two axes as one.
   *
   * @returns {NumberArray}
   */
  flattened() {
    const [first, second, ...others] = this.shape;
    return new NumberArray([first * second, ...others], this.values);
  }

  /**
   * Encode it as the interface does.
   *
   * @returns {{dtype: string, shape: number[], data: string}}
   */
  toJSON() {
    const { buffer, byteOffset, byteLength } = this.values;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    return { dtype: nameOfType(this.values), shape: this.shape, data: btoa(text) };
  }
}

/**
 * Parse JSON in which encoded arrays stand for numbers.
 *
 * @param {string} text
 * @returns {*} with a NumberArray for each encoded array.
 */
export function parseWithArrays(text) {
  return JSON.parse(text, (_, value) => (isEncoded(value) ? NumberArray.decode(value) : value));
}

function isEncoded(value) {
  return typeof value?.dtype === "string" && typeof value.data === "string";
}

function nameOfType(values) {
  return Object.keys(TYPES).find((name) => values instanceof TYPES[name]);
}
