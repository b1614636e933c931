/** A question that has no answer: what happened, why, and how to fix it. */
export class Problem extends Error {
  /**
   * @param {string} what
   * @param {string} why
   * @param {string} fix
   */
  constructor(what, why, fix) {
    super(what);
    this.words = { what, why, fix };
  }
}
