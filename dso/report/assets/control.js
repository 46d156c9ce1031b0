/** What is known of the policies of control: returns of the test episodes, and what the actions do. */
function drawControl() {
  const known = report.runs.map((run, i) => ({ ...run, i })).filter((run) => run.returns || (run.policy && run.policy.responses.length));
  byId("control").hidden = !known.length;
  byId("control-link").hidden = !known.length;
  if (!known.length) return;
  const [best] = known.sort((a, b) => compare(a.result.r_avg_test ?? a.result.r, b.result.r_avg_test ?? b.result.r, true));
  fill("control-body", best.returns && histogram(best.returns, best.name), ((best.policy || {}).responses || []).map(responseChart));
}

/** How many test episodes had which return. */
function histogram(returns, name) {
  const low = Math.min(...returns);
  const high = Math.max(...returns);
  const n = high > low ? Math.min(30, Math.max(5, Math.ceil(Math.sqrt(returns.length)))) : 1;
  const width = (high - low) / n || 1;
  const counts = Array.from({ length: n }, () => 0);
  for (const value of returns) counts[Math.min(n - 1, Math.floor((value - low) / width))] += 1;
  const mean = returns.reduce((sum, value) => sum + value, 0) / returns.length;
  const draw = (frame) => {
    const x = makeScale([low, low + n * width], PAD.left, frame.width - PAD.right);
    const y = makeScale(counts, frame.height - PAD.bottom, PAD.top, false, 0);
    const bars = counts.map((value, i) => svg("rect", {
      class: "heat", opacity: 0.75, x: x(low + i * width) + 0.5, width: Math.max(x(low + (i + 1) * width) - x(low + i * width) - 1, 1), y: y(value), height: Math.max(y(0) - y(value), 0),
    }, svg("title", {}, `${short(low + i * width)} to ${short(low + (i + 1) * width)}: ${value}`)));
    const line = svg("line", { class: "cursor", x1: x(mean), x2: x(mean), y1: PAD.top, y2: y(0) });
    return { content: [...axes(frame, x, y, { x: "return of a test episode" }), ...bars, line], key: [html("span", {}, `${name}: mean ${short(mean)}, least ${short(low)}, greatest ${short(high)}, ${returns.length} episodes`)] };
  };
  const csv = () => [["return"], ...returns.map((value) => [value])];
  return chartCard("Returns of the test episodes", `Histogram of ${returns.length} returns with mean ${short(mean)}.`, draw, { read: false, id: "returns", height: 260, csv });
}

/** An action over the one or two observations that it depends on. */
function responseChart(response) {
  const { name, inputs, ranges, values } = response;
  const at = (k, i, n) => ranges[k][0] + ((ranges[k][1] - ranges[k][0]) * i) / (n - 1);
  if (inputs.length === 1) {
    const x = values.map((_, i) => at(0, i, values.length));
    return lineChart(`Action ${name} over ${inputs[0]}`, [{ x, y: values, label: name, color: "c0", style: "strong" }], { x: inputs[0] }, { height: 260 });
  }
  const n = values.length;
  const flat = values.flat().filter(isNumber);
  const [low, high] = [Math.min(...flat), Math.max(...flat)];
  const draw = (frame) => {
    const x = makeScale(ranges[0], PAD.left, frame.width - PAD.right);
    const y = makeScale(ranges[1], frame.height - PAD.bottom, PAD.top);
    const [w, h] = [(x(ranges[0][1]) - x(ranges[0][0])) / n, (y(ranges[1][0]) - y(ranges[1][1])) / n];
    const cells = values.flatMap((row, i) => row.map((value, j) => svg("rect", {
      class: "heat", opacity: isNumber(value) && high > low ? (0.05 + (0.95 * (value - low)) / (high - low)).toFixed(3) : 0.5,
      x: (x(ranges[0][0]) + i * w).toFixed(1), y: (y(ranges[1][0]) - (j + 1) * h).toFixed(1), width: (w + 0.4).toFixed(1), height: (h + 0.4).toFixed(1),
    })));
    return { content: [...cells, ...axes(frame, x, y, { x: inputs[0] }), svg("text", { class: "axis", x: 4, y: PAD.top + 2 }, inputs[1])], key: [html("span", {}, `${name} from ${short(low)} (pale) to ${short(high)} (dark)`)] };
  };
  const csv = () => [[...inputs, name], ...values.flatMap((row, i) => row.map((value, j) => [at(0, i, n), at(1, j, n), value]))];
  return chartCard(`Action ${name} over ${inputs.join(" and ")}`, `Shades of ${name} over ${inputs.join(" and ")}.`, draw, { read: false, height: 300, csv });
}
