// The panel: choose an animal, weigh it, start its session, and enter what it weighs and drinks after.

import { axes, css, line } from "./charts.js";

const STATE_MS = 1000;
const CHECK_MS = 10000;
const STALE_MS = 3000, READ_MS = 10000, DOUBLE_CLICK_MS = 500;
const FACTS = ["birth_date", "sex", "genotype", "project", "experimenter"];
const FIELDS = ["name", "cohort", "stage", "baseline_g", "need_ml", ...FACTS];
const get = (id) => document.getElementById(id);
const text = (id, value) => { get(id).textContent = value; };

const view = { name: "", detail: null, record: null, state: null, editing: false, doubted: null, against: [], trouble: "" };
let token = "", lastState = -Infinity, checked = -Infinity, opened = false;

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") || "";
}

// A text of the program, with the unit as it is written on paper.
const micro = (sentence) => sentence.replace(/\bul\b/g, "µl");

function element(tag, content = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

async function read(path) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(READ_MS) });
  } catch {
    throw new Error("no answer; is rig panel running?");
  }
  const value = await response.json();
  if (!response.ok) throw new Error(value.answer);
  return value;
}

// Ask the server to do something; return its answer, and throw a sentence if it was not done.
async function act(verb, values = {}) {
  const id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(16).slice(2)}`;
  const whole = Object.entries(values).map(([key, v]) => [key, v?.toWellFormed?.() ?? v]);
  const body = JSON.stringify({ ...Object.fromEntries(whole), id, verb });
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      response = await fetch("/panel/act", { method: "POST", body, headers: { Authorization: `Bearer ${token}` } });
    } catch {
      if (attempt === 2) throw new Error("no answer; is rig panel running?");
      await new Promise((resolve) => setTimeout(resolve, 300));  // the same id: it is done at most once
      continue;
    }
    const value = await response.json();
    if (!response.ok) throw new Error(value.answer);
    return value;
  }
}

// Do something, say how it went, and show the animal as it is now.
async function done(verb, values) {
  let said;
  try {
    said = (await act(verb, values)).answer;
  } catch (error) {
    say(error.message, true);
    return false;
  }
  try {
    await refresh();
  } catch { /* it was done all the same; the page shows that the panel is gone */ }
  say(said);
  return true;
}

function say(sentence, bad = false) {
  text("answer", sentence);
  get("answer").classList.toggle("low", bad);
}

async function refresh() {
  const name = view.name, record = await read("/panel/animals");
  const detail = name ? await detailOf(name) : null;
  view.record = record;
  if (name === view.name) view.detail = detail;  // else another animal was chosen meanwhile
  drawAnimals();
  drawAnimal();
  check();
}

// ---- the animals ----

function dayOf(day) {
  return new Date(`${day}T12:00`).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

function shareClass(share) {
  return share < 0.8 ? "low" : share < 0.85 ? "near" : "fine";
}

function drawAnimals() {
  const all = view.record.animals, some = all.some((one) => one.retired);
  get("retired_label").hidden = !some;
  const shown = all.filter((one) => !one.retired || get("retired").checked || one.name === view.name);
  get("animals").replaceChildren(...shown.map(animalButton));
  if (!all.length) get("animals").append(element("p", "The record holds no animal yet. Add one.", "note"));
  get("add").disabled = !token || view.state?.rehearsal;
}

function animalButton(one) {
  const button = element("button", "", "one");
  const last = one.last_weight, share = element("span", last ? `${(100 * last.share).toFixed(0)} %` : "-", "share");
  if (last && one.restricted) share.classList.add(shareClass(last.share));
  const when = one.weighed ? "weighed today" : last ? `weighed ${dayOf(last.day)}` : "never weighed";
  button.append(element("b", one.name), share, element("small", `${one.cohort} · ${one.stage}${one.retired ? " · retired" : ""}`), element("small", when, "when"));
  button.title = one.name;
  button.classList.toggle("chosen", one.name === view.name);
  button.classList.toggle("retired", one.retired);
  button.onclick = () => choose(one.name);
  return button;
}

const detailOf = (name) => read(`/panel/animal?name=${encodeURIComponent(name)}`);

// Answers may come in another order than animals were pressed: the last pressed one is shown.
let pressed = "";
async function choose(name) {
  pressed = name;
  let detail;
  try {
    detail = await detailOf(name);
  } catch (error) {
    return say(error.message, true);
  }
  if (pressed !== name) return undefined;
  view.name = name;
  view.detail = detail;
  view.doubted = null;
  for (const id of ["weight", "condition", "weight_note", "ml", "give_note", "minutes", "override"]) get(id).value = "";
  fillChoices();
  drawChecklist();
  drawAnimals();
  drawAnimal();
  check();
  return get("weight").focus();
}

function drawAnimal() {
  const one = view.detail;
  get("animal").hidden = get("session").hidden = !one;
  get("nobody").hidden = Boolean(one);
  if (!one) return;
  const last = one.last_weight, acting = Boolean(token) && !view.state?.rehearsal;
  text("name", one.name);
  text("facts", factsOf(one));
  text("retire", one.retired ? "Take back" : "Retire");
  get("edit").disabled = get("retire").disabled = !acting;
  big("grams", last ? `${last.grams.toFixed(1)} g` : "-", last && one.restricted ? shareClass(last.share) : "");
  text("grams_of", last ? `${(100 * last.share).toFixed(1)} % of ${one.baseline_g} g, ${one.weighed ? "today" : dayOf(last.day)}${last.after ? ", after a session" : ""}` : "never weighed");
  big("water", `${one.water_ul.toFixed(0)} µl`);
  text("water_of", one.remarks.join("; ") || "water today");
  big("due", one.restricted ? `${one.due_ml.toFixed(2)} ml` : "free");
  text("due_of", one.restricted ? `still to drink, of ${one.need_ml} ml a day` : "water is not restricted");
  text("count", String(one.session_count));
  get("sessions").replaceChildren(...sessionRows(one.sessions));
  drawWeights(one);
  for (const input of document.querySelectorAll("#weigh input, #weigh button, #give input, #give button")) input.disabled = !token;
}

function big(id, value, className = "") {
  text(id, value);
  get(id).className = className;
}

function factsOf(one) {
  const weeks = one.birth_date ? Math.floor((Date.now() - Date.parse(one.birth_date)) / 6048e5) : null;
  const sex = { M: "male", F: "female" }[one.sex] || "";
  return [one.cohort, one.stage, sex, weeks === null ? "" : `${weeks} weeks`, one.genotype, one.project, one.experimenter, one.retired ? "retired" : ""].filter(Boolean).join(" · ");
}

function sessionRows(sessions) {
  if (!sessions.length) return [rowOf("td", ["none yet"])];
  const head = rowOf("th", ["began", "task", "trials", "water", "end"]);
  return [head, ...sessions.map((s) => {
    const row = rowOf("td", [s.began, s.task, s.trials ?? "-", micro(s.water), s.reason]);
    row.lastChild.className = "why";
    return row;
  })];
}

function rowOf(tag, cells) {
  const row = document.createElement("tr");
  row.append(...cells.map((cell) => element(tag, String(cell))));
  return row;
}

function drawWeights(one) {
  const before = [], after = [];
  one.weights.forEach((w, n) => (w.after ? after : before).push([n, w.grams]));
  const limit = one.limit_share * one.baseline_g, grams = one.weights.map((w) => w.grams);
  const low = Math.floor(Math.min(limit - 0.5, ...grams)), high = Math.ceil(Math.max(one.baseline_g + 0.5, ...grams));
  const ticks = [low, (low + high) / 2, high], span = [-0.5, Math.max(4, one.weights.length) - 0.5];
  const chart = axes(get("weights"), span, [low, high], { yTicks: ticks, left: 46 });
  if (one.restricted) line(chart, [[span[0], limit], [span[1], limit]], css("--bad"), 1.5);
  line(chart, [[span[0], one.baseline_g], [span[1], one.baseline_g]], css("--dim"), 1.5);
  line(chart, before, css("--water"), 3);
  for (const [points, radius, colour] of [[before, 4.5, css("--water")], [after, 3.5, css("--dim")]]) {
    chart.context.fillStyle = colour;
    for (const [n, value] of points) {
      chart.context.beginPath();
      chart.context.arc(chart.x(n), chart.y(value), radius, 0, 7);
      chart.context.fill();
    }
  }
  text("weight_legend", `g; grey line: baseline${one.restricted ? "; red line: limit of 80 %" : ""}; grey dots: after a session`);
}

// A doubtful weight is typed again to confirm it; the second press of a double click is no answer.
const doubt = (grams) => { view.doubted = { grams, at: performance.now() }; };
const confirmed = () => (view.doubted && performance.now() - view.doubted.at > DOUBLE_CLICK_MS ? view.doubted.grams : "");

// Send a form once, however often it is pressed meanwhile.
function onSubmit(id, send) {
  let sending = false;
  get(id).onsubmit = async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    try { await send(); } finally { sending = false; }
  };
}

async function weigh() {
  const grams = get("weight").value.trim();
  const sent = { name: view.name, grams, confirmed: confirmed(), condition: get("condition").value, note: get("weight_note").value };
  if (await done("weigh", sent)) {
    for (const id of ["weight", "condition", "weight_note"]) get(id).value = "";
    view.doubted = null;
  } else doubt(grams);
}

async function give() {
  if (await done("give", { name: view.name, ml: get("ml").value, note: get("give_note").value })) get("ml").value = get("give_note").value = "";
}

// ---- the session ----

function fillChoices() {
  const one = view.detail, fits = (task) => task.cohorts.includes(one.cohort);
  const tasks = [...view.record.tasks].sort((a, b) => Number(fits(b)) - Number(fits(a)));
  get("task").replaceChildren(...tasks.map((t) => new Option(fits(t) ? t.name : `${t.name} (not for ${one.cohort})`, t.name)));
  get("setup").replaceChildren(...view.record.setups.map((name) => new Option(name, name)));
  get("task").value = one.suggested.task;
  get("setup").value = one.suggested.setup;
}

function drawChecklist() {
  const items = [`The animal on the rig is ${view.name}`, ...view.record.checklist];
  get("checklist").replaceChildren(...items.map((item) => {
    const label = element("label", "", "tick"), box = document.createElement("input");
    box.type = "checkbox";
    box.value = item;
    box.disabled = !token;
    box.onchange = drawStart;
    label.append(box, element("span", item));
    return label;
  }));
}

function chosen() {
  return { name: view.name, setup: get("setup").value, task: get("task").value, minutes: get("minutes").value.trim(), override: get("override_label").hidden ? "" : get("override").value.trim() };
}

// What `rig run` would say to it now.
async function check() {
  if (!view.detail || view.state?.phase !== "ready") return undefined;
  if (!token) {
    drawObjections();
    return drawStart();
  }
  checked = performance.now();
  const asked = chosen(), isOld = () => ["name", "setup", "task", "minutes"].some((key) => asked[key] !== chosen()[key]);
  try {
    const found = await act("check", asked);
    if (isOld()) return undefined;
    view.against = found.objections;
    text("task_text", taskText(found.task));
  } catch (error) {
    if (isOld()) return undefined;
    view.against = [{ text: error.message, about: "task", final: true }];
  }
  drawObjections();
  return drawStart();
}

function taskText(task) {
  if (!task.stage) return "";
  const shown = (task.stimuli || []).join(" + "), water = (task.water_for || []).includes(view.detail.cohort);
  const reward = water && task.reward_ul ? `${task.reward_ul} µl, ${task.reward_mode || "active"}` : "no water";
  return [`stage ${task.stage}`, shown, reward, `up to ${task.minutes} min and ${task.trials} trials`].filter(Boolean).join(" · ");
}

function drawObjections() {
  const near = { animal: "about_animal", weight: "about_animal", water: "about_animal" };
  for (const list of ["about_animal", "about_session"]) {
    const here = view.against.filter((one) => (near[one.about] || "about_session") === list);
    get(list).replaceChildren(...here.map((one) => {
      const item = element("li", "", one.final ? "final" : ""), kind = one.final ? "; no reason overrides this" : one.warning ? "; a warning" : "";
      item.append(element("small", one.about + kind), element("span", micro(one.text)));
      return item;
    }));
  }
  const clear = token ? "Ready to start." : "Only the operator sees the checks.";
  if (view.against.every((one) => one.warning)) get("about_session").append(element("li", clear, token ? "clear" : ""));
}

function drawStart() {
  const boxes = [...get("checklist").querySelectorAll("input")], open = boxes.filter((box) => !box.checked).length;
  const final = view.against.some((one) => one.final), any = view.against.some((one) => !one.warning);
  get("override_label").hidden = !any || final;
  const reason = get("override").value.trim();
  const why = !token ? "Open the page with the operator's address to start a session." : final || (any && !reason) ? "See the problems listed above." : open ? `${open} line${open > 1 ? "s" : ""} of the checklist to tick.` : "";
  get("start").disabled = Boolean(why);
  get("start").textContent = any && !final && reason ? "Start against the checks" : "Start";
  text("start_note", why);
}

function start() {
  const values = chosen();
  const ticked = [...get("checklist").querySelectorAll("input:checked")].map((box) => box.value);
  confirm(`Start ${values.task} with ${values.name} on ${values.setup}?`, async () => {
    opened = false;
    if (await done("start", { ...values, ticked })) look();
  });
}

// ---- the day ----

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  try {
    view.state = await read("/panel/state");
    lastState = performance.now();
    drawState();
  } catch { /* shown as stale */ } finally {
    looking = false;
  }
}

function drawState() {
  const state = view.state, shown = state.phase === "starting" ? "running" : state.phase;
  const changed = get(shown).hidden;
  for (const id of ["ready", "running", "ended", "refused"]) get(id).hidden = id !== shown;
  text("where", state.data);
  get("rehearsal").hidden = !state.rehearsal;
  get("guest").hidden = Boolean(token);
  if (state.trouble !== view.trouble) say(view.trouble = state.trouble, true);
  get("other").hidden = !state.other;
  text("other_text", `${state.other} is running. Press Next animal to see it here.`);
  if (shown === "running") drawRunning(state);
  if (shown === "refused") text("refused_text", state.said);
  if (shown === "ended") drawEnded(state, changed);
  if (shown === "ready" && changed && view.record) refresh().catch((error) => say(error.message, true));
  for (const id of ["done", "back", "write_report"]) get(id).disabled = !token;
}

function drawRunning(state) {
  const head = state.head, over = head && head.ended;
  text("running_who", `${state.subject} ${over ? "has ended" : state.head ? "is running" : "is starting"}`);
  text("run_trial", head && head.trial >= 0 ? String(head.trial + 1) : "-");
  text("run_clock", head ? `${String(Math.floor(head.t_s / 60)).padStart(2, "0")}:${String(Math.floor(head.t_s % 60)).padStart(2, "0")}` : "-");
  text("run_water", head ? head.water_ul.toFixed(0) : "-");
  const down = Object.entries(state.down || {}).map(([name, how]) => `${name} ${how}`).join(", ");
  const watched = down ? `${down}; see the live page` : "The session is a process of its own. This panel only watches it.";
  text("running_note", over ? "The log is being completed." : state.head ? watched : state.said);
  get("running_note").classList.toggle("low", Boolean(down) && !over);
  get("open").hidden = !state.head || Boolean(over);
  if (state.head && !over && !opened && state.subject === view.name) {
    opened = true;
    location.assign("/session");
  }
}

async function drawEnded(state, changed) {
  text("ended_text", state.text);
  get("ended_text").classList.toggle("low", state.failed);
  text("ended_title", `${state.subject}: the session`);
  text("folder", state.folder);
  get("report").hidden = state.report !== "ready";
  get("write_report").hidden = state.report === "ready";
  text("write_report", { writing: "Writing the report ...", failed: "The report failed; try again" }[state.report] || "Write the report");
  if (!changed) return;
  get("table").replaceChildren(...state.rows.map(([name, value]) => rowOf("td", [name, name === "notes" ? value : micro(value)])));
  get("entered").replaceChildren();
  for (const id of ["end_weight", "end_ml", "end_condition", "end_note"]) get(id).value = "";
  await drawEvening(state.subject);
}

async function drawEvening(subject) {
  const one = await detailOf(subject), last = one.last_weight;
  text("evening_title", `${subject}, after the session`);
  big("end_grams", last ? `${last.grams.toFixed(1)} g` : "-", last && one.restricted ? shareClass(last.share) : "");
  text("end_grams_of", last ? `${(100 * last.share).toFixed(1)} % of ${one.baseline_g} g${last.after ? ", after a session" : ", before"}` : "never weighed");
  text("end_water", `${one.water_ul.toFixed(0)} µl`);
  big("end_due", one.restricted ? `${one.due_ml.toFixed(2)} ml` : "free", one.due_ml > 0 ? "near" : "fine");
  get("end_ml").placeholder = one.due_ml > 0 ? one.due_ml.toFixed(2) : "";
  for (const input of document.querySelectorAll("#evening input, #evening button")) input.disabled = !token;
}

async function evening() {
  const grams = get("end_weight").value.trim();
  const sent = { name: view.state.subject, grams, ml: get("end_ml").value.trim(), confirmed: confirmed(), condition: get("end_condition").value, note: get("end_note").value };
  try {
    const said = (await act("evening", sent)).answer;
    get("entered").append(element("li", said));
    say(said);
    view.doubted = null;
    for (const id of ["end_weight", "end_ml", "end_condition", "end_note"]) get(id).value = "";
    await drawEvening(view.state.subject);
  } catch (error) {
    doubt(grams);
    say(error.message, true);
  }
}

async function putAway() {
  if (await done("done")) await look();
}

// ---- the record ----

function openRecord(editing) {
  const one = editing ? view.detail : { cohort: view.record.cohorts[0], need_ml: 1, restricted: true, sex: "" };
  view.editing = editing;
  text("record_title", editing ? `Edit ${one.name}` : "Add an animal");
  get("f_cohort").replaceChildren(...view.record.cohorts.map((name) => new Option(name, name)));
  get("f_sex").replaceChildren(...["", ...view.record.sexes].map((sex) => new Option({ "": "-", M: "male", F: "female", U: "unknown", O: "other" }[sex], sex)));
  get("f_cohort").value = one.cohort;
  fillStages(one.stage);
  for (const field of FIELDS) if (!["cohort", "stage"].includes(field)) get(`f_${field}`).value = one[field] ?? "";
  get("f_restricted").checked = one.restricted;
  get("f_name").disabled = editing;
  get("record_wrong").hidden = true;
  get("record").showModal();
}

function fillStages(stage) {
  const cohort = get("f_cohort").value;
  const fitting = Object.keys(view.record.stages).filter((name) => view.record.stages[name].includes(cohort));
  get("f_stage").replaceChildren(...fitting.map((name) => new Option(name, name)));
  if (fitting.includes(stage)) get("f_stage").value = stage;
}

async function saveRecord() {
  const values = { restricted: get("f_restricted").checked };
  for (const field of FIELDS) values[field] = get(`f_${field}`).value.trim();
  try {
    say((await act(view.editing ? "edit" : "add", values)).answer);
    get("record").close();
    await refresh();
    if (!view.editing) await choose(values.name);
  } catch (error) {
    text("record_wrong", error.message.replace(/^--([a-z-]+):/, (_, key) => `${key.replaceAll("-", " ")}:`));
    get("record_wrong").hidden = false;
  }
}

function retire() {
  const { name, retired } = view.detail;
  if (retired) return done("return", { name });
  return confirm(`Retire ${name}? It runs no more sessions; its record stays.`, () => done("retire", { name }));
}

function confirm(question, then) {
  const dialog = get("ask");
  text("question", question);
  dialog.querySelector("form").onsubmit = () => then();
  dialog.showModal();
  get("yes").focus();
}

function tick() {
  const quiet = performance.now() - lastState, stale = quiet > STALE_MS;
  document.body.classList.toggle("stale", stale);
  text("link", !Number.isFinite(quiet) ? "connecting" : stale ? `NO PANEL FOR ${(quiet / 1000).toFixed(0)} s` : "live");
  if (view.state?.phase === "ready" && performance.now() - checked > CHECK_MS && !document.hidden) check();
}

function setRed(red) {
  document.documentElement.classList.toggle("red", red);
  sessionStorage.setItem("red", red ? "1" : "");
  if (view.detail) drawWeights(view.detail);
}

function wire() {
  for (const [id, send] of [["weigh", weigh], ["give", give], ["evening", evening], ["record_form", saveRecord]]) onSubmit(id, send);
  get("record_no").onclick = () => get("record").close();
  get("no").onclick = () => get("ask").close("no");
  get("add").onclick = () => openRecord(false);
  get("edit").onclick = () => openRecord(true);
  get("retire").onclick = retire;
  get("retired").onchange = drawAnimals;
  get("f_cohort").onchange = () => fillStages(get("f_stage").value);
  for (const id of ["task", "setup", "minutes"]) get(id).onchange = check;
  get("override").oninput = drawStart;
  get("start").onclick = start;
  get("done").onclick = putAway;
  get("back").onclick = putAway;
  get("write_report").onclick = () => done("report").then(look);
  get("red").onclick = () => setRed(!document.documentElement.classList.contains("red"));
  addEventListener("resize", () => { if (view.detail) drawWeights(view.detail); });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.key === "r") get("red").click();
  });
}

async function begin() {
  takeToken();
  wire();
  setRed(sessionStorage.getItem("red") === "1");
  setInterval(look, STATE_MS);
  setInterval(tick, 250);
  await look();
  try {
    await refresh();
  } catch (error) {
    say(error.message, true);
  }
}

begin();
