const FLAT = 1e-3; // nats: smaller differences between weights of a float32 density are rounding
const LEAST = 1e-300;
const PRIOR = 10; // weight of the prior of k, in excesses

/**
 * Estimate the shape k̂ of the tail of some hundred weights.
 *
 * Vehtari et al., *Pareto smoothed importance sampling* (2024). It is −∞ if the largest weights
 * hardly differ, and ∞ if their spread exceeds the range of a float.
 *
 * @param {Float64Array} logWeights
 * @returns {number}
 */
export function paretoShape(logWeights) {
  // M = ⌈min(S/5, 3 √S)⌉
  const tail = Math.ceil(Math.min(logWeights.length / 5, 3 * Math.sqrt(logWeights.length)));
  const largest = logWeights
    .slice()
    .sort()
    .slice(-tail - 1);
  if (largest[tail] - largest[1] < FLAT) return -Infinity;
  const excess = largest.slice(1).map((log) => Math.exp(log - largest[0]) - 1);
  return excess[quartile(tail)] > LEAST ? fittedShape(excess) : Infinity;
}

/**
 * Fit the shape of a generalised Pareto law to n ascending excesses.
 *
 * This is the quasi-Bayesian estimate of Zhang & Stephens (2009), drawn towards ½ with the weight of
 * ten excesses.
 */
function fittedShape(excess) {
  const n = excess.length;
  const m = 30 + Math.floor(Math.sqrt(n));
  // θ_j = 1/y_n + (1 − √(m / (j − ½))) / (3 y*),  y* the lower quartile
  const theta = Float64Array.from(
    { length: m },
    (_, j) => 1 / excess[n - 1] + (1 - Math.sqrt(m / (j + 0.5))) / (3 * excess[quartile(n)]),
  );
  // log likelihood of θ_j at its own k_j = 1/n Σ_i log(1 − θ_j y_i)
  const logLikelihood = theta.map((one) => {
    const k = meanLog(excess, one);
    return n * (Math.log(-one / k) - k - 1);
  });
  const top = Math.max(...logLikelihood);
  const shares = logLikelihood.map((log) => Math.exp(log - top));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const mean = theta.reduce((sum, one, j) => sum + (one * shares[j]) / total, 0);
  return (n * meanLog(excess, mean) + 0.5 * PRIOR) / (n + PRIOR);
}

function meanLog(excess, theta) {
  return excess.reduce((sum, y) => sum + Math.log1p(-theta * y), 0) / excess.length;
}

/** Return the index of the lower quartile among n ascending values. */
function quartile(n) {
  return Math.max(0, Math.floor(n / 4 + 0.5) - 1);
}
