// Several rigs, a line each; a click opens the rig's own page.

import { clock } from "./panels.js";

const EVERY_MS = 1000, STALE_S = 3, LOOK_MS = 250;
const get = (id) => document.getElementById(id);
let answered = -Infinity, rows = [];

function cell(kind, value, label = "") {
  const element = document.createElement("span"), small = document.createElement("small");
  element.className = kind;
  small.textContent = label;
  element.append(value, small);
  return element;
}

// Show a rig in its link, which stays the same element, so that no click is lost.
function show(link, rig) {
  const away = rig.age_s === null || rig.age_s > STALE_S || Boolean(rig.wrong);
  const faults = rig.faults || 0;
  const down = Object.entries(rig.down || {}).map(([name, how]) => `${name} ${how}`).join(", ");
  link.href = rig.address;
  link.target = "_blank";
  link.rel = "noreferrer";
  link.className = ["rig", away ? "away" : faults || down ? "fault" : rig.subject && !rig.ended ? "runs" : ""].join(" ");
  const quiet = rig.age_s === null ? "no answer yet" : `no answer for ${rig.age_s.toFixed(0)} s`;
  const last = away ? `${rig.wrong || "it does not answer"}; ${quiet}` : down ? `${down}${faults ? `; ${rig.last_fault}` : ""}` : faults ? `${faults} ${faults === 1 ? "fault" : "faults"}: ${rig.last_fault}` : rig.ended ? `ended: ${rig.ended}` : "no fault";
  link.replaceChildren(
    cell("name", rig.name),
    cell("animal", rig.subject || "-", [rig.cohort, rig.stage].filter(Boolean).join(" · ")),
    cell("badge", rig.ended ? "ENDED" : (rig.phase || "-").toUpperCase()),
    cell("", rig.trial >= 0 ? String(rig.trial + 1) : "-", "trial"),
    cell("", clock(rig.t_s), "time"),
    cell("", typeof rig.today_ul !== "number" ? "-" : rig.today_ul.toFixed(0), `µl today of ${rig.day_limit_ul ?? "?"}`),
    cell("", rig.since_lick_s === null || rig.since_lick_s === undefined ? "none" : `${rig.since_lick_s.toFixed(0)} s`, "since last lick"),
    cell("last", last),
  );
}

function draw() {
  const quiet = performance.now() - answered, stale = quiet > EVERY_MS * STALE_S;
  document.body.classList.toggle("stale", stale);
  get("link").textContent = !Number.isFinite(quiet) ? "connecting" : stale ? `NO DATA FOR ${(quiet / 1000).toFixed(0)} s` : "live";
  get("count").textContent = `${rows.filter((rig) => rig.subject && !rig.ended && !rig.wrong).length} of ${rows.length} run a session`;
  const lines = get("rigs");
  while (lines.children.length > rows.length) lines.lastChild.remove();
  while (lines.children.length < rows.length) lines.append(document.createElement("a"));
  rows.forEach((rig, n) => show(lines.children[n], rig));
}

async function ask() {
  try {
    rows = await (await fetch("/rigs", { signal: AbortSignal.timeout(EVERY_MS * STALE_S) })).json();
    answered = performance.now();
  } catch { /* the server is gone; the page shows it */ }
  setTimeout(ask, EVERY_MS);
}

ask();
setInterval(draw, LOOK_MS);  // whether or not the server answers
