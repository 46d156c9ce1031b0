const SIGNS = { add: "+", sub: "−", mul: "×", div: "÷", neg: "−", n2: "□²", n3: "□³", n4: "□⁴", inv: "1/□", sqrt: "√" };

/** Rows of the chosen table, each with the run it belongs to. */
function programRows(kind) {
  const shown = state.programRun === "all" ? report.runs.map((_, i) => i) : [Number(state.programRun)];
  const rows = [];
  for (const i of shown) {
    const run = report.runs[i];
    if (run) run[kind].forEach((row, rank) => rows.push({ ...row, run: i, rank: rank + 1, kind, isPicked: kind === "pf" && rank === run.picked }));
  }
  if (kind === "hof" && shown.length > 1) rows.sort((a, b) => compare(a.r, b.r, true));
  return rows;
}

const isSame = (a, b) => Boolean(a && b) && a.run === b.run && a.traversal === b.traversal;

/** The names of evaluation results that the rows have. */
const moreNames = (rows) => [...new Set(rows.flatMap((row) => Object.keys(row.more)))];

/** Two of them for the table; those without noise only where noise was added. */
function tableNames(rows) {
  const isOther = (name) => !name.endsWith("_noiseless") || rows.some((row) => row.more[name] !== row.more[name.replace(/_noiseless$/, "")]);
  return moreNames(rows).filter(isOther).slice(0, 2);
}

function programColumns(rows, kind) {
  const many = report.runs.length > 1;
  const column = (key, label, value) => ({ key, label, number: true, value, cell: (row) => short(value(row)) });
  const button = (row) => html("button", {
    class: "row", type: "button", id: `pick-${kind}-${row.run}-${row.rank}`, "aria-label": `Show program ${row.rank} of ${report.runs[row.run].name}`,
  }, row.isPicked ? `${row.rank} ★` : String(row.rank));
  return [
    { key: "rank", label: "#", number: true, value: (row) => row.rank, cell: button },
    many && { key: "run", label: "Run", value: (row) => row.run, short: true, cell: (row) => report.runs[row.run].name },
    column("r", "Reward", (row) => row.r),
    kind === "pf" ? column("complexity", "Complexity", (row) => row.complexity) : column("length", "Length", (row) => row.length),
    { key: "expression", label: "Formula", wide: true, value: (row) => row.expression, cell: (row) => html("div", { class: "formula" }, formula(row.expression)) },
    ...tableNames(rows).map((name) => column(name, name.replaceAll("_", " "), (row) => row.more[name])),
    rows.some((row) => row.success) && { key: "success", label: "Solved", value: (row) => Number(row.success), cell: (row) => (row.success ? html("span", { class: "badge good" }, "yes") : "") },
    kind === "hof" && column("count", "Drawn", (row) => (row.count_on_policy || 0) + (row.count_off_policy || 0)),
  ].filter(Boolean);
}

function choose(row, byUser) {
  state.chosen = row;
  drawPrograms();
  if (byUser && window.innerWidth < 992) byId("detail").scrollIntoView();
}

function drawPrograms() {
  const keep = rememberFocus();
  const { kind } = state;
  const rows = programRows(kind);
  drawProgramControls();
  const pool = [...rows, ...programRows(kind === "pf" ? "hof" : "pf")];
  const picked = rows.filter((row) => row.isPicked);
  const best = [...(picked.length ? picked : rows)].sort((a, b) => compare(a.r, b.r, true))[0];
  state.chosen = pool.find((row) => isSame(row, state.chosen)) || best || null;
  fill("front-chart", frontChart());
  const total = report.runs.reduce((sum, run, i) => sum + (state.programRun === "all" || Number(state.programRun) === i ? run[`n_${kind}`] : 0), 0);
  const listed = rows.length
    ? table("programs-list", programColumns(rows, kind), rows, {
      label: "Programs", redraw: drawPrograms, pick: (row) => choose(row, true), isChosen: (row) => isSame(row, state.chosen),
    })
    : html("p", { class: "empty" }, "No programs yet: these files are written a few seconds after a run starts.");
  const more = total > rows.length && html("p", { class: "quiet small more" }, `${rows.length} of ${total} programs are shown; the CSV files have all.`);
  fill("program-table", html("div", { class: "card flush" }, listed, more));
  drawDetail();
  keep();
}

function drawProgramControls() {
  const runs = [["all", "All runs"], ...report.runs.map((run, i) => [i, run.name])];
  const redraw = (key) => (value) => { state[key] = value; drawPrograms(); };
  fill("program-controls",
    segments("kind", "Which programs", [["pf", "Pareto front"], ["hof", "Hall of fame"]], state.kind, redraw("kind")),
    report.runs.length > 1 && select("program-run", "Run", runs, state.programRun, redraw("programRun")));
}

/** Fronts of the runs: reward or an error against complexity. */
function frontChart() {
  const rows = programRows("pf");
  const names = moreNames(rows);
  const key = names.includes(state.frontValue) ? state.frontValue : "r";
  const value = (row) => (key === "r" ? row.r : row.more[key]);
  const isLog = key !== "r" && rows.every((row) => !isNumber(value(row)) || value(row) >= 0);
  const floor = (v) => (isLog && v !== null ? Math.max(v, 1e-32) : v);
  const groups = report.runs.map((run, i) => ({
    color: colorOf(i), line: true, label: report.runs.length > 1 && report.runs.length <= MANY ? run.name : "",
    points: rows.filter((row) => row.run === i).map((row) => [row.complexity, floor(value(row)), row]),
  }));
  const aside = names.length > 0 && select("front-value", "", [["r", "Reward"], ...names.map((name) => [name, name.replaceAll("_", " ")])], key,
    (chosen) => { state.frontValue = chosen; drawPrograms(); });
  return scatterChart("Pareto front", groups, { x: "complexity", y: key }, {
    log: isLog, aside, id: "front", pick: (row) => choose(row, true), isChosen: (row) => isSame(row, state.chosen),
    name: (row) => `${row.expression} (${short(value(row))})`, empty: "No Pareto front yet.",
  });
}

/** What is known of the chosen program: formula, numbers, tree, predictions. */
function drawDetail() {
  const row = state.chosen;
  if (!row) {
    fill("detail", html("p", { class: "card empty" }, "Choose a program to see its tree and its predictions."));
    return;
  }
  const run = report.runs[row.run];
  const facts = [["Reward", row.r], ["Complexity", row.complexity], ["Length", row.length], ...Object.entries(row.more)];
  fill("detail",
    html("div", { class: "card" },
      html("h3", {}, `${row.kind === "pf" ? "Pareto front" : "Hall of fame"} ${row.rank}, ${run.name}`, row.isPicked && html("span", { class: "badge good picked" }, "★ the formula of the run")),
      html("div", { class: "formula hero-formula" }, formula(row.expression)),
      html("dl", { class: "facts" }, facts.filter(([, value]) => isNumber(value)).map(([name, value]) => html("div", {},
        html("dt", {}, name.replaceAll("_", " ")), html("dd", {}, short(value))))),
      html("div", { class: "buttons" },
        copyButton("copy-expression", "Copy expression", row.expression), copyButton("copy-latex", "LaTeX", latexOf(report.formulas[row.expression] || ["mtext", row.expression])),
        sourceButtons(report.folders[run.folder].sources[row.traversal] || (run.policy && row.traversal === run.result.traversal && run.policy.sources)), copyButton("copy-traversal", "Tokens", row.traversal))),
    treeCard(row.traversal, report.folders[run.folder]),
    predictionCard(row, report.folders[run.folder]),
    residualCard(row, report.folders[run.folder]));
}

/** Buttons that copy a program as source code, where the page has it. */
const sourceButtons = (sources) => Object.entries(sources || {}).map(([language, text]) => copyButton(`copy-${language}`, { python: "Python", c: "C" }[language], text));

function copyButton(id, label, text) {
  const button = html("button", { id, type: "button" }, label);
  button.addEventListener("click", async () => {
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      done = copyBySelection(text) ? "Copied" : "Not allowed here";
    }
    button.textContent = done;
    setTimeout(() => { button.textContent = label; }, 1400);
  });
  return button;
}

/** Pages that were opened as files may not use the clipboard directly. */
function copyBySelection(text) {
  const area = html("textarea", { "aria-hidden": "true", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Nodes of a traversal with children and depth; null where a token is unknown. */
function parseTree(traversal, arities) {
  const nodes = [];
  const open = [];
  for (const token of traversal.split(",")) {
    const isLiteral = token.trim() !== "" && !Number.isNaN(Number(token));
    const arity = Object.hasOwn(arities, token) ? arities[token] : isLiteral ? 0 : null;
    if (arity === null || (nodes.length && !open.length)) return null;
    const node = { token, arity, children: [], depth: open.length ? open[open.length - 1].depth + 1 : 0 };
    if (open.length) open[open.length - 1].children.push(node);
    nodes.push(node);
    open.push(node);
    while (open.length && open[open.length - 1].children.length === open[open.length - 1].arity) open.pop();
  }
  return open.length ? null : nodes;
}

function nodeLabel(token, inputs) {
  if (SIGNS[token]) return SIGNS[token];
  if (inputs[token]) return inputs[token];
  const value = Number(token);
  const text = Number.isNaN(value) || /^x\d+$/.test(token) ? token : short(value);
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}

/** Leaves side by side, parents above the middle of their children. */
function placeNodes(nodes, inputs) {
  let right = 0;
  for (const node of [...nodes].reverse()) { // children before parents, from the right
    node.label = nodeLabel(node.token, inputs);
    node.width = Math.max(30, 8.2 * node.label.length + 14);
    if (!node.children.length) {
      right -= node.width + 12;
      node.x = right + node.width / 2;
    } else {
      node.x = (node.children[0].x + node.children[node.children.length - 1].x) / 2;
    }
    node.y = 20 + node.depth * 52;
  }
  const left = Math.min(...nodes.map((node) => node.x - node.width / 2)) - 4;
  for (const node of nodes) node.x -= left;
  return { width: Math.max(...nodes.map((node) => node.x + node.width / 2)) + 4, height: Math.max(...nodes.map((node) => node.y)) + 20 };
}

function treeCard(traversal, { arities, inputs }) {
  const nodes = parseTree(traversal, arities);
  const title = html("h3", {}, "Expression tree");
  if (!nodes) {
    return html("div", { class: "card" }, title, html("p", { class: "quiet small" }, "No tree: a token is not known outside the run."), html("code", {}, traversal));
  }
  const size = placeNodes(nodes, inputs);
  const links = nodes.flatMap((node) => node.children.map((child) => svg("path", {
    d: `M${node.x},${node.y + 13}C${node.x},${node.y + 32} ${child.x},${child.y - 32} ${child.x},${child.y - 13}`,
  })));
  const boxes = nodes.map((node) => svg("g", { class: node.arity ? "c0" : /^x\d+$/.test(node.token) ? "c2" : "c1" },
    svg("title", {}, node.token),
    svg("rect", { x: node.x - node.width / 2, y: node.y - 13, width: node.width, height: 26, rx: node.arity ? 6 : 13 }),
    svg("text", { x: node.x, y: node.y }, node.label)));
  const scale = Math.max(0.55, Math.min(1, 460 / size.width, 420 / size.height));
  const picture = svg("svg", {
    width: size.width * scale, height: size.height * scale, viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": `Tree with ${nodes.length} tokens: ${traversal}`,
  }, links, boxes);
  return html("div", { class: "card" }, title, html("div", { class: "tree", tabindex: 0, role: "region", "aria-label": "Expression tree" }, picture));
}

/** Predictions beside the data, by an input or against the measured values. */
function predictionCard(row, folder) {
  const predicted = folder.predictions[row.traversal];
  const title = "Prediction and data";
  if (!folder.data) return emptyCard(title, `Not shown: ${folder.no_data}`);
  if (!predicted) return emptyCard(title, "Not shown: predictions are worked out for the best programs only.");
  const n = folder.data.X.length;
  const fallback = n === 1 ? "0" : "y";
  const axis = state.axis === "y" || Number(state.axis) < n ? state.axis ?? fallback : fallback;
  const called = (i) => folder.inputs[`x${i + 1}`] || `x${i + 1}`;
  const inputs = folder.data.X.map((_, i) => [String(i), `over ${called(i)}`]);
  const aside = select("prediction-axis", "", [...inputs, ["y", "against measured"]], axis, (value) => { state.axis = value; drawDetail(); byId("prediction-axis").focus(); });
  const options = { aside, id: "prediction", height: 260 };
  if (axis === "y") return scatterChart(title, againstMeasured(folder.data, predicted), { x: "measured", y: "predicted" }, { ...options, diagonal: true });
  return scatterChart(title, overInput(folder.data, predicted, Number(axis), n === 1), { x: called(Number(axis)), y: "y" }, options);
}

/** What the predictions miss, against the predictions. */
function residualCard(row, folder) {
  const predicted = folder.predictions[row.traversal];
  if (!folder.data || !predicted) return null;
  const missed = (isTest) => predicted.map((value, i) => [value, isNumber(value) ? folder.data.y[i] - value : null]).filter((_, i) => folder.data.is_test[i] === isTest);
  const groups = [
    { points: missed(false), color: "c0", label: "training rows" },
    { points: missed(true), color: "c1", kind: "hollow", label: missed(true).length ? "test rows" : "" },
  ];
  return scatterChart("Residuals", groups, { x: "predicted", y: "measured − predicted" }, { id: "residuals", height: 220, zero: true });
}

function againstMeasured(data, predicted) {
  const points = (isTest) => predicted.map((value, i) => [data.y[i], value]).filter((_, i) => data.is_test[i] === isTest);
  return [
    { points: points(false), color: "c0", label: "training rows" },
    { points: points(true), color: "c1", kind: "hollow", label: points(true).length ? "test rows" : "" },
  ];
}

function overInput(data, predicted, input, isOnly) {
  const xs = data.X[input];
  const measured = (isTest) => data.y.map((value, i) => [xs[i], value]).filter((_, i) => data.is_test[i] === isTest);
  const foretold = predicted.map((value, i) => [xs[i], value]).sort((a, b) => a[0] - b[0]);
  return [
    { points: foretold, color: "c1", kind: isOnly ? "line" : "hollow", line: isOnly, label: "prediction" },
    { points: measured(true), color: "c7", kind: "hollow", label: measured(true).length ? "test rows" : "" },
    { points: measured(false), color: "c0", label: "training rows" },
  ];
}
