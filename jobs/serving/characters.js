// The characters of one line: a strip of them below its picture, at the places where they were read.
// A viewer has number, name, find, result (chars, turned), and width and height of its picture.

function draw(item) {
  const chars = item.result.chars || [];
  const strip = item.find(".strip"), frame = item.find(".frame");
  frame.querySelectorAll(".spot").forEach((spot) => spot.remove());
  strip.hidden = !chars.length;
  if (!chars.length || !(item.width || item.noImage)) return;
  const turned = item.result.turned;
  const side = turned ? item.height : item.width;
  const width = side || Math.max(...chars.map((char) => char.x1)) * 1.03;
  const bounds = cells(chars, width);
  const least = Math.min(...bounds.map(([left, right]) => right - left));
  const sheet = item.find(".sheet");
  sheet.style.setProperty("--cell", least.toFixed(3));
  sheet.style.setProperty("--least", `${Math.ceil((100 / least) * 10)}px`);
  strip.replaceChildren(...chars.map((char, index) => cell(item, char, index, bounds[index])));
  strip.setAttribute("aria-label", `characters of ${item.name}, with arrow keys`);
  strip.tabIndex = 0;
  strip.removeAttribute("aria-activedescendant");
  item.at = -1;
  if (!item.noImage && !turned) frame.append(...chars.map((char) => spot(char, width)));
}

// For each character, from the middle between it and the one before to the middle after; percent.
function cells(chars, width) {
  const centres = chars.map(({ x0, x1 }) => (50 * (x0 + x1)) / width);
  const order = centres.map((_, index) => index).sort((a, b) => centres[a] - centres[b]);
  const bounds = [];
  order.forEach((index, place) => {
    const here = centres[index];
    const before = place ? (centres[order[place - 1]] + here) / 2 : undefined;
    const after = place + 1 < order.length ? (centres[order[place + 1]] + here) / 2 : undefined;
    const reach = after !== undefined ? after - here : before !== undefined ? here - before : 8;
    const left = before ?? Math.max(0, here - reach);
    const right = after ?? Math.min(100, here + (here - left || reach));
    bounds[index] = [left, Math.max(right, left + 0.4)];
  });
  return bounds;
}

function cell(item, char, index, [left, right]) {
  const box = document.createElement("span");
  box.className = "cell";
  box.id = `char-${item.number}-${index}`;
  box.setAttribute("role", "option");
  box.setAttribute("aria-selected", "false");
  box.setAttribute("aria-label", words(char));
  box.title = words(char);
  box.textContent = visible(char.char);
  box.style.left = `${left}%`;
  box.style.width = `${right - left}%`;
  box.style.setProperty("--t", doubt(char.probability).toFixed(3));
  return box;
}

function spot(char, width) {
  const mark = document.createElement("span");
  mark.className = "spot";
  mark.style.left = `${(100 * char.x0) / width}%`;
  mark.style.width = `${(100 * (char.x1 - char.x0)) / width}%`;
  mark.style.setProperty("--t", doubt(char.probability).toFixed(3));
  return mark;
}

const words = ({ char, probability, x0, x1 }) =>
  `${visible(char)} – ${percent(probability)} sure, read at ${x0.toFixed(0)} to ${x1.toFixed(0)} px`;

// One character of a result at a time: by arrow keys, or where the mouse is.
function select(item) {
  const strip = item.find(".strip"), readout = item.find(".readout");
  item.go = (index) => {
    const boxes = [...strip.children];
    const spots = [...item.find(".frame").querySelectorAll(".spot")];
    [...boxes, ...spots].forEach((part) => part.classList.remove("at"));
    boxes.forEach((box) => box.setAttribute("aria-selected", "false"));
    item.at = index;
    readout.hidden = index < 0;
    strip.removeAttribute("aria-activedescendant");
    if (index < 0) return;
    boxes[index].classList.add("at");
    boxes[index].setAttribute("aria-selected", "true");
    boxes[index].scrollIntoView({ block: "nearest", inline: "nearest" });
    strip.setAttribute("aria-activedescendant", boxes[index].id);
    if (spots[index]) spots[index].classList.add("at");
    readout.textContent = words(item.result.chars[index]);
  };
  strip.addEventListener("keydown", (event) => {
    const last = strip.children.length - 1;
    const to = { ArrowRight: item.at + 1, ArrowLeft: item.at < 0 ? last : item.at - 1, Home: 0, End: last, Escape: -1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    item.go(event.key === "Escape" ? -1 : Math.min(last, Math.max(0, to)));
  });
  strip.addEventListener("focus", () => item.at < 0 && strip.matches(":focus-visible") && item.go(0));
  strip.addEventListener("blur", () => item.go(-1));
  strip.addEventListener("pointerover", ({ target }) => {
    const index = [...strip.children].indexOf(target);
    if (index >= 0) item.go(index);
  });
  strip.addEventListener("pointerleave", () => document.activeElement !== strip && item.go(-1));
}
