/** Answer the questions on stdin by the modules of an export, whose folder is the argument. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const { Answers } = await imported("answers.js");
const { ExportedRun } = await imported("exported_run.js");
const { grid } = await imported("grid.js");

function imported(name) {
  return import(pathToFileURL(join(folder, "page", "compute", name)));
}

function bytesOf(name) {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, name));
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

const content = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
const run = new ExportedRun(content, bytesOf("model.bin"), bytesOf("rows.bin"));
const answers = new Answers(run);
const pause = async () => {};

const asked = {
  answer: ([name, ...questions]) => answers[name](...questions, pause),
  encode: ({ x, seen }) => {
    const { mean, covariance, stds } = run.model.encode(x, seen);
    return { mean, covariance, stds };
  },
  grid: async ({ x, seen }) => {
    const { mean, covariance } = await grid(run.tiles, x, seen, pause);
    return { mean, covariance };
  },
  means: (zs) => run.model.means(zs),
};

const found = [];
for (const [kind, question] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    found.push(await asked[kind](question));
  } catch (problem) {
    if (!problem.words) throw problem;
    found.push({ words: problem.words });
  }
}
const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
process.stdout.write(JSON.stringify(found, plain));
