// The live page: keeps a model of the session, draws it, and sends the operator's requests.

import * as image from "./image.js";
import * as panels from "./panels.js";

const SCHEMA = "2";
const STALE_MS = 800, LOOK_MS = 100, SCREENS_MS = 200;
const QUESTIONS = {
  water: "Give one reward now, by hand?", stop: "Stop after this trial?", quit: "Stop the session now?",
  note: "Note", pause: "",
};
const get = (id) => document.getElementById(id);

const model = { down: {}, session: {}, head: null, trials: new Map(), faults: [], notes: [], ages: {}, speeds: [] };
const view = { byCue: false, muted: false };
let lastMessage = -Infinity, slowDue = true, drawDue = false, socket = null, owed = false, token = "", shownDown = "";

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") || "";
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => setTimeout(connect, 500);
}

// The server was updated: load its page, once; a page that is still another one says so.
function renew(schema) {
  if (sessionStorage.getItem("renewed") !== schema) {
    sessionStorage.setItem("renewed", schema);
    location.reload();
    return;
  }
  panels.text("what", "this page is of another version than the server; close it and open the printed address");
}

function merge(rows, key, into) {
  for (const row of rows) into.set(row[key], row);
}

function take(update) {
  if (update.schema !== SCHEMA) return renew(update.schema);
  sessionStorage.removeItem("renewed");
  lastMessage = performance.now();
  document.body.dataset.updates = String(1 + Number(document.body.dataset.updates || 0));
  if (update.snapshot) {
    model.trials.clear();
    model.faults = [];
    model.notes = [];
    model.speeds = [];
  }
  merge(update.trials, "trial", model.trials);
  for (const fault of update.faults) model.faults[fault.number] = fault;
  model.notes.push(...update.notes);
  for (const name of ["head", "ages", "down", "replay", "can_act", "session", "signals", "processes", "disk", "imaging", "past"]) {
    if (update[name] !== undefined) model[name] = update[name];
  }
  const down = Object.keys(update.down).join();
  if (update.signals !== undefined || down !== shownDown) slowDue = true;
  if (down !== shownDown) image.redraw();
  shownDown = down;
  model.speeds.push([update.head.t_s, update.head.speed_cm_s]);
  while (model.speeds.length && model.speeds[0][0] < update.head.t_s - 60) model.speeds.shift();
  owed = true;
  if (document.hidden) answer();
  drawSoon();
}

// Draw at the next refresh of the screen, once however many updates have come.
function drawSoon() {
  if (document.hidden && model.head) alarm(panels.faults(model));
  if (drawDue) return;
  drawDue = true;
  requestAnimationFrame(draw);
}

// Each update is answered when it has been drawn; only then the server sends the next one.
function answer() {
  if (owed && socket.readyState === WebSocket.OPEN) socket.send("drawn");
  owed = false;
}

function draw() {
  drawDue = false;
  const quiet = performance.now() - lastMessage, stale = quiet > STALE_MS;
  document.body.classList.toggle("stale", stale);
  const since = Math.min(quiet, 3.6e6) / 1000;
  const down = panels.greyOut(model);
  document.body.classList.toggle("down", Boolean(down) && !stale);
  panels.text("link", !Number.isFinite(quiet) ? "connecting" : stale ? `NO DATA FOR ${since.toFixed(0)} s` : down || "live");
  if (model.head) {
    const age = stale ? since : 0;
    panels.header(model, age);
    if (!stale) {
      panels.corridor(model);
      panels.speeds(model);
    }
    panels.processes(model, age);
    if (slowDue && !stale) drawSlow();
    alarm(panels.faults(model));
  }
  answer();
  document.dispatchEvent(new CustomEvent("drawn", { detail: model.head && model.head.t_s }));
}

function drawSlow() {
  slowDue = false;
  panels.rasters(model, view.byCue);
  panels.performance(model);
  panels.checks(model);
  panels.signals(model);
  panels.learning(model);
  panels.notes(model);
  const acting = Boolean(model.can_act && token);
  for (const button of document.querySelectorAll("#actions button")) button.disabled = !acting;
  panels.settings(model, acting, changeSetting);
  get("actions").hidden = Boolean(model.replay && model.replay.speed);
  get("replay").hidden = !(model.replay && model.replay.speed);
  if (model.replay && model.replay.speed && document.activeElement !== get("seek")) {
    get("seek").value = String(1000 * model.replay.share);
    panels.text("play", model.replay.playing ? "pause" : "play");
  }
  const over = Boolean(model.head.ended);
  get("panel").classList.toggle("over", over);
  panels.text("panel", over ? "Weight and water" : "Panel");
  document.title = model.session.subject ? `${model.session.subject} · rig` : "rig";
}

// A fault sounds until it is acknowledged, once every three seconds.
let audio = null, nextBeep = 0;
function alarm(open) {
  const allowed = Boolean(navigator.userActivation?.hasBeenActive);  // browsers wait for a click or a key
  get("sound_hint").hidden = allowed || view.muted;
  if (!open.length || view.muted || performance.now() < nextBeep || !allowed) return;
  nextBeep = performance.now() + 3000;
  audio ??= new AudioContext();
  const tone = audio.createOscillator(), level = audio.createGain();
  tone.frequency.value = 880;
  level.gain.value = 0.15;
  tone.connect(level).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.25);
}

async function ask(verb, text = "") {
  const id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(16).slice(2)}`;
  const body = JSON.stringify({ id, verb, text });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const response = await fetch("/request", { method: "POST", body, headers: { Authorization: `Bearer ${token}` } });
      panels.text("answer", (await response.json()).answer);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 300));  // the same id: it is done at most once
    }
  }
  panels.text("answer", "no answer; use the terminal of the session");
}

// Ask for confirmation, and for the text of a note or the value of a setting.
function confirm(verb, question = QUESTIONS[verb], value = "", written = (text) => text) {
  if (verb === "pause") return ask(verb);
  const dialog = get("ask"), typed = verb === "note" || verb === "set";
  panels.text("question", question);
  get("text").hidden = !typed;
  get("text").value = value;
  // on submit, which comes at once: "close" comes late, and those of two questions can come together
  dialog.querySelector("form").onsubmit = () => {
    const text = get("text").value.trim();
    if (!typed || text) ask(verb, typed ? written(text) : "");
  };
  dialog.showModal();
  (typed ? get("text") : get("yes")).focus();
  if (typed) get("text").select();
  return undefined;
}

function changeSetting(name, value) {
  confirm("set", `${name}: new value, from the next trial on`, value, (text) => `${name}=${text}`);
}

function acknowledge() {
  for (const fault of model.faults.filter((f) => !f.acknowledged)) ask("acknowledge", String(fault.number));
}

async function pull() {
  await image.pull(model);
  setTimeout(pull, 500);
}

async function pullScreens() {
  if (!document.hidden && model.head && !document.body.classList.contains("stale")) {
    try { panels.screens(await (await fetch("/screens")).arrayBuffer()); } catch { /* the server is gone; the page shows it */ }
  }
  setTimeout(pullScreens, SCREENS_MS);
}

function replay(change) {
  fetch("/replay", { method: "POST", body: JSON.stringify(change) });
}

function setRed(red) {
  document.documentElement.classList.toggle("red", red);
  sessionStorage.setItem("red", red ? "1" : "");
  slowDue = true;
  image.recolour();
}

function wire() {
  get("panel").hidden = location.pathname !== "/session";  // rig panel shows a session there
  for (const button of document.querySelectorAll("[data-verb]")) button.onclick = () => confirm(button.dataset.verb);
  get("acknowledge").onclick = acknowledge;
  get("sort").onclick = () => { view.byCue = !view.byCue; panels.text("sort", view.byCue ? "sort by time" : "sort by cue"); slowDue = true; };
  image.wire();
  setRed(sessionStorage.getItem("red") === "1");
  get("red").onclick = () => setRed(!document.documentElement.classList.contains("red"));
  get("mute").onclick = () => { view.muted = !view.muted; panels.text("answer", view.muted ? "sound is off" : "sound is on"); };
  get("no").onclick = () => get("ask").close("no");
  get("play").onclick = () => replay({ playing: !model.replay.playing });
  get("rate").onchange = () => replay({ speed: Number(get("rate").value) });
  get("seek").onchange = () => replay({ share: Number(get("seek").value) / 1000 });
  const keys = { p: "pause", w: "water", n: "note", s: "stop", q: "quit" };
  document.addEventListener("keydown", (event) => {
    if (get("ask").open || event.target.matches("input, select") || event.ctrlKey || event.metaKey) return;
    if (keys[event.key] && !get("actions").hidden && token && model.can_act) { event.preventDefault(); confirm(keys[event.key]); }
    if (event.key === "a" && token) acknowledge();
    if (event.key === "r") get("red").click();
    if (event.key === "m") get("mute").click();
  });
}

takeToken();
wire();
connect();
draw();
setInterval(() => { if (performance.now() - lastMessage > 2 * LOOK_MS) drawSoon(); }, LOOK_MS);  // ages run on when nothing comes
document.addEventListener("visibilitychange", () => { if (document.hidden) answer(); });
pull();
pullScreens();
