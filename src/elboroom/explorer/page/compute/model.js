import { GaussianPosterior } from "./gaussian_posterior.js";
import { likelihoodOf } from "./likelihood.js";
import { Network } from "./network.js";
import { priorOf } from "./prior.js";

/** A model p(x, z) with its encoder. */
export class Model {
  /**
   * @param {object} described the model of an export, with arrays in the place of references.
   */
  constructor(described) {
    this.latents = described.latents;
    this.values = described.values;
    this.reach = described.reach;
    this.priorMean = described.prior_mean;
    this.encoder = new Network(described.encoder);
    this.decoder = new Network(described.decoder);
    this.likelihood = likelihoodOf(described.likelihood);
    this.prior = priorOf(described.prior, this.latents);
  }

  /**
   * Compute the encoder's q(z | x); unseen values enter as 0.
   *
   * @param {ArrayLike<number>} x all values of a row.
   * @param {ArrayLike<number>} seen 1 where a value is seen.
   * @returns {GaussianPosterior}
   */
  encode(x, seen) {
    const standardised = (value, place) =>
      seen[place] ? this.likelihood.standardised(value, place) : 0;
    const inputs = Float64Array.from(x, standardised);
    return new GaussianPosterior(this.encoder.outputsOf(inputs, 1), this.latents);
  }

  /**
   * Decode some z.
   *
   * @param {ArrayLike<number>[]} zs
   * @returns {Float64Array} the decoder's output, (values, number of z).
   */
  parameters(zs) {
    const flat = new Float64Array(zs.length * this.latents);
    zs.forEach((z, i) => flat.set(z, i * this.latents));
    return this.decoder.outputsByPlace(flat, zs.length);
  }

  /** Return the densities of x given some z. */
  densities(zs) {
    return this.likelihood.densities(this.parameters(zs), zs.length);
  }

  /**
   * Compute the means of p(x | z) of some z.
   *
   * @returns {Float64Array} (number of z, values).
   */
  means(zs) {
    const parameters = this.parameters(zs);
    const means = new Float64Array(zs.length * this.values);
    for (let place = 0; place < this.values; place += 1)
      for (let i = 0; i < zs.length; i += 1)
        means[i * this.values + place] = this.likelihood.mean(
          parameters[place * zs.length + i],
          place,
        );
    return means;
  }
}
