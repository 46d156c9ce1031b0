"use strict";

const SVG = "http://www.w3.org/2000/svg";
const MATH = "http://www.w3.org/1998/Math/MathML";

/** Make an element of a namespace; what comes from data only ever becomes text. */
function make(namespace, tag, attributes, children) {
  const element = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  for (const child of [children].flat(9)) {
    if (child !== undefined && child !== null && child !== false && child !== "") element.append(child);
  }
  return element;
}

const html = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => make(SVG, tag, attributes, children);
const byId = (id) => document.getElementById(id);
const fill = (id, ...children) => byId(id).replaceChildren(...children.flat(9).filter(Boolean));

/** Build MathML from nested lists [tag, attributes, child, ...]; attributes may be absent. */
function mathNode([tag, ...rest]) {
  const hasAttributes = typeof rest[0] === "object" && !Array.isArray(rest[0]);
  const children = rest.slice(hasAttributes ? 1 : 0).map((child) => (Array.isArray(child) ? mathNode(child) : child));
  return make(MATH, tag, hasAttributes ? rest[0] : {}, children);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A whole number in full. */
const count = (value) => (isNumber(value) ? Math.round(value).toLocaleString("en") : "–");

/** A number with four digits, large and small ones in powers of ten. */
function short(value) {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e6 || size < 1e-3) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${Number(mantissa)}e${Number(exponent)}`.replace("-", "−").replace("e-", "e−");
  }
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function quantile(values, share) {
  const sorted = values.filter(isNumber).sort((a, b) => a - b);
  if (!sorted.length) return null;
  const place = (sorted.length - 1) * share;
  const low = Math.floor(place);
  const next = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[next] - sorted[low]) * (place - low);
}

function select(id, label, options, value, onChange) {
  const chosen = options.some(([key]) => String(key) === String(value)) ? String(value) : null;
  const box = html("select", { id, onchange: (event) => onChange(event.target.value) },
    options.map(([key, text]) => html("option", { value: key, selected: String(key) === chosen }, text)));
  return html("label", { for: id }, label, box);
}

function segments(id, label, options, value, onChange) {
  return html("div", { class: "segments", role: "group", "aria-label": label },
    options.map(([key, text]) => html("button", {
      id: `${id}-${key}`, type: "button", "aria-pressed": String(key === value), onclick: () => onChange(key),
    }, text)));
}

const sorts = {};

/**
 * A table whose columns sort by a click on their heads.
 * A column has key, label, cell(row), and value(row) to sort by; is it a number, is it wide?
 */
function table(id, columns, rows, options = {}) {
  const sort = sorts[id] || { key: null, down: false };
  const by = columns.find((column) => column.key === sort.key);
  const ordered = by ? [...rows].sort((a, b) => compare(by.value(a), by.value(b), sort.down)) : rows;
  const head = columns.map((column) => tableHead(id, column, sort, options.redraw));
  const body = ordered.map((row) => tableRow(columns, row, options));
  return html("div", { class: "scroll", id: `${id}-scroll`, tabindex: 0, role: "region", "aria-label": options.label },
    html("table", { id },
      html("thead", {}, html("tr", {}, head)),
      html("tbody", { onkeydown: moveInTable }, body)));
}

/** Order two values, those that are missing last in both directions. */
function compare(a, b, down) {
  const missing = (value) => value === null || value === undefined || value === "";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return down ? -order : order;
}

function tableHead(id, column, sort, redraw) {
  const isSorted = sort.key === column.key;
  const direction = isSorted ? (sort.down ? "descending" : "ascending") : "none";
  const onclick = () => {
    const down = isSorted ? !sort.down : Boolean(column.number);
    sorts[id] = { key: column.key, down };
    redraw();
  };
  return html("th", { scope: "col", "aria-sort": direction, class: column.number && "number" },
    html("button", { id: `${id}-${column.key}`, type: "button", onclick }, column.label));
}

function tableRow(columns, row, options) {
  const pick = options.pick;
  const cells = columns.map((column) => html("td",
    { class: [column.number && "number", column.wide && "wide", column.short && "short"].filter(Boolean).join(" ") || null }, column.cell(row)));
  return html("tr", {
    class: pick && "pick",
    "aria-selected": options.isChosen ? String(options.isChosen(row)) : null,
    onclick: () => pick && pick(row),
  }, cells);
}

/** Arrow keys go from row to row. */
function moveInTable(event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const buttons = [...event.currentTarget.querySelectorAll("button.row")];
  const next = buttons[buttons.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}
