// Small charts on canvas, for what moves ten times a second. All take plain numbers.

// The same as in a report (analysis/report/colours.py).
const STIMULI = {
  leaf1: "#5858fa", circle1: "#d12417", leaf2: "#4bc5ce", circle2: "#ae33b1",
  leaf3: "#696155", leaf1_swap1: "#f8a108", leaf1_swap2: "#b8bc75",
};
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const RED_LIGHT = ["#ff8a80", "#b04a44", "#ff5a4d", "#8a3530", "#d06058"];

export function isRed() {
  return document.documentElement.classList.contains("red");
}

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function colourOf(stimulus, all) {
  if (isRed()) return RED_LIGHT[Math.max(0, all.indexOf(stimulus)) % RED_LIGHT.length];
  return STIMULI[stimulus] || "#9fb0bf";
}

// A second cue beside the colour, which is hard to see in red light.
export function dashOf(stimulus, all) {
  return DASHES[Math.max(0, all.indexOf(stimulus)) % DASHES.length];
}

// On a large screen the panels fill it, and charts are as high as there is room (see monitor.css).
const filled = matchMedia("(min-width: 1500px) and (min-height: 850px)");

// Make a canvas as sharp as the screen; return its context and its size in CSS pixels.
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  if (!canvas.dataset.height) canvas.setAttribute("data-height", String(canvas.height));
  const fills = filled.matches && canvas.closest(".fills");
  const width = canvas.clientWidth, height = fills ? canvas.clientHeight : Number(canvas.dataset.height);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  canvas.style.height = fills ? "" : `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "13px system-ui, 'DejaVu Sans', sans-serif";
  return { context, width, height };
}

// A frame with axes; x and y map data to pixels.
export function axes(canvas, [x0, x1], [y0, y1], { xTicks = [], yTicks = [], xLabel = "", left = 38 } = {}) {
  const { context, width, height } = prepared(canvas);
  const bottom = xTicks.length || xLabel ? 24 : 8, top = 6, right = 10;
  const x = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
  const y = (v) => height - bottom - ((v - y0) / (y1 - y0 || 1)) * (height - bottom - top);
  context.strokeStyle = css("--line");
  context.fillStyle = css("--dim");
  context.lineWidth = 1;
  context.beginPath();
  for (const tick of yTicks) {
    context.moveTo(left, y(tick) + 0.5);
    context.lineTo(width - right, y(tick) + 0.5);
  }
  context.stroke();
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of yTicks) context.fillText(String(tick), left - 5, y(tick));
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of xTicks) context.fillText(String(tick), x(tick), height - bottom + 5);
  if (xLabel) {
    context.textAlign = "left";
    context.fillText(xLabel, 6, height - bottom + 5);
  }
  return { context, x, y, width, height };
}

export function line(chart, points, colour, width = 2, dash = []) {
  const { context, x, y } = chart;
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  let pen = false;
  for (const [px, py] of points) {
    if (py === null || Number.isNaN(py)) { pen = false; continue; }
    if (pen) context.lineTo(x(px), y(py)); else context.moveTo(x(px), y(py));
    pen = true;
  }
  context.stroke();
  context.setLineDash([]);
}

export function bars(chart, edges, counts, colourAt) {
  const { context, x, y } = chart;
  counts.forEach((count, n) => {
    context.fillStyle = colourAt((edges[n] + edges[n + 1]) / 2);
    context.fillRect(x(edges[n]) + 0.5, y(count), Math.max(1, x(edges[n + 1]) - x(edges[n]) - 1), y(0) - y(count));
  });
}

// Blue to white to red for d' from -1 to 1; grey where it is not defined.
export function dPrimeColour(value) {
  if (!Number.isFinite(value)) return "rgba(150,160,170,0.5)";
  const share = Math.max(-1, Math.min(1, value));
  const fade = Math.round(235 * (1 - Math.abs(share)));
  if (isRed()) return `rgba(255,${fade >> 1},${fade >> 1},0.85)`;
  return share >= 0 ? `rgba(${fade},${Math.max(fade, 110)},255,0.9)` : `rgba(255,${fade},${fade},0.9)`;
}
