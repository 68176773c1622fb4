"use strict";
// Shows the pictures a page at a time, takes decisions, keeps them, and saves labels.tsv.
(() => {
  const PAGE_ITEMS = 40;
  const { digest, items } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const template = at("card").content.firstElementChild;
  const cards = new Map(); // index → element, of the page that is shown
  let listed = items.map((_, index) => index); // what the filter lets through
  let shown = 0; // number of the page
  let keeping = true;

  // A decision: the text as it stands, and whether it was "kept", "skipped" or neither.
  const states = items.map((item) => ({ text: item.text, verdict: "" }));

  const keyOf = (item) => `crnn-review/${digest}/${item.id}`;

  function recall(index) {
    try {
      const found = JSON.parse(localStorage.getItem(keyOf(items[index])) || "null");
      if (found && typeof found.text === "string") states[index] = found;
    } catch (error) {
      keeping = keeping && error instanceof SyntaxError;
    }
  }

  function keep(index) {
    try {
      localStorage.setItem(keyOf(items[index]), JSON.stringify(states[index]));
    } catch {
      keeping = false;
      say(`This browser keeps nothing: save ${at("save").dataset.name} before you close the page.`, true);
    }
  }

  function kind(index) {
    const { text, verdict } = states[index];
    if (verdict === "skipped") return "unreadable";
    if (verdict !== "kept") return "left";
    return text === items[index].text ? "accepted" : "corrected";
  }

  // One line of a file: NFC, without tabs and other control characters.
  const clean = (text) =>
    text.normalize("NFC").replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]+/g, " ");

  // As tables with tabs write quotes, so that a reader never takes a text's own for the table's.
  const quoted = (text) => (text.includes('"') ? `"${text.replaceAll('"', '""')}"` : text);

  const percent = (share) => {
    const text = `${(100 * share).toFixed(1)}%`;
    return share < 1 && text === "100.0%" ? "99.9%" : text;
  };

  const spaces = (text) => text.replace(/\s/gu, "␣");

  function say(text, bad = false) {
    at("status").textContent = text;
    at("status").classList.toggle("bad", bad);
  }

  function count() {
    const counts = { accepted: 0, corrected: 0, unreadable: 0, left: 0 };
    items.forEach((_, index) => (counts[kind(index)] += 1));
    for (const [name, value] of Object.entries(counts)) at(`count-${name}`).textContent = value;
    at("progress").max = items.length || 1;
    at("progress").value = items.length - counts.left;
    return counts;
  }

  // The reading, each character tinted by how unsure it is; spaces at the ends can be seen.
  function drawReading(target, { text, chars, note }) {
    if (!text) {
      target.textContent = note || "nothing";
      return;
    }
    const first = text.length - text.trimStart().length;
    const last = text.trimEnd().length;
    let place = 0;
    for (const [char, probability] of chars) {
      const span = document.createElement("span");
      const atEnd = place < first || place >= last;
      span.textContent = atEnd ? spaces(char) : char;
      if (atEnd) span.className = "space";
      span.style.setProperty("--tint", (0.75 * (1 - probability)).toFixed(2));
      span.title = `${spaces(char)}: ${percent(probability)}`;
      target.append(span);
      place += char.length;
    }
  }

  function build(index) {
    const item = items[index];
    const card = template.cloneNode(true);
    const find = (selector) => card.querySelector(selector);
    const image = find("img");
    image.src = `data:image/jpeg;base64,${item.image}`;
    image.alt = `picture ${index + 1}`;
    image.style.setProperty("--aspect", item.aspect);
    image.style.setProperty("--high", item.aspect < 0.6 ? "240px" : "72px");
    find(".address").textContent = item.where;
    const sure = item.confidence === null ? "not read" : `${percent(item.confidence)} sure`;
    find(".about").textContent = `${index + 1} · ${sure} · `;
    drawReading(find(".reading"), item);
    if (item.other) {
      find(".other").hidden = false;
      find(".other .text").textContent = item.other.text || "nothing";
      find(".sure").textContent = ` ${percent(item.other.confidence)} sure`;
    }
    const field = find("input");
    field.setAttribute("aria-label", `text of picture ${index + 1} of ${items.length}`);
    find(".accept").setAttribute("aria-label", `accept the text of picture ${index + 1}`);
    find(".skip").setAttribute("aria-label", `picture ${index + 1} is unreadable`);
    listen(index, field, find(".accept"), find(".skip"));
    return card;
  }

  function listen(index, field, accept, skip) {
    let before = "";
    let typed = false;
    field.addEventListener("focus", () => {
      if (!typed) before = states[index].verdict;
    });
    field.addEventListener("input", () => {
      typed = true;
      put(index, field.value, "");
    });
    // Not "change": browsers send that too when the window is left or closed, in mid-word.
    field.addEventListener("blur", () => {
      if (!typed || document.activeElement === field) return;
      typed = false;
      const text = clean(field.value);
      const wanted = text !== items[index].text || before === "kept";
      if (states[index].verdict === "" && wanted && text.trim()) put(index, text, "kept");
    });
    field.addEventListener("keydown", (event) => {
      if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Enter") decide(index, event.shiftKey ? "skipped" : "kept", "input");
      else if (event.key === "Escape") put(index, items[index].text, "");
      else if (event.key === "ArrowDown" && !event.shiftKey) step(index, 1);
      else if (event.key === "ArrowUp" && !event.shiftKey) step(index, -1);
      else return;
      event.preventDefault();
    });
    accept.addEventListener("click", () => decide(index, "kept", ".accept"));
    skip.addEventListener("click", () => decide(index, "skipped", ".skip"));
  }

  function put(index, text, verdict) {
    states[index] = { text, verdict };
    keep(index);
    update(index);
    count();
  }

  function update(index) {
    const card = cards.get(index);
    if (!card) return;
    const { text } = states[index];
    const state = kind(index);
    card.className = `item ${state}`;
    card.querySelector(".state").textContent = state === "left" ? "" : state;
    const field = card.querySelector("input");
    if (field.value !== text) field.value = text;
    field.dir = "auto"; // again for every text: Chromium looks at the first one only
    const odd = text && (text !== text.trim() || /\s\s|[^\S ]/u.test(text));
    const cut = text !== text.trim() ? " – those at its ends are cut when it is prepared" : "";
    hint(card, odd ? `with its spaces: ${spaces(text)}${cut}` : "");
  }

  function hint(card, text, bad = false) {
    const line = card.querySelector(".hint");
    line.textContent = text;
    line.hidden = !text;
    line.classList.toggle("bad", bad);
  }

  function decide(index, verdict, control) {
    const text = clean(states[index].text);
    if (verdict === "kept" && !text.trim()) {
      hint(cards.get(index), "No text: type it, or mark the picture unreadable.", true);
      cards.get(index).querySelector("input").focus();
      return;
    }
    put(index, text, verdict);
    const next = following(index);
    if (next !== undefined) {
      say("");
      go(next, control);
      return;
    }
    say(`Every picture is decided. Save ${at("save").dataset.name}.`);
    at("save").focus();
  }

  // The next undecided one, from the start again after the last; in other views the next in order.
  function following(index) {
    const place = listed.indexOf(index);
    const later = listed.slice(place + 1);
    if (!["all", "left"].includes(at("filter").value) && later.length) return later[0];
    return [...later, ...listed.slice(0, place)].find((other) => kind(other) === "left");
  }

  function step(index, by) {
    const next = listed[listed.indexOf(index) + by];
    if (next !== undefined) go(next, "input");
  }

  function go(index, control) {
    const page = Math.floor(listed.indexOf(index) / PAGE_ITEMS);
    if (page !== shown) draw(page);
    const card = cards.get(index);
    const target = card.querySelector(control);
    target.focus({ preventScroll: true });
    if (control === "input") target.setSelectionRange(target.value.length, target.value.length);
    card.scrollIntoView({ block: "nearest" });
  }

  function draw(page) {
    const pages = Math.max(1, Math.ceil(listed.length / PAGE_ITEMS));
    shown = Math.min(Math.max(page, 0), pages - 1);
    const some = listed.slice(shown * PAGE_ITEMS, (shown + 1) * PAGE_ITEMS);
    cards.clear();
    for (const index of some) cards.set(index, build(index));
    at("list").replaceChildren(...cards.values());
    some.forEach(update);
    at("none").hidden = some.length > 0;
    for (const pager of document.querySelectorAll(".pager")) {
      pager.hidden = pages === 1;
      pager.querySelector(".where").textContent = `${shown + 1} of ${pages}`;
      pager.querySelector(".before").disabled = shown === 0;
      pager.querySelector(".after").disabled = shown === pages - 1;
    }
  }

  function turn(by) {
    draw(shown + by);
    at("list").scrollIntoView({ block: "start" });
  }

  const line = (file, text) => `images/${file}\t${quoted(clean(text))}\n`;

  function save() {
    const lines = items.flatMap(({ file }, index) =>
      states[index].verdict === "kept" ? [line(file, states[index].text)] : [],
    );
    if (!lines.length) {
      say("Nothing to save yet: accept or correct a text first.", true);
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "text/tab-separated-values" }));
    link.download = at("save").dataset.name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const { left } = count();
    say(`Saved ${lines.length} ${lines.length === 1 ? "line" : "lines"}; ${left} left.`);
  }

  items.forEach((_, index) => recall(index));
  at("save").addEventListener("click", save);
  at("filter").addEventListener("change", ({ target }) => {
    listed = items.map((_, index) => index).filter(
      (index) => target.value === "all" || kind(index) === target.value,
    );
    draw(0);
  });
  for (const button of document.querySelectorAll(".before")) {
    button.addEventListener("click", () => turn(-1));
  }
  for (const button of document.querySelectorAll(".after")) {
    button.addEventListener("click", () => turn(1));
  }
  window.addEventListener("storage", ({ key }) => {
    const index = items.findIndex((item) => keyOf(item) === key);
    if (index < 0) return;
    recall(index);
    update(index);
    count();
  });
  // A tab that slept, or was put away, was not told.
  for (const shows of ["focus", "pageshow", "visibilitychange"]) {
    (shows === "visibilitychange" ? document : window).addEventListener(shows, () => {
      items.forEach((_, index) => {
        recall(index);
        update(index);
      });
      count();
    });
  }
  const { left } = count();
  const first = left ? items.findIndex((_, index) => kind(index) === "left") : 0;
  draw(Math.floor(first / PAGE_ITEMS));
  if (left < items.length) {
    at("how").open = false;
    say(`Going on where you stopped: ${items.length - left} decided before.`);
  }
  if (left && left < items.length) go(first, "input");
  if (!keeping) say("This browser keeps nothing: save before you close the page.", true);
})();
