import { element } from "./element.js";

/** A place in a view where a problem is explained: what happened, why, and how to fix it. */
export class ProblemNotice {
  constructor() {
    this.element = element("div", { class: "problem", role: "alert", hidden: true });
  }

  /**
   * Explain a problem; null clears the notice.
   *
   * @param {Error|null} problem a Failure, or another error of the page.
   */
  show(problem) {
    this.element.hidden = problem === null;
    if (problem === null) return;
    const { what, why, fix } = wordsOf(problem);
    const parts = [
      ["Why", why],
      ["Fix", fix],
    ].map(([title, text]) => element("p", {}, element("b", {}, title), text));
    this.element.replaceChildren(element("p", { class: "what" }, what), ...parts);
  }
}

function wordsOf(problem) {
  if (problem.what) return problem;
  return {
    what: "The page has met an error of its own",
    why: problem.message,
    fix: "reload the page; if it happens again, please report it with these words",
  };
}
