// The frame of the page: what comes in, what is sent, and what is known of the service.
// Kinds of items (CROP, WHOLE) say how one is asked for and shown.

const AT_ONCE = 4, MOST = 500, TRIES = 5, KEY = "crnn-token", KIND_KEY = "crnn-kind";
const at = (id) => document.getElementById(id);
const url = (path) => new URL(path, document.baseURI);
const items = [];
const queue = [];
let running = 0, limits = {}, made = 0, pasted = 0, own = "", readers = new Map();

const DECODERS = {
  "": () => (own ? `The bundle’s default: ${own}.` : "The bundle’s default."),
  greedy: () => "The most probable character at every place. Fastest.",
  beam: () => "The most probable text over all the ways to write it.",
  lexicon: () => "The most probable one of your words.",
};
const PICTURE_ERRORS = {
  undecodable: "This is not a picture that can be read: damaged, or of an unknown format.",
  encrypted: "The PDF wants a password. Save it without one.",
  too_many_pages: "The file has more pages than this service takes at once. Split it.",
  no_pdf_reader: "This service can’t open PDFs.",
  empty_file: "The file is empty.",
  empty_picture: "The picture has no pixels.",
  too_large: "The picture is too large for this service. Crop or shrink it.",
  non_finite_pixels: "The picture has pixels that are not numbers.",
  out_of_memory: "The picture takes more memory to open than the service gives it.",
  decoder_timeout: "The picture takes longer to open than the service gives it.",
  decoder_died: "Opening the picture broke the decoder. Save it in another format.",
  unreadable: "The browser can’t read this file any more. Choose it again.",
};
const REFUSALS = {
  0: "The service can’t be reached. Check that it runs, and your connection.",
  401: "The service wants an access token, or another one.",
  413: "The file is too large for this service. Shrink or split it.",
  422: "The service doesn’t take these options.",
  429: "The service is busy. Try again in a moment.",
  501: "This service reads no whole pages.",
  503: "The service is not ready. Try again in a moment.",
  504: "The service took too long. Try again.",
};

const percent = (share) => {
  if (share < 0.001) return "under 0.1%";
  const text = `${(100 * share).toFixed(1)}%`;
  return share < 1 && text === "100.0%" ? "99.9%" : text;
};
const many = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;
const visible = (char) => (/^\s$/u.test(char) ? "␣" : char);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
// 0 for 99.9% and more, 1 for 50% and less, by the logarithm of the doubt between.
const doubt = (p) =>
  Math.min(1, Math.max(0, (Math.log10(Math.max(1 - p, 1e-3)) + 3) / (Math.log10(0.5) + 3)));

function token() {
  try {
    return sessionStorage.getItem(KEY) || "";
  } catch {
    return at("token").value;
  }
}

function options() {
  const decoder = at("decoder").value;
  const words = at("lexicon").value.split("\n").map((word) => word.trim()).filter(Boolean);
  return { ...(decoder && { decoder }), ...(decoder === "lexicon" && { lexicon: words }) };
}

const headers = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

function askToken(wrong) {
  at("access").hidden = false;
  at("status").textContent = wrong ? "The access token is not the right one." : "Give the access token.";
  if (!at("access").contains(document.activeElement)) at("token").focus();
}

async function askModel() {
  for (;;) {
    let wait = 2000;
    try {
      const answer = await fetch(url("v1/model"), { headers: headers(), cache: "no-store" });
      if (answer.status === 401) {
        showModel("off", "wants an access token");
        return askToken(Boolean(token()));
      }
      if (answer.ok) {
        const model = await answer.json();
        limits = model.limits || {};
        own = model.decoder || "";
        readers = new Map(((model.cascade || {}).bundles || []).map((one) => [one.digest, one.name]));
        WHOLE.learn(model.pages);
        showKind();
        aboutDecoder();
        at("access").hidden = true;
        showModel("on", "", model.name, String(model.digest).slice(0, 12));
        return items.filter((item) => item.status === 401).forEach(start);
      }
      showModel("", "warming up…");
    } catch {
      showModel("off", "can’t be reached");
      wait = 5000;
    }
    await pause(wait);
  }
}

function showModel(state, text, name, digest) {
  at("dot").className = `dot ${state}`;
  const place = at("model");
  place.textContent = text ? `The service ${text}` : "";
  if (!name) return;
  const strong = document.createElement("b");
  strong.textContent = name;
  const code = document.createElement("code");
  code.textContent = digest;
  place.append("ready · reads with ", strong, " ", code);
}

function aboutDecoder() {
  at("about-decoder").textContent = DECODERS[at("decoder").value]();
  at("words").hidden = at("decoder").value !== "lexicon";
}

function showKind() {
  const kind = chosenKind();
  at("wanted").textContent = kind.wanted;
  at("about-kinds").textContent = WHOLE.unavailable || (kind === CROP ? "PDFs and TIFFs of several pages always are." : "");
  for (const choice of at("options").elements.kind) choice.disabled = choice.value === "whole" && Boolean(WHOLE.unavailable);
}

// Pictures in.

async function add(files, asked) {
  const some = [...files].slice(0, Math.max(0, MOST - items.length));
  if (some.length < files.length) {
    at("status").textContent = `At most ${MOST} pictures at a time: ${files.length - some.length} left out.`;
  }
  const kinds = await Promise.all(some.map((file) => asked || kindOf(file)));
  const added = some.map((file, index) => make(file, kinds[index]));
  at("list").prepend(...added.map((item) => item.card));
  items.unshift(...added);
  added.forEach(start);
  refresh();
}

// What has pages is read as such; of other pictures the user says.
async function kindOf(file) {
  if (chosenKind() === WHOLE) return WHOLE;
  return (await hasPages(file).catch(() => false)) ? WHOLE : CROP;
}

const chosenKind = () => (at("options").elements.kind.value === "whole" && !WHOLE.unavailable ? WHOLE : CROP);

function make(file, kind, name = file.name || `pasted-${(pasted += 1)}.png`) {
  const card = at(kind.template).content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  const item = { kind, file, card, find, name, number: (made += 1), source: URL.createObjectURL(file) };
  find(".copy-text").addEventListener("click", ({ target }) => copy(item.text, target));
  find(".copy-curl").addEventListener("click", ({ target }) => copy(curl(item), target));
  find(".retry").addEventListener("click", () => start(item));
  find("details").addEventListener("toggle", () => {
    const { answer } = item;
    find("pre").textContent = typeof answer === "string" ? answer : JSON.stringify(answer, null, 2);
  });
  kind.begin(item);
  return item;
}

// The same file again, read as something else.
function replace(item, kind) {
  const other = make(item.file, kind, item.name);
  items[items.indexOf(item)] = other;
  item.card.replaceWith(other.card);
  forget(item);
  start(other);
  refresh();
}

function forget(item) {
  item.gone = true;
  URL.revokeObjectURL(item.source);
}

function start(item) {
  item.result = item.error = item.status = item.ms = item.text = undefined;
  item.card.classList.remove("failed", "read");
  item.card.classList.add("waiting");
  item.find("details").hidden = item.find(".copy-text").hidden = item.find(".retry").hidden = true;
  item.kind.reset(item);
  say(item, "Reading…");
  queue.push(item);
  next();
}

function say(item, text) {
  const line = item.find(".text");
  line.className = "text wait none";
  const spin = document.createElement("span");
  spin.className = "spin";
  spin.setAttribute("aria-hidden", "true");
  line.replaceChildren(spin, text);
}

function next() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    const item = queue.shift();
    item.asked = options();
    if (item.kind === WHOLE) at("status").textContent = `Reading ${item.name}…`;
    read(item).finally(() => {
      running -= 1;
      if (!item.gone) show(item);
      refresh();
      next();
    });
  }
}

async function read(item) {
  const most = limits.body_mb * 1048576;
  if (item.file.size > most) {
    item.error = { code: "too_large", message: `${item.file.size} bytes; the service takes ${limits.body_mb} MiB` };
    return;
  }
  for (let attempt = 1; !item.gone; attempt += 1) {
    const form = new FormData();
    form.append("files", item.file, item.name);
    form.append("options", JSON.stringify(item.asked));
    const began = performance.now();
    let answer, body;
    try {
      answer = await fetch(url(item.kind.path), { method: "POST", body: form, headers: headers() });
      body = await answer.text();
    } catch (error) {
      item.status = 0;
      item.error = { code: "unreachable", message: String(error.message || error) };
      return;
    }
    item.ms = performance.now() - began;
    const wait = Number(answer.headers.get("Retry-After")) || 1;
    if ([429, 503].includes(answer.status) && attempt < TRIES && wait <= 30) {
      say(item, `The service is busy; trying again in ${wait} s…`);
      await pause(wait * 1000 * (0.8 + 0.4 * Math.random()));
      continue;
    }
    take(item, answer.status, body);
    return;
  }
}

function take(item, status, body) {
  item.status = status;
  try {
    item.answer = JSON.parse(body);
  } catch {
    item.answer = body;
  }
  if (status === 401) askToken(Boolean(token()));
  const result = status === 200 && item.answer.results && item.answer.results[0];
  if (!result) {
    const { code, detail, title } = item.answer || {};
    item.error = { code: code || `status ${status}`, message: detail || title || String(body).slice(0, 300) };
  } else if (result.error) {
    item.error = result.error;
  } else {
    item.result = result;
    item.text = item.kind.text(result);
  }
}

// Results out.

function show(item) {
  item.card.classList.remove("waiting");
  item.card.classList.add(item.error ? "failed" : "read");
  const line = item.find(".text");
  line.className = "text";
  if (item.error) {
    line.className = "text bad";
    line.textContent = reason(item) || "The service could not read this file.";
    item.find(".retry").hidden = item.status === 200;
  }
  item.find(".copy-text").hidden = !item.text;
  item.find("details").open = false;
  item.find("details").hidden = item.answer === undefined;
  item.kind.show(item);
}

// What went wrong, in words.
function reason({ kind, status, error }) {
  if (status === 200 || status === undefined) return PICTURE_ERRORS[error.code];
  return kind.refusal(status, error) || REFUSALS[status];
}

// How sure, what went wrong, and how long it took.
function outcome(item, meaning) {
  const parts = [];
  if (item.result) parts.push(element("b", `${percent(item.kind.confidence(item.result))} sure`, meaning));
  if (item.error) parts.push(`${item.error.code}: ${item.error.message}`);
  if (item.ms !== undefined) {
    const time = item.ms < 10 ? `${item.ms.toFixed(1)} ms` : item.ms < 10_000 ? `${Math.round(item.ms)} ms` : `${(item.ms / 1000).toFixed(1)} s`;
    parts.push(element("span", time, "From sending the file to the answer, as this browser sees it"));
  }
  return parts;
}

function tell(item, parts) {
  item.find(".about").replaceChildren(
    ...parts.map((part) => {
      const span = document.createElement("span");
      span.append(part);
      return span;
    }),
  );
}

function element(name, text, title) {
  const made = document.createElement(name);
  made.textContent = text;
  if (title) made.title = title;
  return made;
}

// The room that the picture of a line takes: as much as is worth it.
function fit(viewer, width, height, most = 240) {
  viewer.width = width;
  viewer.height = height;
  const high = Math.min(most, Math.max(72, height * 2.4));
  viewer.find(".sheet").style.setProperty("--wide", `${Math.round((high * width) / height)}px`);
}

function refresh() {
  const errors = items.filter((item) => item.error).length;
  const left = items.filter((item) => !item.error && !item.result).length;
  const noun = items.some(({ kind }) => kind === WHOLE) ? "file" : "picture";
  at("results").hidden = !items.length;
  at("input").classList.toggle("used", items.length > 0);
  const words = [many(items.length, noun), ...(left ? [`${left} to go`] : []), ...(errors ? [many(errors, "error")] : [])];
  at("count").textContent = words.join(" · ");
  at("copy-all").hidden = !items.some((item) => item.text);
  if (!items.length || left) return;
  const first = items[0];
  const newest = first.error ? first.find(".text").textContent : first.kind.summary(first);
  at("status").textContent = `${many(items.length - errors, noun)} read${errors ? `, ${many(errors, "error")}` : ""}. ${first.name}: ${newest}`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(item) {
  const file = item.name.replace(/[\\"]/g, "\\$&");
  const lines = [`curl ${quoted(String(url(item.kind.path)))}`, `-F ${quoted(`files=@"${file}"`)}`];
  const asked = item.asked || options();
  if (Object.keys(asked).length) lines.push(`--form-string ${quoted(`options=${JSON.stringify(asked)}`)}`);
  if (token() || !at("access").hidden) lines.push('-H "Authorization: Bearer $CRNN_SERVE_TOKEN"');
  return lines.join(" \\\n  ");
}

async function copy(text, button) {
  const before = button.dataset.label || button.textContent;
  button.dataset.label = before;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = "Copied";
  at("status").textContent = "Copied.";
  setTimeout(() => (button.textContent = before), 1500);
}

function clear() {
  queue.length = 0;
  items.forEach(forget);
  items.length = 0;
  at("list").replaceChildren();
  refresh();
  at("status").textContent = "All results are gone.";
  at("choose").focus();
}

function sample() {
  const kind = chosenKind();
  const canvas = document.createElement("canvas");
  kind.drawSample(canvas);
  canvas.toBlob((blob) => add([new File([blob], "sample.png", { type: "image/png" })], kind));
}

at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", ({ target }) => {
  add([...target.files]);
  target.value = "";
});
at("sample").addEventListener("click", sample);
at("clear").addEventListener("click", clear);
at("again").addEventListener("click", () => {
  items.filter((item) => item.result || item.error).forEach(start);
  refresh();
});
at("copy-all").addEventListener("click", ({ target }) => {
  copy(items.map((item) => item.kind.listed(item)).join(""), target);
});
for (const choice of at("options").elements.kind) {
  choice.addEventListener("change", () => {
    showKind();
    try {
      localStorage.setItem(KIND_KEY, choice.value);
    } catch {
      // asked again the next time
    }
  });
}
at("decoder").addEventListener("change", aboutDecoder);
at("options").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("access").hidden) return;
  try {
    sessionStorage.setItem(KEY, at("token").value.trim());
  } catch {
    // the field keeps it
  }
  askModel();
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData ? event.clipboardData.files : [])];
  if (!files.length) return;
  event.preventDefault();
  add(files.map((file) => (file.name === "image.png" ? new File([file], `pasted-${(pasted += 1)}.png`, { type: file.type }) : file)));
});
let depth = 0;
const over = (by) => {
  depth = by ? Math.max(0, depth + by) : 0;
  document.body.classList.toggle("over", depth > 0);
};
document.addEventListener("dragenter", (event) => event.dataTransfer.types.includes("Files") && over(1));
document.addEventListener("dragleave", (event) => event.dataTransfer.types.includes("Files") && over(-1));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over(0);
  if (event.dataTransfer.files.length) add(event.dataTransfer.files);
});
try {
  if (localStorage.getItem(KIND_KEY) === "whole") at("options").elements.kind.value = "whole";
} catch {
  // words and lines, then
}
showKind();
aboutDecoder();
askModel();
