import { LOG_2PI } from "./logarithms.js";

/** A Gaussian of z, N(μ, L Lᵀ) with L lower triangular. */
export class GaussianPosterior {
  /**
   * Take the outputs of an encoder: μ, log σ, and for any covariance the rest of L.
   *
   * @param {Float64Array} parameters
   * @param {number} latents
   */
  constructor(parameters, latents) {
    this.mean = parameters.slice(0, latents);
    const logStds = parameters.subarray(latents, 2 * latents);
    const below = parameters.subarray(2 * latents);
    this.logVolume = logStds.reduce((sum, log) => sum + log, 0);
    this.rows = Array.from(logStds, (log, i) => rowOfRoot(Math.exp(log), below, i, latents));
  }

  /** The covariance, as rows. */
  get covariance() {
    return this.rows.map((a) => this.rows.map((b) => dot(a, b)));
  }

  /** The standard deviation of each latent. */
  get stds() {
    return this.rows.map((row) => Math.sqrt(dot(row, row)));
  }

  /**
   * Draw z, and compute its log q(z) in nats.
   *
   * @returns {{z: Float64Array, logDensity: number}}
   */
  draw(random) {
    const noise = random.normals(this.mean.length);
    // z = μ + L ε
    const z = this.mean.map((mean, i) => mean + dot(this.rows[i], noise));
    // log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d
    const logDensity = -0.5 * (dot(noise, noise) + noise.length * LOG_2PI) - this.logVolume;
    return { z, logDensity };
  }
}

/** Return row i of L = diag σ · (I + N); N comes row by row, and is empty if it is 0. */
function rowOfRoot(std, below, i, latents) {
  const row = new Float64Array(latents);
  row[i] = std;
  if (below.length > 0) for (let j = 0; j < i; j += 1) row[j] = std * below[(i * (i - 1)) / 2 + j];
  return row;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i] * b[i];
  return sum;
}
