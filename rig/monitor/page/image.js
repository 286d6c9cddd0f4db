// The imaging panel: a page of one depth, with zoom, contrast, and the cells coloured by d'.

import { css, dPrimeColour, isRed, prepared } from "./charts.js";

const get = (id) => document.getElementById(id);
const HEADER_BYTES = 24, COLUMNS = 3, LEVELS = 40, UNDEFINED = -128, DOT_PX = 3.5;
const view = { kind: "mean", plane: 0, dots: true, crop: null, dark: 0, bright: 255 };
let picture = null, cells = null, levels = [], layer = null, layerKey = "";
let shownImage = "", shownCells = "", shownLevels = "", model = null, changed = true;

const pageHeight = () => model.imaging.page_px[0], pageWidth = () => model.imaging.page_px[1];
const whole = () => ({ top: 0, left: 0, height: pageHeight(), width: pageWidth() });
const shownCrop = () => view.crop || whole();

// Fetch the image and the cells when the server has newer ones, and draw them.
export async function pull(found) {
  model = found;
  if (!document.hidden && model.imaging && model.imaging.planes.length) {
    fillChoices();
    const { top, left, height, width } = Object.fromEntries(Object.entries(shownCrop()).map(([k, v]) => [k, Math.round(v)]));
    const query = `kind=${view.kind}&plane=${view.plane}&top=${top}&left=${left}&height=${height}&width=${width}`;
    const image = `${query} ${model.imaging.pages} ${model.session.id}`, places = `${model.imaging.cells} ${model.session.id}`, known = `${model.imaging.levels_version} ${places}`;
    try {
      if (image !== shownImage) {
        const bytes = await (await fetch(`/image?${query}`)).arrayBuffer();
        if (bytes.byteLength > HEADER_BYTES) picture = await read(bytes);
        shownImage = image;
        changed = true;
      }
      if (places !== shownCells) {
        const values = await (await fetch("/cells")).arrayBuffer();
        cells = values.byteLength ? new Float32Array(values) : null;
        shownCells = places;
      }
      if (known !== shownLevels) {
        levels = new Int8Array(await (await fetch("/levels")).arrayBuffer());
        shownLevels = known;
        layerKey = "";
        changed = true;
      }
    } catch { /* the server is gone; the page shows it */ }
  }
  draw();
}

async function read(bytes) {
  const [width, height, step, top, left] = new Uint16Array(bytes, 0, 8);
  const found = { width, height, step, top, left, grey: new Uint8Array(bytes, HEADER_BYTES) };
  await develop(found);
  return found;
}

// Spread the grey values between the two sliders over the whole range of the screen.
async function develop(of) {
  const image = new ImageData(of.width, of.height), red = isRed();
  const table = Uint8ClampedArray.from({ length: 256 }, (_, v) => (255 * (v - view.dark)) / Math.max(1, view.bright - view.dark));
  for (let n = 0; n < of.grey.length; n += 1) {
    const value = table[of.grey[n]];
    image.data[4 * n] = value;
    image.data[4 * n + 1] = image.data[4 * n + 2] = red ? value >> 3 : value;
    image.data[4 * n + 3] = 255;
  }
  of.bitmap = await createImageBitmap(image);
}

function draw() {
  const [a, b] = model.session.contrast || [];
  get("imaging_note").textContent = view.dots && cells && a ? `● ${a}  ■ ${b}; scroll to zoom` : "scroll to zoom, drag to move";
  document.querySelector(".tools").hidden = !picture;
  if (!changed && layerKey) return;
  changed = false;
  const { context, width, height } = prepared(get("image"));
  if (!picture) {
    context.fillStyle = css("--dim");
    context.textAlign = "center";
    context.fillText(model.session.nodes && !model.session.nodes.includes("stream") ? "this session has no imaging" : "no imaging frame yet", width / 2, height / 2);
    return;
  }
  const place = placed(width, height);
  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.imageSmoothingEnabled = place.scale * picture.step < 1;
  context.drawImage(picture.bitmap, place.x(picture.left), place.y(picture.top),
    picture.width * picture.step * place.scale, picture.height * picture.step * place.scale);
  strips(context, place);
  if (view.dots && cells) context.drawImage(drawnCells(place, width, height), 0, 0, width, height);
  context.restore();
}

// Where page pixels are on the canvas.
function placed(width, height) {
  const crop = shownCrop(), scale = Math.min(width / crop.width, height / crop.height);
  const left = (width - crop.width * scale) / 2, top = (height - crop.height * scale) / 2;
  return { scale, x: (px) => left + (px - crop.left) * scale, y: (px) => top + (px - crop.top) * scale };
}

function strips(context, place) {
  if (model.imaging.strips.length < 2) return;
  context.strokeStyle = css("--water");
  context.globalAlpha = 0.5;
  for (const strip of model.imaging.strips) {
    context.strokeRect(place.x(0), place.y(strip.top), strip.width * place.scale, strip.height * place.scale);
  }
  context.globalAlpha = 1;
}

// All cells of the depth on a canvas of their own, drawn anew only if something changed.
function drawnCells(place, width, height) {
  const key = [width, height, JSON.stringify(view.crop), view.plane, shownLevels, isRed(), pageWidth(), model.down.online].join();
  if (key === layerKey) return layer;
  layerKey = key;
  const ratio = window.devicePixelRatio || 1;
  layer = layer || document.createElement("canvas");
  layer.width = Math.round(width * ratio);
  layer.height = Math.round(height * ratio);
  const context = layer.getContext("2d"), byLevel = new Map();
  context.scale(ratio, ratio);
  for (let n = 0; n < cells.length; n += COLUMNS) {
    const x = place.x(cells[n + 2]), y = place.y(cells[n + 1]);
    if (cells[n] !== view.plane || x < 0 || y < 0 || x > width || y > height) continue;
    const sent = levels[n / COLUMNS] ?? UNDEFINED, level = sent === UNDEFINED || model.down.online ? NaN : sent;
    if (!byLevel.has(level)) byLevel.set(level, []);
    byLevel.get(level).push(x, y);
  }
  const radius = Math.max(0.7, DOT_PX * place.scale);
  for (const [level, at] of [...byLevel].sort(([a], [b]) => (Math.abs(a) || 0) - (Math.abs(b) || 0))) {
    context.fillStyle = dPrimeColour(level / LEVELS);
    context.beginPath();
    for (let n = 0; n < at.length; n += 2) {
      if (radius < 1.5) context.rect(at[n] - radius, at[n + 1] - radius, 2 * radius, 2 * radius);
      else if (level < 0) context.rect(at[n] - 0.9 * radius, at[n + 1] - 0.9 * radius, 1.8 * radius, 1.8 * radius);
      else { context.moveTo(at[n] + radius, at[n + 1]); context.arc(at[n], at[n + 1], radius, 0, 7); }
    }
    context.fill();
  }
  return layer;
}

function fillChoices() {
  choices(get("plane"), model.imaging.planes.map((plane) => [`depth ${plane + 1}`, plane]));
  const several = model.imaging.strips.length > 1;
  get("strip").hidden = !several;
  if (several) choices(get("strip"), [["all strips", -1], ...model.imaging.strips.map((_, n) => [`strip ${n + 1}`, n])]);
}

function choices(select, options) {
  if (select.options.length !== options.length) select.replaceChildren(...options.map(([label, value]) => new Option(label, String(value))));
}

function show(crop) {
  const size = Math.min(Math.max(crop.height, 16), pageHeight()), across = Math.min(Math.max(crop.width, 16), pageWidth());
  const top = Math.min(Math.max(crop.top, 0), pageHeight() - size), left = Math.min(Math.max(crop.left, 0), pageWidth() - across);
  const all = size >= pageHeight() && across >= pageWidth();
  view.crop = all ? null : { top, left, height: size, width: across };
  get("unzoom").hidden = all;
  redraw();
}

// The part around a place on the canvas, `factor` times as large as now.
function zoom(event, factor) {
  if (!picture) return;
  const canvas = get("image"), box = canvas.getBoundingClientRect(), crop = shownCrop(), place = placed(box.width, box.height);
  const x = crop.left + (event.clientX - box.left - place.x(crop.left)) / place.scale;
  const y = crop.top + (event.clientY - box.top - place.y(crop.top)) / place.scale;
  show({ top: y - (y - crop.top) * factor, left: x - (x - crop.left) * factor, height: crop.height * factor, width: crop.width * factor });
}

function drag(event) {
  if (!(event.buttons & 1) || !view.crop) return;
  const box = get("image").getBoundingClientRect(), { scale } = placed(box.width, box.height);
  show({ ...view.crop, top: view.crop.top - event.movementY / scale, left: view.crop.left - event.movementX / scale });
}

export function redraw() {
  changed = true;
  layerKey = "";
  if (model) draw();
}

async function contrast() {
  view.dark = Math.min(Number(get("dark").value), Number(get("bright").value) - 1);
  view.bright = Number(get("bright").value);
  if (picture) await develop(picture);
  redraw();
}

export async function recolour() {
  if (picture) await develop(picture);
  redraw();
}

export function wire() {
  const canvas = get("image");
  get("kind").onclick = () => { view.kind = view.kind === "live" ? "mean" : "live"; get("kind").textContent = view.kind === "live" ? "mean image" : "live frame"; };
  get("dots").onclick = () => { view.dots = !view.dots; get("dots").textContent = view.dots ? "hide cells" : "show cells"; redraw(); };
  get("plane").onchange = () => { view.plane = Number(get("plane").value); redraw(); };
  get("strip").onchange = () => { const strip = model.imaging.strips[Number(get("strip").value)]; show(strip ? { ...strip, left: 0 } : whole()); };
  get("unzoom").onclick = () => show(whole());
  get("dark").oninput = get("bright").oninput = contrast;
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event, event.deltaY > 0 ? 1.25 : 0.8); }, { passive: false });
  canvas.addEventListener("pointermove", drag);
  canvas.ondblclick = (event) => zoom(event, 0.5);
  window.addEventListener("resize", redraw);
}
