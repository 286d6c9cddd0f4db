// The live page: keeps a model of the session, draws it, and sends the operator's requests.

import * as image from "./image.js";
import * as panels from "./panels.js";

const SCHEMA = "3", FULL = 4429;
const STALE_MS = 800, LOOK_MS = 100, SCREENS_MS = 200, RECONNECT_MS = 5000, ASK_MS = 3000;
const QUESTIONS = {
  water: "give one reward now, by hand?", stop: "stop after this trial?", quit: "stop the session now?",
  note: "note", pause: "",
};
const get = (id) => document.getElementById(id);

const model = { down: {}, session: {}, head: null, trials: new Map(), faults: [], notes: [], ages: {}, speeds: [] };
const view = { byCue: false, muted: false };
let lastMessage = -Infinity, slowDue = true, drawDue = false, socket = null, owed = false, token = "", shownDown = "";
let tried = 0, refusal = "", nowS = null, shownSession = "";

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") || "";
}

function connect() {
  tried = performance.now();
  const one = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  one.onmessage = (event) => { if (one === socket) take(JSON.parse(event.data)); };
  one.onclose = (event) => {
    if (one !== socket) return;
    refusal = event.code === FULL ? event.reason : "";
    setTimeout(connect, refusal ? RECONNECT_MS : 500);
  };
}

// A connection that a cut cable leaves open says nothing for ever: make another one.
function watchLine() {
  const quiet = performance.now() - Math.max(lastMessage, tried);
  if (quiet < RECONNECT_MS || socket.readyState === WebSocket.CLOSED) return;
  const old = socket;
  connect();
  old.close();
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
  nowS = update.now_s;
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
  const refused = update.snapshot ? null : update.notes.filter((note) => note.refused).at(-1);
  if (refused) say(`${refused.verb} refused: ${refused.text}`, true);
  for (const name of ["head", "ages", "down", "replay", "can_act", "session", "signals", "processes", "disk", "imaging", "past"]) {
    if (update[name] !== undefined) model[name] = update[name];
  }
  const session = model.session.subject ? `${model.session.id} ${model.session.subject}` : "";
  if (shownSession && session !== shownSession) get("ask").close("no");  // it was asked about another one
  shownSession = session;
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
  panels.text("link", refusal ? refusal : !Number.isFinite(quiet) ? "connecting" : stale ? `NO DATA FOR ${since.toFixed(0)} s` : down || "live");
  if (model.head) {
    const age = stale ? since : 0;
    attempt("header", () => panels.header(model, age));
    if (!stale) {
      attempt("corridor", () => panels.corridor(model));
      attempt("speed", () => panels.speeds(model));
    }
    attempt("processes", () => panels.processes(model, age));
    if (slowDue && !stale) drawSlow();
    attempt("faults", () => alarm(panels.faults(model)));
  }
  answer();
  document.dispatchEvent(new CustomEvent("drawn", { detail: model.head && model.head.t_s }));
}

// Draw one part of the page; if it fails, say so and go on with the others.
const broken = new Set();
function attempt(part, show) {
  try {
    show();
  } catch (error) {
    if (broken.has(part)) return;
    broken.add(part);
    say(`${part} cannot be drawn; reload the page`, true);
    reportError(error);
  }
}

function drawSlow() {
  slowDue = false;
  attempt("rasters", () => panels.rasters(model, view.byCue));
  attempt("lick responses", () => panels.performance(model));
  attempt("checks", () => panels.checks(model));
  attempt("signals", () => panels.signals(model));
  attempt("learning signals", () => panels.learning(model));
  attempt("notes", () => panels.notes(model));
  const acting = Boolean(model.can_act && token && model.session.subject);
  for (const button of document.querySelectorAll("#actions button")) button.disabled = !acting;
  attempt("settings", () => panels.settings(model, acting, changeSetting));
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

function say(sentence, bad = false) {
  panels.text("answer", sentence);
  get("answer").classList.toggle("bad", bad);
}

// The server refuses a request that comes late: its time is that of the session on this page.
async function ask(verb, text = "") {
  const id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(16).slice(2)}`;
  const t_s = nowS === null ? null : nowS + (performance.now() - lastMessage) / 1000;
  const body = JSON.stringify({ id, verb, text: text.toWellFormed?.() ?? text, t_s });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const response = await fetch("/request", { method: "POST", body, headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(ASK_MS) });
      say((await response.json()).answer, !response.ok);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 300));  // the same id: it is done at most once
    }
  }
  say("no answer; use the terminal of the session", true);
}

// Ask for confirmation, and for the text of a note or the value of a setting.
function confirm(verb, question = `${model.session.subject || "-"}: ${QUESTIONS[verb]}`, value = "", written = (text) => text) {
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
  const open = model.faults.filter((f) => !f.acknowledged);
  if (open.length) ask("acknowledge", String(open.at(-1).number));  // and all before it
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
  fetch("/replay", { method: "POST", body: JSON.stringify(change) }).catch(() => { /* the server is gone; the page shows it */ });
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
  get("mute").onclick = () => { view.muted = !view.muted; say(view.muted ? "sound is off" : "sound is on"); };
  get("no").onclick = () => get("ask").close("no");
  get("play").onclick = () => replay({ playing: !model.replay.playing });
  get("rate").onchange = () => replay({ speed: Number(get("rate").value) });
  get("seek").onchange = () => replay({ share: Number(get("seek").value) / 1000 });
  // A key that is held down must not ask, confirm and ask again.
  document.addEventListener("keydown", (event) => { if (event.repeat && ["Enter", " "].includes(event.key) && !event.target.matches("input")) event.preventDefault(); }, true);
  const keys = { p: "pause", w: "water", n: "note", s: "stop", q: "quit" };
  document.addEventListener("keydown", (event) => {
    if (event.repeat || get("ask").open || event.target.matches("input, select") || event.ctrlKey || event.metaKey) return;
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
setInterval(() => { if (performance.now() - lastMessage > 2 * LOOK_MS) drawSoon(); watchLine(); }, LOOK_MS);  // ages run on when nothing comes
document.addEventListener("visibilitychange", () => { if (document.hidden) answer(); });
pull();
pullScreens();
