const PAD = { left: 52, right: 12, top: 10, bottom: 34 };

/** About this many round numbers that cover a range. */
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found;
}

function logTicks(low, high) {
  const first = Math.ceil(low - 1e-9);
  const last = Math.floor(high + 1e-9);
  const step = Math.max(1, Math.ceil((last - first) / 5));
  const found = [];
  for (let i = first; i <= last; i += step) found.push(i);
  return found;
}

/** From values to pixels; a logarithmic scale works on exponents of ten. */
function makeScale(values, from, to, isLog, least) {
  const known = values.map((value) => (isLog ? Math.log10(value) : value)).filter(Number.isFinite);
  let low = Math.min(...(least === undefined ? [] : [least]), ...known.slice(0, 1));
  let high = known.length ? known[0] : 1;
  for (const value of known) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!known.length) low = 0;
  // A constant, rounding aside, gets an axis around it whose ticks differ in the digits shown.
  if (!(high - low > (isLog ? 1e-9 : 1e-6 * Math.max(Math.abs(low), Math.abs(high))))) {
    const margin = isLog ? 1 : Math.max(Math.abs(low), Math.abs(high)) * 0.1 || 1;
    [low, high] = [least === undefined ? low - margin : Math.min(least, low), high + margin];
  }
  const place = (value) => from + (((isLog ? Math.log10(value) : value) - low) / (high - low)) * (to - from);
  place.ticks = (count) => (isLog ? logTicks(low, high).map((power) => 10 ** power) : ticks(low, high, count));
  place.inverse = (pixel) => low + ((pixel - from) / (to - from)) * (high - low);
  return place;
}

function axes(frame, x, y, labels) {
  const parts = [];
  for (const value of y.ticks(frame.height / 48)) {
    parts.push(svg("line", { class: "rule", x1: PAD.left, x2: frame.width - PAD.right, y1: y(value), y2: y(value) }));
    parts.push(svg("text", { class: "axis", x: PAD.left - 7, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of x.ticks(Math.max(2, Math.floor(frame.width / 80)))) {
    parts.push(svg("text", { class: "axis", x: x(value), y: frame.height - PAD.bottom + 16, "text-anchor": "middle" }, short(value)));
  }
  parts.push(svg("text", { class: "axis", x: frame.width - PAD.right, y: frame.height - 4, "text-anchor": "end" }, labels.x));
  return parts;
}

/** A path through the points that are known; a gap where one is not. */
function pathOf(xs, ys, x, y) {
  let path = "";
  let pen = "M";
  for (let i = 0; i < ys.length; i += 1) {
    const px = x(xs[i]);
    const py = y(ys[i]);
    if (isNumber(xs[i]) && isNumber(ys[i]) && Number.isFinite(px) && Number.isFinite(py)) {
      path += `${pen}${px.toFixed(1)},${py.toFixed(1)}`;
      pen = "L";
    } else {
      pen = "M";
    }
  }
  return path;
}

/** A path around the area between two curves. */
function areaOf(xs, lows, highs, x, y) {
  const known = xs.map((_, i) => i).filter((i) => [lows[i], highs[i]].every((v) => isNumber(v) && Number.isFinite(y(v))));
  const there = known.map((i) => `${x(xs[i]).toFixed(1)},${y(highs[i]).toFixed(1)}`);
  const back = known.reverse().map((i) => `${x(xs[i]).toFixed(1)},${y(lows[i]).toFixed(1)}`);
  return there.length ? `M${[...there, ...back].join("L")}Z` : "";
}

/**
 * A chart in a card, drawn to the width it gets.
 * draw(frame) returns {content, x, y, read}; read(value of x) says what stands there.
 */
function chartCard(title, label, draw, options = {}) {
  const readout = html("div", { class: "readout", role: "status" });
  const box = html("div", { class: "chart", tabindex: options.read === false ? null : 0, role: "img", "aria-label": label });
  const card = html("figure", { class: `card ${options.wide ? "wide" : ""}`, id: options.id },
    html("figcaption", { class: "chart-head" }, html("h3", {}, title), options.aside, chartTools(title, box, options.csv)), box, readout);
  box.redraw = () => {
    const frame = { width: Math.max(box.clientWidth, 240), height: options.height || 220 };
    const drawn = draw(frame);
    const picture = svg("svg", { height: frame.height, viewBox: `0 0 ${frame.width} ${frame.height}`, "aria-hidden": "true" }, drawn.content);
    box.replaceChildren(picture);
    readout.replaceChildren(...(drawn.key || []));
    if (drawn.read) follow(box, picture, frame, drawn, readout);
  };
  watcher.observe(box);
  return card;
}

const watcher = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const width = Math.round(entry.contentRect.width);
    if (width && entry.target.drawnWidth !== width) {
      entry.target.drawnWidth = width;
      entry.target.redraw();
    }
  }
});

/** Read values off a chart, with the pointer or with arrow keys. */
function follow(box, picture, frame, drawn, readout) {
  const cursor = svg("line", { class: "cursor", y1: PAD.top, y2: frame.height - PAD.bottom, visibility: "hidden" });
  picture.append(cursor);
  let pixel = frame.width - PAD.right;
  const show = () => {
    pixel = Math.min(Math.max(pixel, PAD.left), frame.width - PAD.right);
    cursor.setAttribute("x1", pixel);
    cursor.setAttribute("x2", pixel);
    cursor.setAttribute("visibility", "visible");
    readout.replaceChildren(...drawn.read(drawn.x.inverse(pixel)));
  };
  const hide = () => {
    cursor.setAttribute("visibility", "hidden");
    readout.replaceChildren(...(drawn.key || []));
  };
  box.onpointermove = (event) => {
    const area = picture.getBoundingClientRect();
    pixel = ((event.clientX - area.left) / area.width) * frame.width;
    show();
  };
  box.onpointerleave = hide;
  box.onblur = hide;
  box.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (!step) return;
    event.preventDefault();
    pixel += step * (frame.width / 60);
    show();
  };
}

const keyOf = (series, text) => html("span", { class: `key ${series.color}` }, text);

/** Curves over a common x; series have x, y, label, color, style and perhaps low and high. */
function lineChart(title, series, labels, options = {}) {
  const known = series.filter((one) => one.y.some(isNumber));
  if (!known.length) return emptyCard(title, "No values yet.", options);
  const draw = (frame) => {
    const x = makeScale(known.flatMap((one) => one.x), PAD.left, frame.width - PAD.right, options.logX);
    const ys = known.flatMap((one) => [one.y, one.low || [], one.high || []].flat()).filter(isNumber);
    const y = makeScale(ys, frame.height - PAD.bottom, PAD.top, options.log, options.least);
    const bands = known.filter((one) => one.low).map((one) => svg("path", { class: `band ${one.color}`, d: areaOf(one.x, one.low, one.high, x, y) }));
    const lines = known.map((one) => svg("path", { class: `line ${one.color} ${one.style || ""}`, d: pathOf(one.x, one.y, x, y) }));
    const named = known.filter((one) => one.style !== "faint");
    const read = (at) => [
      html("span", {}, `${labels.x} ${short(options.logX ? at : Math.round(at * 100) / 100)}`),
      ...named.slice(0, 9).map((one) => keyOf(one, `${one.label} ${short(valueAt(one, at))}`)),
    ];
    return { content: [...axes(frame, x, y, labels), ...bands, ...lines], x, y, read, key: options.unnamed ? [] : named.slice(0, 9).map((one) => keyOf(one, one.label)) };
  };
  // Series may have points of their own; each number stands with its x.
  const csv = () => [["series", labels.x, "value"], ...known.flatMap((one) => one.x.map((value, i) => [one.label, value, one.y[i]]))];
  const last = known.filter((one) => one.style !== "faint").slice(0, 5).map((one) => `${one.label}: ${short(one.y[one.y.length - 1])}`);
  return chartCard(title, `${title} over ${labels.x}. Last values: ${last.join(", ")}. Arrow keys read values.`, draw, { ...options, csv });
}

/** The value of a series at x: that of the last point not behind it. */
function valueAt(series, at) {
  let low = 0;
  let high = series.x.length - 1;
  if (high < 0 || series.x[0] > at) return null;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (series.x[middle] <= at) low = middle;
    else high = middle - 1;
  }
  return series.y[low];
}

function emptyCard(title, text, options = {}) {
  return html("figure", { class: `card ${options.wide ? "wide" : ""}`, id: options.id },
    html("figcaption", { class: "chart-head" }, html("h3", {}, title), options.aside), html("p", { class: "empty" }, text));
}

/** Median and middle four fifths of many curves, where at least half of them go on. */
function summarise(many, label, color) {
  const last = Math.max(...many.map((one) => one.x[one.x.length - 1]).filter(isNumber));
  const first = Math.min(...many.map((one) => one.x[0]).filter(isNumber));
  const x = Array.from({ length: 81 }, (_, i) => first + ((last - first) * i) / 80);
  const at = x.map((place) => many.filter((one) => one.holds || one.x[one.x.length - 1] >= place).map((one) => valueAt(one, place)));
  const enough = (values) => values.filter(isNumber).length * 2 >= many.length;
  const over = (share) => at.map((values) => (enough(values) ? quantile(values, share) : null));
  return { x, y: over(0.5), low: over(0.1), high: over(0.9), label, color, style: "strong" };
}

/** Points; groups have points [x, y, data], color, kind ("", "hollow") and perhaps a line. */
function scatterChart(title, groups, labels, options = {}) {
  const points = groups.flatMap((group) => group.points).filter(([px, py]) => isNumber(px) && isNumber(py));
  if (!points.length) return emptyCard(title, options.empty || "No values yet.", options);
  const draw = (frame) => {
    const x = makeScale(points.map((point) => point[0]), PAD.left + 6, frame.width - PAD.right - 6);
    const y = makeScale([...points.map((point) => point[1]), ...(options.zero ? [0] : [])], frame.height - PAD.bottom, PAD.top, options.log);
    const content = axes(frame, x, y, labels);
    if (options.diagonal) content.push(diagonal(points, x, y));
    if (options.zero) content.push(svg("line", { class: "cursor", x1: PAD.left, x2: frame.width - PAD.right, y1: y(0), y2: y(0) }));
    for (const group of groups) content.push(...scatterGroup(group, x, y, options));
    const key = groups.filter((group) => group.label).slice(0, 9).map((group) => keyOf(group, group.label));
    return { content, x, y, key };
  };
  const csv = () => [["series", labels.x, labels.y], ...groups.flatMap((group) => group.points.map(([px, py]) => [group.label || "", px, py]))];
  return chartCard(title, `${title}: ${points.length} points; ${labels.y} against ${labels.x}.`, draw, { ...options, csv, read: false });
}

function diagonal(points, x, y) {
  const low = Math.max(Math.min(...points.map((p) => p[0])), Math.min(...points.map((p) => p[1])));
  const high = Math.min(Math.max(...points.map((p) => p[0])), Math.max(...points.map((p) => p[1])));
  return svg("line", { class: "cursor", x1: x(low), y1: y(low), x2: x(high), y2: y(high) });
}

function scatterGroup(group, x, y, options) {
  const known = group.points.filter(([px, py]) => isNumber(px) && isNumber(py) && Number.isFinite(y(py)));
  const parts = [];
  if (group.line) parts.push(svg("path", { class: `line ${group.color}`, d: pathOf(known.map((p) => p[0]), known.map((p) => p[1]), x, y) }));
  if (group.kind === "line") return parts;
  for (const [px, py, data] of known) {
    const isChosen = data && options.isChosen && options.isChosen(data);
    const dot = svg("circle", {
      class: `dot ${group.color} ${group.kind || ""} ${data ? "pick" : ""} ${isChosen ? "chosen" : ""} ${data && data.isPicked ? "picked" : ""}`,
      cx: x(px).toFixed(1), cy: y(py).toFixed(1), r: isChosen ? 7 : data ? 5 : 3,
      onclick: data && options.pick ? () => options.pick(data) : null,
    }, data && options.name && svg("title", {}, options.name(data)));
    parts.push(dot);
  }
  return parts;
}

/** Shares of rewards by bin as shades, with quantiles above. */
function heatChart(distribution, quantiles) {
  const { iteration, edges, shares } = distribution;
  const draw = (frame) => {
    const x = makeScale([0, iteration[iteration.length - 1]], PAD.left, frame.width - PAD.right);
    const y = makeScale(edges, frame.height - PAD.bottom, PAD.top);
    const cells = [];
    shares.forEach((row, i) => row.forEach((share, j) => {
      if (share > 0) cells.push(heatCell(share, x(i ? iteration[i - 1] : 0), x(iteration[i]), y(edges[j + 1]), y(edges[j])));
    }));
    const at = (share) => distribution.quantiles.map((row) => Math.max(row[quantiles.indexOf(share)], edges[0]));
    const series = [
      { label: "best of batch", color: "c1", y: at(1) }, { label: "95 %", color: "c3", y: at(0.95) },
      { label: "75 %", color: "c4", y: at(0.75) }, { label: "median", color: "c2", y: at(0.5) },
    ].map((one) => ({ ...one, x: iteration }));
    const lines = series.map((one) => svg("path", { class: `line ${one.color}`, d: pathOf(one.x, one.y, x, y) }));
    const read = (place) => [html("span", {}, `iteration ${Math.round(place)}`), ...series.map((one) => keyOf(one, `${one.label} ${short(valueAt(one, place))}`))];
    return { content: [...cells, ...axes(frame, x, y, { x: "iteration" }), ...lines], x, y, read, key: series.map((one) => keyOf(one, one.label)) };
  };
  const last = distribution.quantiles[distribution.quantiles.length - 1];
  const label = `Rewards of all samples over iterations. In the last ones the median is ${short(last[2])}, the best ${short(last[5])}.`;
  const csv = () => [["iteration", ...quantiles.map((share) => `quantile ${share}`)], ...iteration.map((value, i) => [value, ...distribution.quantiles[i]])];
  return chartCard("Share of samples by reward", label, draw, { height: 320, wide: true, id: "heat", csv });
}

function heatCell(share, left, right, top, bottom) {
  return svg("rect", {
    class: "heat", x: left.toFixed(1), width: Math.max(right - left + 0.5, 0.5).toFixed(1), y: top.toFixed(1),
    height: Math.max(bottom - top + 0.4, 0.5).toFixed(1), opacity: Math.min(1, 0.06 + 1.5 * Math.sqrt(share)).toFixed(3),
  });
}
