import { LOG_2PI, softplus } from "./logarithms.js";
import { Problem } from "./problem.js";

/**
 * The densities of values given the decoder's output at some z, place by place.
 *
 * @typedef {object} Densities
 * @property {number} count the number of z.
 * @property {(place: number, value: number, sums: Float64Array) => void} add
 *   add log p(x_place = value | z) in nats to the sum of each z.
 * @property {(place: number, means: Float64Array) => void} means write E[x_place | z] of each z.
 * @property {(place: number, at: number, random: object) => number} draw
 *   draw x_place given one z.
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

class BernoulliDensities {
  constructor(logits, count) {
    this.count = count;
    this.ones = Float32Array.from(logits, (logit) => -softplus(-logit));
    this.zeros = Float32Array.from(logits, (logit) => -softplus(logit));
  }

  get bytes() {
    return this.ones.byteLength + this.zeros.byteLength;
  }

  add(place, value, sums) {
    const table = value === 1 ? this.ones : this.zeros;
    const start = place * this.count;
    for (let i = 0; i < this.count; i += 1) sums[i] += table[start + i];
  }

  means(place, means) {
    const start = place * this.count;
    for (let i = 0; i < this.count; i += 1) means[i] = Math.exp(this.ones[start + i]);
  }

  draw(place, at, random) {
    return random.uniform() < Math.exp(this.ones[place * this.count + at]) ? 1 : 0;
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

  means(place, means) {
    const start = place * this.count;
    for (let i = 0; i < this.count; i += 1)
      means[i] = this.likelihood.mean(this.centres[start + i], place);
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
