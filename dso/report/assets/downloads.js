/** Properties of a style that a picture keeps when it leaves the page. */
const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-family", "visibility"];

/** Save a text as a file of the reader's. */
function download(name, kind, text) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = html("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** The text of a picture with its styles written into it. */
function standalone(picture) {
  const copy = picture.cloneNode(true);
  const from = [picture, ...picture.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(from[i]);
    for (const name of KEPT) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute("class");
  });
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", picture.clientWidth);
  return new XMLSerializer().serializeToString(copy);
}

/** Rows of cells as CSV; commas and quotes in text are quoted. */
function csvOf(rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

const fileName = (title) => title.toLowerCase().replace(/[^\w]+/g, "-").replace(/^-|-$/g, "") || "chart";

/** Buttons that save a chart as a picture and as numbers. */
function chartTools(title, box, rows) {
  const button = (label, what, onclick) => html("button", { type: "button", class: "tool", "aria-label": `Save ${title} as ${label}`, title: `Save ${what}`, onclick }, label);
  return html("span", { class: "tools" },
    button("SVG", "the picture", () => download(`${fileName(title)}.svg`, "image/svg+xml", standalone(box.querySelector("svg")))),
    rows && button("CSV", "the numbers", () => download(`${fileName(title)}.csv`, "text/csv", csvOf(rows()))));
}
