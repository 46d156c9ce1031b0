let report = JSON.parse(byId("data").textContent);

const state = {
  x: "iteration", stat: "r_best", scale: "linear", column: "n_withdrawn", hidden: new Set(), distributionRun: null,
  kind: "pf", programRun: "all", frontValue: "r", chosen: null, axis: null,
};
const X_AXES = [["iteration", "iteration"], ["nevals", "samples"], ["seconds", "seconds"]];
const REWARDS = [
  ["r_best", "best so far"], ["r_max", "best of batch"], ["r_avg_sub", "mean of the kept"], ["baseline", "baseline"], ["r_avg_full", "mean of batch"],
];
const CHARTS = [
  ["Entropy of tokens (nats)", [["a_ent_full", "batch"], ["a_ent_sub", "kept"]]],
  ["Share of new programs", [["novel", "never seen before"], ["unique", "different within the batch"]]],
  ["Share of invalid programs", [["invalid_avg_full", "batch"], ["invalid_avg_sub", "kept"]]],
  ["Seconds per iteration", [["time", "seconds"]]],
  ["Length (tokens)", [["l_avg_full", "batch"], ["l_avg_sub", "kept"]]],
];
const MANY = 8;

/** Whether the folders are the settings of a sweep, whose runs belong together. */
const isSweep = () => report.folders.some((folder) => Object.keys(folder.values || {}).length);

/** Up to eight runs have a colour each; of more, and of a sweep, those of a folder share one. */
function colorOf(i) {
  return `c${(report.runs.length <= MANY && !isSweep() ? i : report.runs[i].folder) % 8}`;
}

/** Return a function that puts the focus back on the element of the same id. */
function rememberFocus() {
  const id = document.activeElement && document.activeElement.id;
  return () => {
    const again = id && byId(id);
    if (again && document.activeElement !== again) again.focus({ preventScroll: true });
  };
}

function drawHeader() {
  const folders = report.folders.map((folder) => folder.path).join(", ");
  const n = report.runs.length;
  byId("subtitle").textContent = `${n} run${n === 1 ? "" : "s"} · ${folders}`;
  byId("subtitle").title = folders;
  byId("footer").textContent = `Made by dso on ${report.generated}. This page loads nothing from any network.`;
}

/** The runs, the one with the best reward first. */
const bestFirst = () => report.runs.map((run, i) => ({ ...run, i })).sort((a, b) => compare(a.result.r, b.result.r, true));

const isSolved = (run) => run.result.success === true;

function drawOverview() {
  const { runs } = report;
  const [best] = bestFirst();
  const issues = report.folders.flatMap((folder) => folder.issues.map((issue) => `${folder.name}: ${issue}`));
  const notice = issues.length > 0 && html("div", { class: "card notice", id: "issues" }, html("strong", {}, "Not everything could be read"),
    html("ul", {}, issues.slice(0, 20).map((issue) => html("li", {}, issue))));
  if (!runs.length) {
    fill("overview", html("p", { class: "card empty" }, "No run has written anything here yet."), notice);
    return;
  }
  const hero = html("div", { class: "card hero" },
    html("span", { class: "quiet small" }, runs.length > 1 ? `Best formula, of ${best.name}` : "Best formula"),
    html("div", { class: "formula" }, formula(best.result.expression)));
  fill("overview", hero, html("div", { class: "tiles" }, tiles(runs, best)), notice);
}

function tiles(runs, best) {
  const of = (status) => runs.filter((run) => run.status === status).length;
  const total = (name) => runs.reduce((sum, run) => sum + (run.result[name] || 0), 0);
  const median = quantile(runs.map((run) => run.result.r), 0.5);
  const solved = runs.filter(isSolved).length;
  const status = ["done", "running", "stopped", "failed", "unknown"].filter(of).map((name) => `${of(name)} ${name}`).join(", ");
  const budget = runs.reduce((sum, run) => sum + (report.folders[run.folder].n_samples || 0), 0);
  const tile = (value, text) => html("div", { class: "card tile" }, html("b", {}, value), html("span", {}, text));
  return [
    tile(short(best.result.r), "best reward"),
    runs.length > 1 && tile(short(median), "median of the runs' rewards"),
    tile(runs.length > 1 ? `${solved} of ${runs.length}` : solved ? "yes" : "no", runs.length > 1 ? `solved (${short((100 * solved) / runs.length)} %)` : "solved"),
    tile(count(total("n_samples")), budget ? `samples of at most ${count(budget)}` : "samples"),
    tile(duration(total("t")), "of computing"),
    tile(runs.length > 1 ? String(runs.length) : runs[0].status, runs.length > 1 ? `runs: ${status}` : "state of the run"),
  ].filter(Boolean);
}

function drawCurves() {
  const keep = rememberFocus();
  const shown = report.runs.map((run, i) => ({ ...run, i })).filter((run) => !state.hidden.has(run.i) && run.n_iterations);
  drawCurveControls(shown.length > 1);
  drawLegend();
  if (!shown.length) {
    fill("charts", html("p", { class: "card empty wide" }, "No iterations to show."));
  } else if (shown.every((run) => run.n_iterations === 1)) {
    fill("charts", html("p", { class: "card wide" }, shown.map(inOneIteration).join(" ")));
  } else {
    fill("charts", rewardChart(shown), CHARTS.map(([title, names]) => curveChart(title, names, shown)), anyChart(shown));
  }
  keep();
}

/** What a run of one iteration has done, which makes no curve. */
const inOneIteration = (run) => `${run.name} ended after one iteration: best reward ${short(run.result.r)} after ${count(run.result.n_samples)} samples.`;

function drawCurveControls(isMany) {
  const redraw = (key) => (value) => { state[key] = value; drawCurves(); };
  fill("curve-controls",
    isMany && select("stat", "Reward", REWARDS, state.stat, redraw("stat")),
    select("scale", "Scale", [["linear", "R"], ["log", "1 − R, logarithmic"]], state.scale, redraw("scale")),
    select("x-axis", "Over", X_AXES, state.x, redraw("x")));
}

function drawLegend() {
  if (report.runs.length < 2) {
    fill("legend");
    return;
  }
  const chips = report.runs.map((run, i) => html("button", {
    id: `chip-${i}`, type: "button", class: `chip ${colorOf(i)}`, "aria-pressed": String(!state.hidden.has(i)),
    onclick: () => { if (!state.hidden.delete(i)) state.hidden.add(i); drawCurves(); },
  }, run.name));
  const toggleAll = () => {
    const hide = !state.hidden.size;
    state.hidden = new Set(hide ? report.runs.map((_, i) => i) : []);
    drawCurves();
  };
  fill("legend", html("button", { id: "chip-all", type: "button", class: "chip all", onclick: toggleAll }, state.hidden.size ? "Show all" : "Hide all"), chips);
}

/** Curves of one column, one per run; many runs are faint behind their median. */
function seriesOfRuns(shown, name, change = (value) => value) {
  const series = shown.filter((run) => run.curves[name]).map((run) => ({
    x: run.curves[state.x] || run.curves.iteration, y: run.curves[name].map(change), label: run.name, color: colorOf(run.i), folder: run.folder, holds: name === "r_best", style: "",
  }));
  if (series.length <= MANY && !isSweep()) return series;
  const folders = [...new Set(series.map((one) => one.color))];
  const nameOf = (color) => (report.folders.length > 1 ? report.folders[series.find((one) => one.color === color).folder].name : "");
  const medians = folders.map((color) => summarise(series.filter((one) => one.color === color), nameOf(color) ? `median, ${nameOf(color)}` : "median of the runs", color));
  return [...series.map((one) => ({ ...one, style: "faint" })), ...medians];
}

function seriesOfColumns(run, names, change = (value) => value) {
  const colors = ["c1", "c3", "c4", "c5", "c0"];
  return names.filter(([name]) => run.curves[name]).map(([name, label], i) => ({
    x: run.curves[state.x] || run.curves.iteration, y: run.curves[name].map(change), label, color: colors[i % 5], style: i ? "" : "strong",
  }));
}

const xLabel = () => X_AXES.find(([key]) => key === state.x)[1];

function rewardChart(shown) {
  const isLog = state.scale === "log";
  const change = (value) => (isLog && isNumber(value) ? Math.max(1 - value, 1e-16) : value);
  const options = { wide: true, height: 300, log: isLog, id: "reward" };
  if (shown.length === 1) return lineChart(isLog ? "1 − reward" : "Reward", seriesOfColumns(shown[0], REWARDS, change), { x: xLabel() }, options);
  const label = REWARDS.find(([name]) => name === state.stat)[1];
  return lineChart(`${isLog ? "1 − reward" : "Reward"}, ${label}`, seriesOfRuns(shown, state.stat, change), { x: xLabel() }, { ...options, unnamed: true });
}

function curveChart(title, names, shown) {
  const least = title.startsWith("Share") ? 0 : undefined;
  if (shown.length === 1) return lineChart(title, seriesOfColumns(shown[0], names), { x: xLabel() }, { least });
  return lineChart(`${title}, ${names[0][1]}`, seriesOfRuns(shown, names[0][0]), { x: xLabel() }, { least, unnamed: true });
}

/** Any other column of the log. */
function anyChart(shown) {
  const used = new Set([...REWARDS, ...CHARTS.flatMap(([, names]) => names)].map(([name]) => name));
  const names = [...new Set(shown.flatMap((run) => Object.keys(run.curves)))].filter((name) => !used.has(name) && name !== "iteration");
  if (!names.length) return null;
  const name = names.includes(state.column) ? state.column : names[0];
  const aside = select("column", "", names.map((one) => [one, one]), name, (value) => { state.column = value; drawCurves(); });
  return lineChart("Another column", seriesOfRuns(shown, name), { x: xLabel() }, { aside, id: "any", unnamed: true });
}

function drawDistribution() {
  const keep = rememberFocus();
  const known = report.runs.map((run, i) => [i, run.name]).filter(([i]) => report.runs[i].n_iterations);
  const whole = known.find(([i]) => report.runs[i].distribution) || known[0];
  const isKnown = known.some(([i]) => String(i) === String(state.distributionRun));
  const run = whole && report.runs[isKnown ? Number(state.distributionRun) : whole[0]];
  fill("distribution-controls", known.length > 1 && select("distribution-run", "Run", known, report.runs.indexOf(run),
    (value) => { state.distributionRun = value; drawDistribution(); }));
  if (!run) fill("distribution-body", html("p", { class: "card empty" }, "No iterations to show."));
  else if (run.n_iterations === 1) fill("distribution-body", html("p", { class: "card" }, inOneIteration(run)));
  else fill("distribution-body", run.distribution ? heatChart(run.distribution, report.quantiles) : spreadOfLog(run));
  keep();
}

/** What the log alone says of the distribution: from the batch's mean to its best. */
function spreadOfLog(run) {
  const curve = (name) => run.curves[name] || [];
  const x = run.curves.iteration;
  const series = [
    { x, y: curve("r_avg_full"), low: curve("r_avg_full"), high: curve("r_max"), label: "mean of batch", color: "c0" },
    { x, y: curve("r_avg_sub"), low: curve("r_avg_sub"), high: curve("r_max"), label: "mean of the kept", color: "c4" },
    { x, y: curve("r_max"), label: "best of batch", color: "c1" },
  ];
  return [
    lineChart("From mean to best of each batch", series, { x: "iteration" }, { height: 260, id: "spread" }),
    html("p", { class: "quiet small more" }, "With logging.save_all_iterations a run keeps every reward, and their whole distribution is shown here."),
  ];
}

function statusBadge(run) {
  const kind = { done: isSolved(run) ? "good" : "", running: "going", failed: "bad", stopped: "bad" }[run.status] || "";
  return html("span", { class: `badge ${kind}` }, run.status === "done" && isSolved(run) ? "solved" : run.status);
}

function drawRuns() {
  const keep = rememberFocus();
  const { runs } = report;
  const named = ["nmse_test", ...new Set(runs.flatMap((run) => Object.keys(run.result).filter((name) => name.startsWith("r_avg_test"))))];
  const column = (key, label, value, cell) => ({ key, label, number: true, value, cell: cell || ((row) => short(value(row))) });
  const columns = [
    { key: "run", label: "Run", value: (run) => run.i, short: true, cell: (run) => html("button", { class: "row", type: "button", id: `run-${run.i}` }, run.name) },
    { key: "status", label: "State", value: (run) => run.status, cell: statusBadge },
    column("r", "Reward", (run) => run.result.r),
    ...named.filter((name) => runs.some((run) => isNumber(run.result[name]))).map((name) => column(name, name.replaceAll("_", " "), (run) => run.result[name])),
    { key: "expression", label: "Formula", wide: true, value: (run) => run.result.expression || "", cell: (run) => html("div", { class: "formula" }, run.result.error ? run.result.error : formula(run.result.expression)) },
    column("n_samples", "Samples", (run) => run.result.n_samples, (run) => count(run.result.n_samples)),
    column("n_iterations", "Iterations", (run) => run.n_iterations),
    column("t", "Time", (run) => run.result.t, (run) => duration(run.result.t)),
  ];
  const pick = (run) => {
    state.programRun = String(run.i);
    state.chosen = null;
    drawPrograms();
    byId("programs").scrollIntoView();
  };
  const rows = runs.map((run, i) => ({ ...run, i }));
  fill("run-table", runs.length
    ? html("div", { class: "card flush" }, table("run-list", columns, rows, { label: "Runs", redraw: drawRuns, pick }))
    : html("p", { class: "card empty" }, "No runs yet."));
  keep();
}

/** A name that breaks behind its dots and underscores, not within its words. */
const breakable = (text) => text.split(/(?<=[._,/])/).flatMap((part) => [part, html("wbr")]);

function drawSettings() {
  fill("settings-body", html("div", { class: "stack" }, report.folders.map((folder) => html("div", { class: "card" },
    html("h3", {}, folder.name),
    html("dl", { class: "settings" }, folder.settings.map(([name, value]) => html("div", {}, html("dt", {}, breakable(name)), html("dd", {}, breakable(value))))),
    html("details", {}, html("summary", {}, "The whole config"), html("pre", { tabindex: 0 }, html("code", {}, JSON.stringify(folder.config, null, 2))))))));
}

/** What models of the data have shown before anything was found, with the evidence. */
function drawReductions() {
  const runs = report.runs.filter((run) => run.reductions);
  byId("reductions").hidden = byId("reductions-link").hidden = !runs.length;
  fill("reductions-body", runs.map((run) => html("div", { class: "card" },
    report.runs.length > 1 && html("h3", {}, run.name),
    html("p", {}, run.reductions.why),
    html("ol", {}, run.reductions.steps.map((step) => html("li", {}, step))))));
}

function drawAll() {
  drawHeader();
  drawOverview();
  drawComparison();
  drawCurves();
  drawDistribution();
  drawPrograms();
  drawReductions();
  drawControl();
  drawRuns();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").setAttribute("aria-label", theme === "dark" ? "Switch to light" : "Switch to dark");
}

function startTheme() {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("dso-theme"); } catch { /* files may have no storage */ }
  setTheme(chosen || (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(theme);
    try { localStorage.setItem("dso-theme", theme); } catch { /* then it is forgotten */ }
  });
}

/** Mark the section that is being read. */
function startNavigation() {
  const links = [...document.querySelectorAll("nav a")];
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find((one) => one.isIntersecting);
    if (!entry) return;
    for (const link of links) {
      if (link.hash === `#${entry.target.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-30% 0px -60% 0px" });
  for (const link of links) seen.observe(byId(link.hash.slice(1)));
}

/** Ask the server for newer data, now and then. */
async function refresh() {
  const badge = byId("live");
  badge.hidden = false;
  try {
    const answer = await fetch("/data", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = await answer.json();
    if (next.generated !== report.generated) {
      report = { ...next, live: true, title: report.title };
      drawAll();
      if (!byId("settings-body").querySelector("details[open]")) drawSettings();
    }
    badge.className = "live";
    badge.textContent = report.runs.some((run) => run.status === "running") ? "live" : "up to date";
  } catch {
    badge.className = "live lost";
    badge.textContent = "server gone";
  }
  setTimeout(refresh, 1000 * (report.refresh || 2));
}

startTheme();
startNavigation();
if (report.runs.length > MANY) state.programRun = String(bestFirst()[0].i);
drawSettings();
drawAll();
if (report.live) refresh();
