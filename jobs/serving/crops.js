// A picture of one word or line: its card.

const CROP = {
  path: "v1/recognize",
  template: "crop",

  begin(item) {
    const { find } = item;
    const image = find("img");
    image.alt = `the picture ${item.name}`;
    image.addEventListener("load", () => CROP.size(item));
    image.addEventListener("error", () => CROP.unseen(item));
    image.src = item.source;
    find(".as-whole").addEventListener("click", () => replace(item, WHOLE));
    select(item);
  },

  reset(item) {
    item.find(".strip").hidden = item.find(".readout").hidden = item.find(".as-whole").hidden = true;
    item.find(".frame").querySelectorAll(".spot").forEach((spot) => spot.remove());
  },

  wanted: "One word or line in each.",
  text: (result) => result.text,
  confidence: (result) => result.confidence,
  summary: ({ text }) => text || "no text found",
  listed: ({ name, text }) => `${name}\t${(text || "").replace(/[\t\n]/g, " ")}\n`,

  refusal: (status) => ({ 413: "The picture is too large for this service. Crop or shrink it." })[status],

  show(item) {
    const line = item.find(".text");
    line.dir = "auto";
    if (item.text) {
      line.textContent = item.text;
    } else if (!item.error) {
      line.className = "text none";
      line.textContent = "No text found";
    }
    item.find(".as-whole").hidden = !(CROP.looksWhole(item) && !WHOLE.unavailable);
    CROP.about(item);
    if (item.result) draw(item);
  },

  // Squeezed into the model's height or width: many lines, or much paper round one.
  looksWhole: ({ result, height }) => Boolean(result) && (result.squeezed || height >= 400),

  about(item) {
    const parts = outcome(item, "The probability that the whole text is right");
    if (item.width) parts.push(`${item.width} × ${item.height} px`);
    if (item.result && item.result.model) parts.push(`read by ${readers.get(item.result.model) || item.result.model.slice(0, 12)}`);
    if (item.result && item.result.squeezed) parts.push("longer than the model reads: squeezed");
    if (item.result && item.result.turned) parts.push(`read turned by ${item.result.turned}°`);
    tell(item, [...parts, item.name]);
  },

  size(item) {
    const { naturalWidth: width, naturalHeight: height } = item.find("img");
    fit(item, width || 1, height || 1);
    CROP.about(item);
    if (item.result) CROP.show(item);
  },

  drawSample(canvas) {
    const brush = canvas.getContext("2d");
    canvas.width = 176;
    canvas.height = 44;
    brush.fillStyle = "#f4f1ea";
    brush.fillRect(0, 0, 176, 44);
    brush.fillStyle = "#23262b";
    brush.font = "600 26px Arial, Helvetica, sans-serif";
    brush.textAlign = "center";
    brush.textBaseline = "middle";
    brush.fillText(new Date().toISOString().slice(0, 10), 88, 23);
  },

  unseen(item) {
    const note = document.createElement("p");
    note.className = "noimage";
    note.textContent = "This browser can’t show this kind of picture.";
    item.find(".frame").replaceChildren(note);
    item.noImage = true;
    if (item.result) draw(item);
  },
};
