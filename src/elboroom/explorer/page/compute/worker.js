import { Answers } from "./answers.js";
import { ExportedRun } from "./exported_run.js";
import { grid } from "./grid.js";
import { Problem } from "./problem.js";

const FOLDER = new URL("../../", import.meta.url);
const running = new Set();
const loading = load();

async function load() {
  const [content, weights, pixels] = await Promise.all([
    fetched("model.json").then((response) => response.json()),
    fetched("model.bin").then((response) => response.arrayBuffer()),
    fetched("rows.bin").then((response) => response.arrayBuffer()),
  ]);
  return new Answers(new ExportedRun(content, weights, pixels));
}

async function fetched(name) {
  const response = await fetch(new URL(name, FOLDER)).catch(() => null);
  if (response?.ok) return response;
  throw new Problem(
    `The file ${name} cannot be loaded`,
    "the web host does not have it, or the connection to it was lost",
    "put all files of the export on the host, then reload this page",
  );
}

addEventListener("message", async ({ data: { id, name, questions, cancel } }) => {
  if (cancel !== undefined) return running.delete(cancel);
  running.add(id);
  postMessage({ id, ...(await answerTo(id, name, questions)) });
  running.delete(id);
});

async function answerTo(id, name, questions) {
  try {
    const answers = await loading;
    return { answer: await answers[name](...questions, () => pause(id)) };
  } catch (problem) {
    return { words: problem.words ?? unexplained(problem) };
  }
}

function unexplained(problem) {
  return {
    what: "The answer could not be computed",
    why: String(problem),
    fix: "reload this page; if that does not help, use a newer browser",
  };
}

/** Decode what the first posteriors of the view Complete need, while nothing else is asked. */
async function warmUp() {
  const { run } = await loading;
  const { views, methods } = run.description;
  if (!views.includes("complete") || methods[0].name !== "grid") return;
  const x = run.x(0);
  const seen = Array.from(x, (value, i) => Number(2 * i < x.length && !Number.isNaN(value)));
  await grid(run.tiles, x, seen, idleness);
}

async function idleness() {
  do await new Promise((resolve) => setTimeout(resolve));
  while (running.size > 0);
}

/** Let other questions be answered first; stop if nobody waits for the answer any more. */
async function pause(id) {
  await new Promise((resolve) => setTimeout(resolve));
  if (!running.has(id)) throw new Problem("The question was taken back", "", "");
}

warmUp().catch(() => {}); // whoever asks a question is told of the problem
