/** The settings of a sweep: each folder with values that others have not. */
const settingsShown = () => report.folders.map((folder, i) => ({ ...folder, i })).filter((folder) => Object.keys(folder.values || {}).length);

/** Mean, deviation and best reward of the runs of each setting. */
function comparedSettings() {
  return settingsShown().map((folder) => {
    const runs = report.runs.filter((run) => run.folder === folder.i);
    const rewards = runs.map((run) => run.result.r).filter(isNumber);
    const mean = rewards.length ? rewards.reduce((sum, value) => sum + value, 0) / rewards.length : null;
    const spread = rewards.length > 1 ? Math.sqrt(rewards.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (rewards.length - 1)) : null;
    return { ...folder, n: runs.length, rewards, mean, spread, best: rewards.length ? Math.max(...rewards) : null, solved: runs.filter(isSolved).length };
  });
}

function drawComparison() {
  const rows = comparedSettings();
  byId("comparison").hidden = rows.length < 2;
  byId("comparison-link").hidden = rows.length < 2;
  if (rows.length < 2) return;
  const keep = rememberFocus();
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  const number = (key, label, value) => ({ key, label, number: true, value, cell: (row) => short(value(row)) });
  const shown = (value) => (typeof value === "number" ? short(value) : typeof value === "string" ? value : JSON.stringify(value));
  const columns = [
    ...keys.map((key) => ({ key, label: key.split(".").pop(), short: true, value: (row) => row.values[key] ?? null, cell: (row) => shown(row.values[key] ?? null) })),
    number("n", "Runs", (row) => row.n),
    number("mean", "Mean reward", (row) => row.mean),
    number("spread", "Deviation", (row) => row.spread),
    number("best", "Best", (row) => row.best),
    number("solved", "Solved", (row) => row.solved),
  ];
  const best = [...rows].sort((a, b) => compare(a.mean, b.mean, true));
  fill("comparison-body",
    html("div", { class: "card flush" }, table("settings-list", columns, best, { label: "Settings", redraw: drawComparison })),
    parallelChart(keys, rows));
  keep();
}

/** One line per setting through its values and its mean reward. */
function parallelChart(keys, rows) {
  const axesOf = [...keys, "mean reward"];
  const valueOf = (row, key) => (key === "mean reward" ? row.mean : row.values[key]);
  const places = axesOf.map((key) => {
    const values = [...new Set(rows.map((row) => valueOf(row, key)).filter((value) => value !== null && value !== undefined))];
    const isNumeric = values.every((value) => typeof value === "number");
    if (isNumeric) values.sort((a, b) => a - b);
    const isContinuous = key === "mean reward" && values.length > 1;
    const at = (value) => {
      if (isContinuous) return (value - values[0]) / (values[values.length - 1] - values[0]);
      return values.length > 1 ? values.indexOf(value) / (values.length - 1) : 0.5;
    };
    return { key, at, labels: isContinuous ? [values[0], values[values.length - 1]] : values };
  });
  const means = rows.map((row) => row.mean).filter(isNumber);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const draw = (frame) => {
    const x = (i) => 40 + (i * (frame.width - 100)) / Math.max(axesOf.length - 1, 1);
    const y = (share) => frame.height - 34 - share * (frame.height - 62);
    const content = places.flatMap((place, i) => [
      svg("line", { class: "rule", x1: x(i), x2: x(i), y1: y(0), y2: y(1) }),
      svg("text", { class: "axis", x: x(i), y: frame.height - 10, "text-anchor": "middle" }, place.key.split(".").pop()),
      ...place.labels.map((value) => svg("text", { class: "axis", x: x(i) + 5, y: y(place.at(value)) - 4 }, typeof value === "number" ? short(value) : typeof value === "string" ? value : JSON.stringify(value))),
    ]);
    for (const row of rows) {
      const share = isNumber(row.mean) ? (high > low ? (row.mean - low) / (high - low) : 1) : 0;
      const points = places.map((place, i) => [x(i), y(place.at(valueOf(row, place.key)))]).filter(([, py]) => Number.isFinite(py));
      content.push(svg("path", { class: `line ${row.mean === high ? "c1 strong" : "c0"}`, opacity: 0.25 + 0.75 * share, d: `M${points.map((point) => point.map((p) => p.toFixed(1)).join(",")).join("L")}` },
        svg("title", {}, `${row.name}: ${short(row.mean)}`)));
    }
    return { content, key: [] };
  };
  const table = () => [[...keys, "mean reward"], ...rows.map((row) => axesOf.map((key) => valueOf(row, key)))];
  return chartCard("Settings and their mean reward", `One line per setting through ${axesOf.join(", ")}.`, draw, { read: false, wide: true, height: 280, id: "parallel", csv: table });
}
