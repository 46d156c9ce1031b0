/** The terms of a sum, each with the sign before it; one term where it is no sum. */
function termsOf(node) {
  const terms = [];
  let rest = node;
  while (rest[0] === "mrow" && rest.length === 4 && rest[2][0] === "mo" && "+−".includes(rest[2][1])) {
    terms.unshift(["mrow", ["mo", { form: "infix" }, rest[2][1]], rest[3]]);
    rest = rest[1];
  }
  return [rest, ...terms];
}

/** The formula of an expression as mathematics, which breaks between the terms of a sum. */
function formula(text) {
  if (!text) return html("span", { class: "quiet" }, "none yet");
  const node = report.formulas[text] || ["mtext", text];
  const terms = termsOf(node).map((term) => make(MATH, "math", { displaystyle: "true" }, [mathNode(term)]));
  return html("span", { class: "sum", role: "math", "aria-label": text }, terms.flatMap((term, i) => (i ? [" ", term] : [term])));
}

const LATEX_SIGNS = { "−": "-", "⋅": " \\cdot ", "\u2062": " ", "\u2061": "", "≤": " \\le ", "≥": " \\ge ", "≠": " \\ne ", "{": "\\left\\{" };
const LATEX_NAMES = { π: "\\pi", "∞": "\\infty", e: "e", i: "i" };
const LATEX_FUNCTIONS = new Set(["sin", "cos", "tan", "exp", "log", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "max", "min"]);

/** LaTeX of MathML in nested lists. */
function latexOf([tag, ...rest]) {
  const children = rest.filter((child) => typeof child !== "object" || Array.isArray(child));
  const inner = () => children.map((child) => (Array.isArray(child) ? latexOf(child) : child));
  const [first, second] = children;
  if (tag === "mfrac") return `\\frac{${latexOf(first)}}{${latexOf(second)}}`;
  if (tag === "msup") return `{${latexOf(first)}}^{${latexOf(second)}}`;
  if (tag === "msub") return `${latexOf(first)}_{${latexOf(second)}}`;
  if (tag === "msqrt") return `\\sqrt{${latexOf(first)}}`;
  if (tag === "mtable") return `\\begin{matrix}${inner().join(" \\\\ ")}\\end{matrix}\\right.`;
  if (tag === "mtr") return inner().join(" & ");
  if (tag === "mspace") return " \\, ";
  if (tag === "mo") return first === "(" || first === ")" ? `\\${first === "(" ? "left" : "right"}${first}` : LATEX_SIGNS[first] ?? first;
  if (tag === "mi") return latexName(String(first));
  if (tag === "mtext") return `\\text{${String(first).replaceAll("_", "\\_")}}`;
  return inner().join("");
}

function latexName(name) {
  if (LATEX_NAMES[name]) return LATEX_NAMES[name];
  if (LATEX_FUNCTIONS.has(name)) return `\\${name}`;
  return name.length > 1 ? `\\mathrm{${name.replaceAll("_", "\\_")}}` : name;
}
