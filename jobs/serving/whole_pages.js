// A picture, scan or PDF of whole pages: one page at a time, with its lines over it and beside it.

const MOST_DRAWN = 4;  // pictures of pages that are kept, each of some MB

const WHOLE = {
  path: "v1/pages",
  template: "whole",
  wanted: "Photographs, scans and PDFs of whole pages.",
  unavailable: "",  // or why this service reads none

  // As /v1/model tells.
  learn({ available, missing } = {}) {
    WHOLE.unavailable = available ? "" : `This service reads no whole pages${missing ? `: ${missing}` : "."}`;
  },

  begin(item) {
    const { find } = item;
    find(".name").textContent = item.name;
    item.viewer = { number: `${item.number}-line`, name: item.name, find: (selector) => find(".chosen").querySelector(selector) };
    select(item.viewer);
    find(".before").addEventListener("click", () => turnTo(item, item.page - 1));
    find(".after").addEventListener("click", () => turnTo(item, item.page + 1));
    for (const button of find(".downloads").querySelectorAll("button")) {
      button.addEventListener("click", () => download(item, button));
    }
    listen(item);
  },

  reset(item) {
    const { find } = item;
    find(".spread").hidden = find(".pager").hidden = find(".downloads").hidden = true;
    find(".text").hidden = false;
    find(".about").replaceChildren();
    item.drawn = new Map();
    item.began = performance.now();
    clearInterval(item.clock);
    item.clock = setInterval(() => {
      const spent = Math.round((performance.now() - item.began) / 1000);
      if (item.gone || !item.card.classList.contains("waiting")) clearInterval(item.clock);
      else if (find(".text").lastChild.data.startsWith("Reading")) find(".text").lastChild.data = `Reading… ${spent} s`;
    }, 1000);
  },

  text: ({ pages }) => pages.map(textOf).filter(Boolean).join("\n"),

  confidence({ pages }) {
    const all = pages.flatMap(({ lines }) => lines || []);
    return all.length ? all.reduce((sum, line) => sum + line.confidence, 0) / all.length : 0;
  },

  summary({ result }) {
    const bad = result.pages.filter(({ error }) => error).length;
    const lines = result.pages.reduce((sum, page) => sum + (page.lines || []).length, 0);
    return `${many(result.pages.length, "page")}, ${many(lines, "line")}${bad ? `, ${many(bad, "page")} not read` : ""}`;
  },

  listed: ({ name, text }) => `${name}\n${text || ""}\n`,

  refusal: (status, { code }) => ({
    413: code === "too_large" ? "The file is too large for this service. Shrink or split it." : "The file has more pages than this service takes at once. Split it.",
    429: "The service has as many pages to read as it takes. Try again in a moment.",
    504: "The pages took longer than the service allows. Try fewer of them at once.",
  })[status],

  show(item) {
    const { result, find } = item;
    clearInterval(item.clock);
    find(".text").hidden = Boolean(result);
    const parts = outcome(item, "The mean over all lines");
    tell(item, result ? [WHOLE.summary(item), ...(item.text ? parts : parts.slice(1))] : parts);
    if (!result) return;
    find(".downloads").hidden = !result.pages.some(({ error }) => !error);
    find(".spread").hidden = false;
    find(".pager").hidden = result.pages.length < 2;
    turnTo(item, 0);
  },

  drawSample(canvas) {
    const rows = [
      ["700 34px", "NORTH PIER STORES"],
      ["26px", "Invoice 20481 of " + new Date().toISOString().slice(0, 10)],
      ["", ""],
      ["24px", "Rope, twelve fathoms", "18.50"],
      ["24px", "Lamp oil, two cans", "7.25"],
      ["24px", "Canvas, one roll", "31.00"],
      ["700 26px", "TOTAL", "56.75"],
      ["", ""],
      ["24px", "Goods are to be paid within thirty days."],
    ];
    const brush = canvas.getContext("2d");
    canvas.width = 720;
    canvas.height = 640;
    brush.fillStyle = "#f8f6f1";
    brush.fillRect(0, 0, 720, 640);
    brush.fillStyle = "#23262b";
    rows.forEach(([font, text, price], row) => {
      brush.font = `${font} Arial, Helvetica, sans-serif`;
      brush.textAlign = "left";
      brush.fillText(text, 70, 100 + 60 * row);
      brush.textAlign = "right";
      if (price) brush.fillText(price, 650, 100 + 60 * row);
    });
  },
};

// As sure as of each of its characters, so that long lines don’t all look doubtful.
const hue = ({ text, confidence }) => doubt(confidence ** (1 / Math.max(1, [...text].length))).toFixed(3);
const textOf = (page) => (page.lines || []).map((line) => `${line.text}\n`).join("");

// Whether a file has pages of its own: a PDF, or a TIFF with a second directory.
async function hasPages(file) {
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  if (String.fromCharCode(...head).includes("%PDF-")) return true;
  const order = String.fromCharCode(head[0], head[1]);
  if (order !== "II" && order !== "MM") return false;
  const little = order === "II";
  const big = new DataView(head.buffer).getUint16(2, little) === 43;
  if (!big && new DataView(head.buffer).getUint16(2, little) !== 42) return false;
  const [size, place, counts, entry] = big ? [8, 8, 8, 20] : [4, 4, 2, 12];
  const number = async (from, bytes) => {
    const view = new DataView(await file.slice(from, from + bytes).arrayBuffer());
    return bytes === 2 ? view.getUint16(0, little) : bytes === 4 ? view.getUint32(0, little) : Number(view.getBigUint64(0, little));
  };
  const first = await number(place, size);
  const entries = await number(first, counts);
  return (await number(first + counts + entry * entries, size)) !== 0;
}

// A page as it is held to be read: px of its file → px of the upright sheet.
function upright({ width: w, height: h, turned = 0 }) {
  const [a, b, c, d, e, f] = { 0: [1, 0, 0, 1, 0, 0], 90: [0, -1, 1, 0, 0, w], 180: [-1, 0, 0, -1, w, h], 270: [0, 1, -1, 0, h, 0] }[turned];
  return {
    width: turned % 180 ? h : w,
    height: turned % 180 ? w : h,
    matrix: [a, b, c, d, e, f],
    point: ([x, y]) => [a * x + c * y + e, b * x + d * y + f],
  };
}

function turnTo(item, number) {
  const { find, result } = item;
  const last = result.pages.length - 1;
  item.page = Math.min(last, Math.max(0, number));
  const page = result.pages[item.page];
  const name = result.pages.length > 1 ? `page ${page.page} of ${item.name}` : item.name;
  find(".place").textContent = `Page ${page.page} of ${result.pages.length}`;
  find(".before").disabled = item.page === 0;
  find(".after").disabled = item.page === last;
  find(".page-error").hidden = !page.error;
  find(".desk").hidden = find(".side").hidden = Boolean(page.error);
  find(".desk").scrollTop = find(".lines").scrollTop = 0;
  find(".desk").setAttribute("aria-label", `picture of ${name}`);
  find(".lines").setAttribute("aria-label", `lines of ${name}, with arrow keys`);
  find(".pager").setAttribute("aria-label", `Pages of ${item.name}`);
  item.pinned = item.at = -1;
  if (page.error) {
    const { code, message } = page.error;
    find(".page-error").replaceChildren(
      element("b", `Page ${page.page}: ${PICTURE_ERRORS[code] || "The service could not read this page."}`),
      element("span", `${code}: ${message}`),
    );
    return;
  }
  item.lines = page.lines;
  item.shown = null;
  item.sheet = upright(page);
  lay(item, page);
  list(item, page);
  mark(item, page.lines.length ? 0 : -1, true);
  pictureOf(item, page).then((image) => item.result && item.result.pages[item.page] === page && picture(item, page, image));
}

// The boxes over the page, and where there is no picture the text in them.
function lay(item, page) {
  const { find, sheet } = item;
  const drawing = find(".leaf svg");
  drawing.setAttribute("viewBox", `0 0 ${sheet.width} ${sheet.height}`);
  find(".leaf").style.setProperty("--ratio", `${sheet.width} / ${sheet.height}`);
  find(".leaf").classList.add("blank");
  find(".leaf canvas").hidden = true;
  drawing.replaceChildren(
    ...page.lines.map((line, index) => {
      const corners = line.region.map(sheet.point);
      const group = shape("g", { class: "box", "data-line": index });
      group.style.setProperty("--t", hue(line));
      const title = shape("title");
      title.textContent = `${line.text} – ${percent(line.confidence)} sure`;
      group.append(title, shape("polygon", { points: corners.map((corner) => corner.map((value) => value.toFixed(1)).join(",")).join(" ") }), written(line, corners));
      return group;
    }),
  );
}

function written(line, [begin, end, , below]) {
  const [wide, high] = [Math.hypot(end[0] - begin[0], end[1] - begin[1]), Math.hypot(below[0] - begin[0], below[1] - begin[1])];
  const degrees = (Math.atan2(end[1] - begin[1], end[0] - begin[0]) * 180) / Math.PI;
  const text = shape("text", {
    transform: `translate(${begin[0].toFixed(1)} ${begin[1].toFixed(1)}) rotate(${degrees.toFixed(2)})`,
    y: (0.76 * high).toFixed(1),
    "font-size": (0.78 * high).toFixed(1),
    textLength: wide.toFixed(1),
    lengthAdjust: "spacingAndGlyphs",
  });
  text.textContent = line.text;
  return text;
}

function shape(name, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function list(item, page) {
  const rows = page.lines.map((line, index) => {
    const row = element("div", "");
    row.className = "row";
    row.id = `line-${item.number}-${index}`;
    row.dataset.line = index;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", "false");
    row.style.setProperty("--t", hue(line));
    const text = element("span", line.text || (line.error ? line.error.code : "no text found"));
    text.className = line.text ? "words" : "words none";
    text.dir = "auto";
    row.append(element("span", line.line), text, element("span", percent(line.confidence)));
    return row;
  });
  item.find(".lines").replaceChildren(...(rows.length ? rows : [element("p", "No text found on this page")]));
  item.find(".chosen").hidden = !rows.length;
}

// A page as it looks: the browser's own picture where it can draw the file, else the service's. Null
// where there is none.
async function pictureOf(item, page) {
  if (item.image === undefined && item.result.pages.length === 1) {
    const image = new Image();
    image.src = item.source;
    const fits = () => image.naturalWidth === page.width && image.naturalHeight === page.height;
    item.image = await image.decode().then(() => (fits() ? image : null), () => null);
  }
  return item.image || item.drawn.get(page.page) || drawnByService(item, page.page);
}

async function drawnByService(item, number) {
  try {
    const answer = await fetch(url(`v1/pages/picture?page=${number}`), { method: "POST", body: item.file, headers: headers() });
    if (!answer.ok) return null;
    const image = await createImageBitmap(await answer.blob());
    item.drawn.set(number, image);
    const [oldest] = item.drawn.keys();
    if (item.drawn.size > MOST_DRAWN) item.drawn.delete(oldest);
    return image;
  } catch {
    return null;
  }
}

function picture(item, page, image) {
  const { find, sheet } = item;
  const canvas = find(".leaf canvas");
  item.shown = image;
  find(".leaf").classList.toggle("blank", !image);
  canvas.hidden = !image;
  if (!image) return;
  const scale = Math.min(1, 2400 / Math.max(sheet.width, sheet.height));
  canvas.width = Math.max(1, Math.round(sheet.width * scale));
  canvas.height = Math.max(1, Math.round(sheet.height * scale));
  const brush = canvas.getContext("2d");
  brush.setTransform(...sheet.matrix.map((value) => value * scale));
  brush.drawImage(image, 0, 0, page.width, page.height);
  cut(item);
}

// The line that is looked at, straight, above its characters.
function cut(item) {
  const { shown: image, viewer } = item;
  const line = item.lines[item.at];
  const canvas = viewer.find("canvas");
  canvas.hidden = !image || !line;
  if (canvas.hidden) return;
  const page = item.result.pages[item.page];
  const [[x, y], end, , below] = line.region;
  const { width, height } = viewer;
  const scale = Math.min(1, 4000 / width);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const [ux, uy] = [(end[0] - x) / width, (end[1] - y) / width];
  const [vx, vy] = [(below[0] - x) / height, (below[1] - y) / height];
  const brush = canvas.getContext("2d");
  brush.setTransform(...[ux, vx, uy, vy, -(x * ux + y * uy), -(x * vx + y * vy)].map((value) => value * scale));
  brush.drawImage(image, 0, 0, page.width, page.height);
}

// One line at a time, on the page and in the list: by arrow keys, by a click, or where the mouse is.
function mark(item, index, pins) {
  if (pins) item.pinned = index;
  if (item.at === index) return;
  const { find } = item;
  const rows = find(".lines").querySelectorAll(".row"), boxes = find(".leaf svg").children;
  for (const part of [rows[item.at], boxes[item.at]]) if (part) part.classList.remove("at");
  if (rows[item.at]) rows[item.at].setAttribute("aria-selected", "false");
  item.at = index;
  find(".lines").removeAttribute("aria-activedescendant");
  if (!rows[index]) return;
  for (const part of [rows[index], boxes[index]]) part.classList.add("at");
  rows[index].setAttribute("aria-selected", "true");
  find(".lines").setAttribute("aria-activedescendant", rows[index].id);
  tellLine(item, item.lines[index]);
}

function tellLine(item, line) {
  const { find, viewer } = item;
  const [begin, end, , below] = line.region;
  const side = (to) => Math.max(1, Math.hypot(to[0] - begin[0], to[1] - begin[1]));
  viewer.result = line;
  viewer.name = `line ${line.line}`;
  fit(viewer, side(end), side(below), 96);
  cut(item);
  draw(viewer);
  find(".chosen .readout").hidden = true;
  find(".says").textContent = line.text;
  find(".says").dir = "auto";
  find(".about-line").replaceChildren(element("b", `${percent(line.confidence)} sure`), ` · line ${line.line} · ${Math.round(viewer.width)} × ${Math.round(viewer.height)} px`);
}

// Brings both into view, without moving the page itself.
function reveal(item) {
  const row = item.find(".row.at"), box = item.find(".box.at");
  for (const [part, pane] of [[row, item.find(".lines")], [box, item.find(".desk")]]) {
    if (!part) continue;
    const [inner, outer] = [part.getBoundingClientRect(), pane.getBoundingClientRect()];
    if (inner.top < outer.top) pane.scrollTop -= outer.top - inner.top + 8;
    else if (inner.bottom > outer.bottom) pane.scrollTop += inner.bottom - outer.bottom + 8;
  }
}

function listen(item) {
  const { find } = item;
  const rows = find(".lines"), drawing = find(".leaf svg");
  const under = ({ target }) => {
    const part = target.closest("[data-line]");
    return part ? Number(part.dataset.line) : -1;
  };
  for (const pane of [rows, drawing]) {
    pane.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch") return;
      const index = under(event);
      mark(item, index < 0 ? item.pinned : index, false);
      if (pane === drawing && index >= 0) reveal(item);
    });
    pane.addEventListener("pointerleave", () => mark(item, item.pinned, false));
    pane.addEventListener("click", (event) => {
      const index = under(event);
      if (index < 0) return;
      mark(item, index, true);
      reveal(item);
      rows.focus({ preventScroll: true });
    });
  }
  rows.addEventListener("keydown", (event) => {
    const last = item.lines.length - 1;
    const { key } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key === "PageDown" || key === "PageUp") {
      event.preventDefault();
      turnTo(item, item.page + (key === "PageDown" ? 1 : -1));
      return;
    }
    const to = { ArrowDown: item.pinned + 1, ArrowUp: item.pinned - 1, Home: 0, End: last }[key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    mark(item, Math.min(last, Math.max(0, to)), true);
    reveal(item);
  });
}

// The service writes the forms that programs read, from its own answer.
async function download(item, button) {
  const { form } = button.dataset;
  try {
    const answer = await fetch(url(`v1/documents?format=${form}`), {
      method: "POST",
      body: JSON.stringify({ results: [item.result] }),
      headers: { ...headers(), "Content-Type": "application/json" },
    });
    if (!answer.ok) throw new Error(REFUSALS[answer.status] || `status ${answer.status}`);
    const [, name] = /filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("Content-Disposition"));
    const link = element("a", "");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = decodeURIComponent(name);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    at("status").textContent = `${link.download} is written.`;
  } catch (error) {
    at("status").textContent = `The file can’t be written: ${error.message || error}`;
  }
}
