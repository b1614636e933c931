import { softplus } from "./logarithms.js";

const ACTIVATIONS = {
  tanh: Math.tanh,
  relu: (x) => Math.max(x, 0),
  silu: (x) => x / (1 + Math.exp(-x)),
  softplus,
  identity: (x) => x,
};

/** A fully connected network. */
export class Network {
  /**
   * @param {object[]} layers linear ones, {weight, bias} with a weight (outputs, inputs), and
   *   activations, {activation}.
   */
  constructor(layers) {
    this.layers = layers.map(({ activation, weight, bias }) =>
      activation ? { activation } : { weight: new Float64Array(weight), bias },
    );
  }

  /** The number of values of its output. */
  get outputs() {
    return this.layers[this.layers.length - 1].bias.length;
  }

  /**
   * Compute the outputs of some inputs.
   *
   * @param {ArrayLike<number>} inputs (rows, inputs).
   * @param {number} rows
   * @returns {Float64Array} (rows, outputs).
   */
  outputsOf(inputs, rows) {
    return this.#transposed(inputs, rows, false);
  }

  /**
   * Compute the same, one output after the other.
   *
   * @returns {Float64Array} (outputs, rows).
   */
  outputsByPlace(inputs, rows) {
    return this.#transposed(inputs, rows, true);
  }

  #transposed(inputs, rows, byPlace) {
    const last = this.layers.length - 1;
    let values = Float64Array.from(inputs);
    this.layers.forEach((layer, i) => {
      if (layer.activation) values = values.map(ACTIVATIONS[layer.activation]);
      else values = linear(layer, values, rows, byPlace && i === last);
    });
    return values;
  }
}

/** Compute x Wᵀ + b of rows x, (rows, outputs), or with `byPlace` its transpose. */
function linear({ weight, bias }, x, rows, byPlace) {
  const outputs = bias.length;
  const found = new Float64Array(rows * outputs);
  const rowStep = byPlace ? 1 : outputs;
  const outputStep = byPlace ? rows : 1;
  for (let row = 0; row < rows; row += 4)
    for (let output = 0; output < outputs; output += 2)
      block(weight, bias, x, rows, row, output, found, rowStep, outputStep);
  return found;
}

/**
 * Compute four rows of two outputs together, which uses each number that is read several times.
 *
 * Where fewer are left, the last is computed again.
 */
function block(weight, bias, x, rows, row, output, found, rowStep, outputStep) {
  const lastRow = rows - 1;
  const inputs = x.length / rows;
  const r1 = Math.min(row + 1, lastRow);
  const r2 = Math.min(row + 2, lastRow);
  const r3 = Math.min(row + 3, lastRow);
  const next = Math.min(output + 1, bias.length - 1);
  let a0 = bias[output];
  let b0 = bias[next];
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b1 = b0;
  let b2 = b0;
  let b3 = b0;
  // The loop reads plain variables: unpacking arrays in it takes thirty times as long.
  for (let i = 0; i < inputs; i += 1) {
    const v = weight[output * inputs + i];
    const w = weight[next * inputs + i];
    const p = x[row * inputs + i];
    const q = x[r1 * inputs + i];
    const s = x[r2 * inputs + i];
    const t = x[r3 * inputs + i];
    a0 += v * p;
    a1 += v * q;
    a2 += v * s;
    a3 += v * t;
    b0 += w * p;
    b1 += w * q;
    b2 += w * s;
    b3 += w * t;
  }
  const at = output * outputStep;
  const beside = next * outputStep;
  found[row * rowStep + at] = a0;
  found[r1 * rowStep + at] = a1;
  found[r2 * rowStep + at] = a2;
  found[r3 * rowStep + at] = a3;
  found[row * rowStep + beside] = b0;
  found[r1 * rowStep + beside] = b1;
  found[r2 * rowStep + beside] = b2;
  found[r3 * rowStep + beside] = b3;
}
