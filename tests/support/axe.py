"""The rules of accessibility of axe-core, for a page to run."""

from importlib.resources import files

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
BREACHES = """async rules => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished));
  const options = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
  const { violations } = await axe.run(document, options);
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}"""
