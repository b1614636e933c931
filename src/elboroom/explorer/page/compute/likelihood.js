import { LOG_2PI, logSumExp, softplus } from "./logarithms.js";
import { Problem } from "./problem.js";

/**
 * The densities of values given the decoder's output at some z, place by place.
 *
 * @typedef {object} Densities
 * @property {number} count the number of z.
 * @property {number} bytes its size in memory.
 * @property {(place: number, value: number, sums: Float64Array) => void} add
 *   add log p(x_place = value | z) in nats to the sum of each z.
 * @property {(place: number, draws: WeightedDraws) => number} mean
 *   compute Σ_k w_k E[x_place | z_k].
 * @property {(place: number, value: number, draws: WeightedDraws) => number} logInverse
 *   compute log Σ_k w_k / p(x_place = value | z_k).
 * @property {(place: number, at: number, random: object) => number} draw
 *   draw x_place given one z.
 *
 * @typedef {object} WeightedDraws some of the z.
 * @property {Int32Array} at their numbers.
 * @property {Float64Array} weight their weights.
 */

/** Binary values, with logits. */
class Bernoulli {
  /** Refuse a value that is neither 0 nor 1. */
  require(value) {
    if (value === 0 || value === 1) return;
    throw unfit(value, "the model is one of binary values, 0 or 1");
  }

  standardised(value) {
    return value;
  }

  mean(logit) {
    return 1 / (1 + Math.exp(-logit));
  }

  /** The Fisher information of a value on its logit. */
  information(logit) {
    const mean = this.mean(logit);
    return mean * (1 - mean);
  }

  /**
   * @param {Float64Array} logits (places, count).
   * @returns {Densities}
   */
  densities(logits, count) {
    return new BernoulliDensities(logits, count);
  }
}

const SAFE = 0.9; // up to here 1 − p in float32 is exact to a millionth

class BernoulliDensities {
  #ones = null;

  constructor(logits, count) {
    this.count = count;
    this.logOnes = Float32Array.from(logits, (logit) => -softplus(-logit));
    this.logZeros = Float32Array.from(logits, (logit) => -softplus(logit));
  }

  get bytes() {
    return 3 * this.logOnes.byteLength;
  }

  /** The probabilities of a 1: taken anew, their exponentials would take longer than all else. */
  get #chances() {
    this.#ones ??= this.logOnes.map(Math.exp);
    return this.#ones;
  }

  add(place, value, sums) {
    const table = value === 1 ? this.logOnes : this.logZeros;
    const start = place * this.count;
    for (let i = 0; i < this.count; i += 1) sums[i] += table[start + i];
  }

  mean(place, { at, weight }) {
    const ones = this.#chances;
    const start = place * this.count;
    let mean = 0;
    for (let k = 0; k < at.length; k += 1) mean += weight[k] * ones[start + at[k]];
    return mean;
  }

  logInverse(place, value, { at, weight }) {
    const ones = this.#chances;
    const start = place * this.count;
    let sum = 0;
    for (let k = 0; k < at.length; k += 1) {
      const one = ones[start + at[k]];
      const zero = one < SAFE ? 1 - one : Math.exp(this.logZeros[start + at[k]]);
      sum += weight[k] / (value === 1 ? one : zero);
    }
    return Math.log(sum);
  }

  draw(place, at, random) {
    return random.uniform() < Math.exp(this.logOnes[place * this.count + at]) ? 1 : 0;
  }
}

/** Real values with Gaussian noise, x = location + scale · (μ + σ ε). */
class Gaussian {
  constructor({ noise, location, scale }) {
    this.noise = noise;
    this.location = location;
    this.scale = scale;
  }

  require(value) {
    if (!Number.isFinite(value)) throw unfit(value, "densities are defined for finite values");
  }

  standardised(value, place) {
    return (value - this.location[place]) / this.scale[place];
  }

  mean(centre, place) {
    return this.location[place] + this.scale[place] * centre;
  }

  information(_, place) {
    return 1 / this.noise[place] ** 2;
  }

  densities(centres, count) {
    return new GaussianDensities(this, centres, count);
  }
}

class GaussianDensities {
  constructor(likelihood, centres, count) {
    this.likelihood = likelihood;
    this.count = count;
    this.centres = centres;
  }

  get bytes() {
    return this.centres.byteLength;
  }

  add(place, value, sums) {
    const { noise, scale } = this.likelihood;
    const sigma = noise[place];
    const target = this.likelihood.standardised(value, place);
    // log p(x | z) = −½ ((y − μ)/σ)² − log σ − ½ log 2π − log scale
    const volume = Math.log(sigma * scale[place]) + LOG_2PI / 2;
    const start = place * this.count;
    for (let i = 0; i < this.count; i += 1) {
      const noiseOf = (target - this.centres[start + i]) / sigma;
      sums[i] -= noiseOf * noiseOf * 0.5 + volume;
    }
  }

  mean(place, { at, weight }) {
    const start = place * this.count;
    let mean = 0;
    for (let k = 0; k < at.length; k += 1)
      mean += weight[k] * this.likelihood.mean(this.centres[start + at[k]], place);
    return mean;
  }

  logInverse(place, value, { at, weight }) {
    const logs = new Float64Array(this.count);
    this.add(place, value, logs);
    return logSumExp(Float64Array.from(at, (i, k) => Math.log(weight[k]) - logs[i]));
  }

  draw(place, at, random) {
    const centre = this.centres[place * this.count + at];
    return this.likelihood.mean(centre + this.likelihood.noise[place] * random.normal(), place);
  }
}

function unfit(value, why) {
  const fix = "paint or choose values as the model was trained on";
  return new Problem(`A seen value is ${value}`, why, fix);
}

const KINDS = { bernoulli: Bernoulli, gaussian: Gaussian };

/**
 * Make the likelihood that an export names.
 *
 * @param {{name: string}} described
 */
export function likelihoodOf(described) {
  return new KINDS[described.name](described);
}
