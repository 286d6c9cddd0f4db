// What each panel shows, drawn from the model that monitor.js keeps.

import { axes, bars, colourOf, css, dashOf, isRed, line, prepared } from "./charts.js";

const get = (id) => document.getElementById(id);
const GROUPS = ["all", "V1", "medial", "lateral", "anterior"];
const NONE = ["-", "number none"];
const MOST_NAMED = 3, MOST_FAULTS = 4;
const SIGNS = 3, THRESHOLDS = 10, AT_03 = 2;

export function text(id, value) {
  const element = get(id);
  if (element.textContent !== value) element.textContent = value;
}

export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  const whole = Math.max(0, Math.floor(seconds));
  const rest = `${String(Math.floor(whole / 60) % 60).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest;
}

// Fill a table with rows of [text, class] or text; nothing is ever parsed as HTML.
export function fill(table, head, rows) {
  const body = document.createElement("tbody");
  const make = (cells, tag, rowClass) => {
    const row = document.createElement("tr");
    if (rowClass) row.className = rowClass;
    for (const cell of cells) {
      const element = document.createElement(tag);
      const [value, kind] = Array.isArray(cell) ? cell : [cell, ""];
      element.textContent = value;
      if (kind) element.className = kind;
      row.append(element);
    }
    body.append(row);
  };
  if (head) make(head, "th");
  for (const row of rows) make(row.cells, "td", row.kind);
  table.replaceChildren(body);
}

export function header(model, since) {
  const { session, head } = model;
  text("subject", session.subject || "-");
  text("what", session.subject ? [session.cohort, session.stage || session.task, session.rig].filter(Boolean).join(" · ") : "waiting for a session");
  const phase = head.ended ? "ended" : head.phase;
  text("phase", head.ended ? "ENDED" : session.subject ? phase.toUpperCase() : "-");
  get("phase").className = `badge ${phase}`;
  get("subject").title = session.subject || "";
  get("phase").title = head.ended || "";
  const total = session.trials ? ` / ${session.trials}` : "";
  text("trial", head.trial >= 0 ? `${head.trial + 1}${total}` : "-");
  text("clock", clock(head.t_s));
  text("clock_of", session.minutes ? `of ${session.minutes} min` : "time");
  const today = (session.given_today_ul || 0) + head.water_ul;
  text("water", today.toFixed(0));
  const parts = [`µl today of ${session.day_limit_ul || "?"}`, `${head.rewards} rewards`];
  if (head.manual_ul) parts.push(`${head.manual_ul.toFixed(0)} µl manual`);
  text("water_of", parts.join(", "));
  const quiet = head.since_lick_s === null ? null : head.since_lick_s + (head.ended ? 0 : since);
  text("lick", quiet === null ? "none" : quiet < 60 ? `${quiet.toFixed(0)} s` : clock(quiet));
  text("speed", head.speed_cm_s.toFixed(0));
}

export function corridor(model) {
  const { head, session } = model;
  const trial = model.trials.get(head.trial);
  const { context, width, height } = prepared(get("corridor"));
  const texture = trial ? trial.texture_m : 4, grey = trial ? trial.grey_m : 2, length = texture + grey || 6;
  const x = (metres) => 14 + (metres / length) * (width - 28);
  const top = 24, tall = height - 50, wall = Math.min(12, tall / 5);
  context.fillStyle = trial ? colourOf(trial.stimulus, session.stimuli || []) : css("--line");
  context.globalAlpha = trial ? 0.75 : 1;
  context.fillRect(x(0), top, x(texture) - x(0), wall);
  context.fillRect(x(0), top + tall - wall, x(texture) - x(0), wall);
  context.globalAlpha = 1;
  context.fillStyle = css("--line");
  context.fillRect(x(texture), top, x(length) - x(texture), wall);
  context.fillRect(x(texture), top + tall - wall, x(length) - x(texture), wall);
  context.fillStyle = css("--dim");
  context.textAlign = "center";
  for (let metre = 0; metre <= length; metre += 1) context.fillText(`${metre} m`, x(metre), height - 10);
  const mark = (metres, label, colour, side) => {
    if (metres === null || metres === undefined) return;
    context.fillStyle = context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x(metres), top - 2);
    context.lineTo(x(metres), top + tall);
    context.stroke();
    context.textAlign = side === "right" ? "left" : "right";  // the label is on that side of its mark
    context.fillText(label, x(metres) + (side === "right" ? 4 : -4), top - 8);
  };
  if (trial) {
    mark(trial.cue_m ?? trial.drawn_cue_m, trial.cue_m === undefined ? "cue due" : "cue", css("--ink"), "left");
    mark(trial.reward_m, "reward", css("--water"), "right");
    context.fillStyle = css("--ink");
    for (const lick of trial.licks_m) context.fillRect(x(lick) - 1, top + tall - wall - 9, 2, 8);
  }
  const mouse = x(trial ? head.position_m : 0), middle = top + tall / 2;
  context.fillStyle = head.moving ? css("--good") : css("--warn");
  context.beginPath();
  context.moveTo(mouse + 14, middle);
  context.lineTo(mouse - 10, middle - 10);
  context.lineTo(mouse - 10, middle + 10);
  context.fill();
  text("corridor_note", trial ? `${trial.stimulus}${trial.rewarded ? ", rewarded" : ""}, ${head.position_m.toFixed(2)} m` : "no trial");
}

export function speeds(model) {
  const chart = axes(get("speeds"), [-60, 0], [0, 80], { yTicks: [0, 20, 40, 60, 80], xTicks: [-60, -30, 0], xLabel: "s" });
  line(chart, model.speeds.map(([t, v]) => [t - model.head.t_s, v]), css("--good"));
}

export function rasters(model, byCue) {
  const done = [...model.trials.values()].filter((t) => t.outcome !== "aborted" && t.picture === "corridor");
  for (const [id, rewarded] of [["raster_rewarded", true], ["raster_unrewarded", false]]) {
    const trials = done.filter((t) => t.rewarded === rewarded);
    const shown = trials.slice(-120);
    if (byCue) shown.sort((a, b) => (a.cue_m ?? 9) - (b.cue_m ?? 9));
    const chart = axes(get(id), [0, 6], [Math.max(20, shown.length), 0], { xTicks: [0, 1, 2, 3, 4, 5, 6], xLabel: "m" });
    const { context, x, y } = chart;
    context.fillStyle = css("--line");
    context.fillRect(x(4), y(0), x(6) - x(4), y(Math.max(20, shown.length)) - y(0));
    const tall = Math.max(2, (y(1) - y(0)) * 0.8);
    shown.forEach((trial, row) => {
      context.fillStyle = colourOf(trial.stimulus, model.session.stimuli || []);
      for (const lick of trial.licks_m) context.fillRect(x(lick) - 1.5, y(row), 3, tall);
      context.fillStyle = css("--ink");
      if (trial.cue_m !== undefined) context.fillRect(x(trial.cue_m) - 1, y(row), 2, tall);
      context.fillStyle = css("--water");
      if (trial.reward_m !== undefined) {
        context.beginPath();
        context.arc(x(trial.reward_m), y(row) + tall / 2, Math.max(3, tall / 2.2), 0, 7);
        context.fill();
        context.strokeStyle = css("--panel");  // apart from licks of the same colour
        context.lineWidth = 1.5;
        context.stroke();
      }
    });
    const note = rewarded ? "rewarded_note" : "unrewarded_note";
    text(note, `${trials.length} trials${trials.length > 120 ? ", last 120" : ""}; white: cue${rewarded ? ", dot: reward" : ""}`);
  }
}

const percent = ([responses, trials]) => (trials ? `${Math.round((100 * responses) / trials)} %` : "-");

// Lick responses as the study counts them: this session beside the animal's last ones.
export function performance(model) {
  const now = {}, done = [...model.trials.values()].filter((t) => t.outcome === "done" && t.picture === "corridor");
  for (const trial of done) {
    const counts = (now[trial.stimulus] ||= [0, 0]);
    counts[0] += trial.responded ? 1 : 0;
    counts[1] += 1;
  }
  const days = (model.past || []).slice(0, 4), names = [...new Set([...(model.session.stimuli || []), ...Object.keys(now), ...days.flatMap((day) => Object.keys(day.responses))])]
    .filter((name) => now[name] || days.some((day) => day.responses[name])).slice(0, 6);
  const head = ["", ["now", "number"], ...days.map((day) => [dayOf(day.day), "number"])];
  const rows = names.map((name) => ({ cells: [[name, "stimulus"], [now[name] ? percent(now[name]) : "-", "number now"],
    ...days.map((day) => [day.responses[name] ? percent(day.responses[name]) : "-", "number"])] }));
  rows.push({ cells: ["trials", [String(done.length), "number now"], ...days.map((day) => [String(day.trials ?? "-"), "number"])] });
  rows.push({ cells: ["water, µl", [model.head.water_ul.toFixed(0), "number now"], ...days.map((day) => [day.water_ul === null ? "-" : day.water_ul.toFixed(0), "number"])] });
  rows.push({ cells: ["task", [model.session.task || "-", "number now"], ...days.map((day) => [day.task, "number"])] });
  fill(get("performance"), head, rows);
  for (const cell of get("performance").querySelectorAll(".stimulus")) cell.style.boxShadow = `inset 10px 0 ${colourOf(cell.textContent, model.session.stimuli || [])}`;
  text("performance_note", days.length ? "" : "first session of this animal");
}

// 20261130_2: the second session of 30 November.
function dayOf(name) {
  const [day, number] = name.split("_"), found = /^\d{4}(\d\d)(\d\d)$/.exec(day);
  if (!found) return name;
  const month = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")[Number(found[1]) - 1];
  return `${Number(found[2])} ${month}${number && number !== "1" ? ` (${number})` : ""}`;
}

const brief = (ms) => ms.toFixed(ms < 10 ? 2 : 0);

export function checks(model) {
  const { head } = model;
  const from = { "lick to valve": "hardware", "frame to final signals": "online" };
  const latency = Object.entries(head.latency_ms).map(([name, v]) => ({ kind: downText(model, [from[name]]) && "down", cells: [name, [v ? `p50 ${brief(v.p50)}` : "-", "number"], [v ? `p99 ${brief(v.p99)}` : "", "number"], [v ? `n ${v.n}` : "", "number"]] }));
  fill(get("latency"), null, latency);
  const { integrity, referee } = head;
  const share = head.flips ? ((100 * head.late_flips) / head.flips).toFixed(2) : "0";
  const disk = model.disk || {};
  const rows = [
    ["referee", referee["with violations"] ? `${referee["with violations"]} of ${referee.judged} trials with violations` : `${referee.judged} trials, no violation`, !referee["with violations"], "referee"],
    ["integrity", integrity.sound ? `sound: ${integrity.edges} edges, ${integrity.pages} pages` : `NOT SOUND: ${integrity.finding}`, integrity.sound, "integrity"],
    ["late flips", `${head.late_flips} of ${head.flips} (${share} %)`, share < 1, "display"],
    ["frames analysed", String(head.frames), true, "online"],
    ["disk", disk.free_gb === undefined ? "-" : `${disk.free_gb} GB free${disk.hours_left ? `, ${disk.hours_left} h at this rate` : ""}`, !(disk.free_gb < 5)],
  ];
  fill(get("checks"), null, rows.map(([name, value, good, from]) => {
    const down = downText(model, [from]);
    return { kind: down && "down", cells: [name, [`${good ? "✓" : "✗"} ${down ? `${down}: ` : ""}${value}`, `wrap ${good ? "good" : "bad"}`]] };
  }));
}

// How processes are down: "online dead, 3 s" is without a message for 3 s. Empty if none is.
function downText(model, names) {
  return names.filter((name) => model.down[name]).map((name) => {
    const age = model.ages[name];
    return `${name} ${model.down[name]}${age === undefined ? "" : `, ${age.toFixed(0)} s`}`;
  }).join("; ");
}

// Grey out what comes from a process that is down; return the text on all that are.
export function greyOut(model) {
  for (const part of document.querySelectorAll("[data-from]")) {
    const down = downText(model, part.dataset.from.split(" "));
    if (down) part.dataset.down = down; else delete part.dataset.down;
  }
  const all = Object.keys(model.down), ages = all.map((name) => model.ages[name] ?? 0);
  return all.length > MOST_NAMED ? `${all.length} processes down, ${Math.min(...ages).toFixed(0)} s` : downText(model, all);
}

export function processes(model, since) {
  const head = ["process", "state", ["last message", "number"], ["loop", "number"], ["CPU", "number"], ["memory", "number"], ""];
  const rows = (model.processes || []).map((process) => {
    const age = model.ages[process.name] === undefined ? null : model.ages[process.name] + since;
    const down = model.down[process.name];
    return { kind: down ? "dead" : "", cells: [process.name, down ? down.toUpperCase() : process.state,
      [age === null ? "-" : `${age.toFixed(1)} s ago`, "number"],
      process.loop_ms === undefined ? NONE : [`${process.loop_ms} ms`, "number"],
      process.cpu_percent === undefined ? NONE : [`${process.cpu_percent} %`, "number"],
      process.memory_mb === undefined ? NONE : [`${process.memory_mb} MB`, "number"], [process.reason || "", "wrap"]] };
  });
  fill(get("processes"), head, rows);
}

export function signals(model) {
  const { signals: s, session } = model;
  if (!s) return;
  const [a, b] = session.contrast || ["", ""];
  const most = Math.max(5, ...s.d_prime_counts);
  const chart = axes(get("dprime"), [s.d_prime_edges[0], s.d_prime_edges.at(-1)], [0, most], { xTicks: [-2, -1, 0, 1, 2], yTicks: [0, most], xLabel: "d′" });
  bars(chart, s.d_prime_edges, s.d_prime_counts, (v) => (Math.abs(v) < 0.3 ? css("--dim") : v > 0 ? colourOf(a, session.stimuli || []) : colourOf(b, session.stimuli || [])));
  text("dprime_note", s.defined ? `${a} against ${b}, ${s.defined} of ${s.cells} cells` : model.head.undefined || "no frame analysed yet");
  text("areas_note", `% of the area's cells${a ? `; left ${a}, right ${b}` : ""}`);
  const areas = axes(get("areas"), [0, GROUPS.length], [0, 100], { yTicks: [0, 50, 100] });
  const { context, x, y } = areas;
  GROUPS.forEach((group, n) => {
    const at = (sign) => s.fractions[(n * SIGNS + sign) * THRESHOLDS + AT_03];
    [[1, a, 0.14], [2, b, 0.5]].forEach(([sign, stimulus, offset]) => {
      const share = at(sign);
      if (share === null || share === undefined) return;
      context.fillStyle = colourOf(stimulus, session.stimuli || []);
      context.fillRect(x(n + offset), y(100 * share), x(n + offset + 0.34) - x(n + offset), y(0) - y(100 * share));
    });
    context.fillStyle = css("--ink");
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(group, x(n + 0.5), 4);
  });
  const reach = Math.max(2, ...s.motion.map(([, d, r, z]) => Math.max(Math.abs(d), Math.abs(r), Math.abs(z || 0))));
  const top = Math.ceil(reach);
  const first = s.motion.length ? s.motion[0][0] : 0, last = s.motion.length ? s.motion.at(-1)[0] : 1;
  const motion = axes(get("motion"), [first, Math.max(last, first + 1)], [-top, top], { yTicks: [-top, 0, top] });
  line(motion, s.motion.map(([f, d]) => [f, d]), css("--warn"));
  line(motion, s.motion.map(([f, , r]) => [f, r]), css("--water"), 2, [6, 3]);
  line(motion, s.motion.map(([f, , , z]) => [f, z]), css("--ink"), 2, [2, 3]);
  const newest = s.motion.at(-1), signed = (v) => `${v >= 0 ? "+" : "−"}${Math.abs(v).toFixed(1)}`;
  text("motion_down", newest ? `— down ${signed(newest[1])} px` : "— down");
  text("motion_right", newest ? `‒ ‒ right ${signed(newest[2])} px` : "‒ ‒ right");
  text("motion_z", newest && newest[3] !== null ? `··· z ${signed(newest[3])} µm` : "z: no z-stack");
}

const reachOf = (lists) => {
  const values = lists.flat().filter((v) => v !== null && Number.isFinite(v));
  return values.length ? [Math.min(0, ...values), Math.max(0.5, ...values)] : [0, 1];
};

// Mean by stimulus (thin), and the current trial, or else the last one, by position (bold).
function curves(chart, found, from, all, current) {
  for (const [name, values] of Object.entries(found.means)) {
    line(chart, values.map((v, n) => [from + n / 10, v]), colourOf(name, all), 1.8, dashOf(name, all));
  }
  const bold = current.length > 1 ? current : found.last.map((v, n) => [from + n / 10, v]);
  line(chart, bold, css("--ink"), 3.5);
}

export function learning(model) {
  const { signals: s, session } = model;
  if (!s) return;
  const all = session.stimuli || [];
  const share = s.predicting.length ? s.predicting[0] : null;
  const current = s.current_ramp || [], bold = current.length > 1 ? "bold: this trial" : "bold: last trial";
  text("ramp_note", s.ramp.means ? `a.u.; ${bold}${share === null ? "" : `; ${(100 * share).toFixed(0)} % of cells`}` : "after the first trials");
  const ramp = s.ramp.means ? [...Object.values(s.ramp.means), s.ramp.last, current.map(([, v]) => v)] : [];
  const [low, high] = reachOf(ramp);
  const chart = axes(get("ramp"), [0, 6], [low, high], { xTicks: [0, 1, 2, 3, 4, 5, 6], yTicks: [...(low < -0.15 * high ? [Math.round(low * 10) / 10] : []), 0, Math.round(high * 10) / 10], xLabel: "m" });
  if (s.ramp.means) curves(chart, s.ramp, 0, all, current);
  const { context, width, height } = prepared(get("projections"));
  const found = s.projections.filter((area) => area.means);
  if (!found.length) {
    context.fillStyle = css("--dim");
    context.fillText("after the first trials of both stimuli", 16, height / 2);
    return;
  }
  const [bottom, top] = reachOf([...found.flatMap((area) => [...Object.values(area.means), area.last]), (s.current || []).flatMap((values) => values.slice(1))]);
  text("projections_note", `a.u., by position, m; thin: mean of a stimulus; ${(s.current || []).length > 1 ? "bold: this trial" : "bold: last trial"}`);
  s.projections.forEach((area, n) => {
    const left = (n * width) / 4 + 34, right = ((n + 1) * width) / 4 - 8;
    const x = (v) => left + ((v + 1) / 7) * (right - left);
    const y = (v) => height - 24 - ((v - bottom) / (top - bottom || 1)) * (height - 48);
    context.strokeStyle = css("--line");
    context.lineWidth = 1;
    for (const metres of [0, 4]) {
      context.beginPath();
      context.moveTo(x(metres), y(bottom));
      context.lineTo(x(metres), y(top));
      context.stroke();
    }
    context.fillStyle = css("--dim");
    context.textAlign = "center";
    for (const metres of [0, 2, 4, 6]) context.fillText(String(metres), x(metres), height - 8);
    context.textAlign = "right";
    for (const value of [bottom, 0, top]) context.fillText(value.toFixed(1), left - 4, y(value) + 4);
    context.textAlign = "left";
    context.fillStyle = css("--ink");
    context.fillText(GROUPS[n + 1], left + 4, 16);
    const now = (s.current || []).map((values) => [values[0] / 10, values[n + 1]]);
    if (area.means) curves({ context, x, y }, area, -1, all, now);
  });
}

// The screens as the mouse sees them, from left to right, computed from the flips.
export function screens(bytes) {
  const canvas = get("screens");
  if (bytes.byteLength < 4) {
    text("screens_note", "no screens");
    return;
  }
  const [width, height] = new Uint16Array(bytes, 0, 2), grey = new Uint8Array(bytes, 4);
  const image = new ImageData(width, height), red = isRed();
  for (let n = 0; n < grey.length; n += 1) {
    image.data[4 * n] = grey[n];
    image.data[4 * n + 1] = image.data[4 * n + 2] = red ? grey[n] >> 3 : grey[n];
    image.data[4 * n + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  text("screens_note", "computed from the flips");
}

export function faults(model) {
  const open = model.faults.filter((f) => !f.acknowledged);
  get("alarm").hidden = !open.length;
  const shown = open.slice(-MOST_FAULTS).reverse(), more = open.length - shown.length;
  const known = `${shown.map((fault) => fault.number)} of ${open.length}`;
  if (get("faults").dataset.known === known) return open;
  get("faults").dataset.known = known;
  const items = shown.map((fault) => {
    const item = document.createElement("li"), when = document.createElement("small");
    when.textContent = `${clock(fault.t_s)} ${fault.sender}`;
    item.append(when, fault.text);
    item.title = fault.text;
    return item;
  });
  if (more) {
    const item = document.createElement("li");
    item.textContent = `and ${more} before ${shown.length === 1 ? "it" : "these"}`;
    items.push(item);
  }
  get("faults").replaceChildren(...items);
  return open;
}

// The settings that the task file lets the operator change; a click asks for another value.
export function settings(model, acting, change) {
  const live = Object.entries(model.session.live || {});
  get("settings_panel").hidden = !live.length;
  const known = JSON.stringify([live, acting]);
  if (get("settings").dataset.known === known) return;
  get("settings").dataset.known = known;
  get("settings").replaceChildren(...live.map(([name, value]) => {
    const row = document.createElement("div"), button = document.createElement("button"), shown = document.createElement("b");
    shown.textContent = String(value);
    button.textContent = "change";
    button.disabled = !acting;
    button.onclick = () => change(name, String(value));
    row.append(`${name} `, shown, button);
    return row;
  }));
}

export function notes(model) {
  get("notes").replaceChildren(...model.notes.slice(-40).reverse().map((note) => {
    const item = document.createElement("li"), when = document.createElement("small");
    when.textContent = clock(note.t_s);
    const text = note.refused ? `${note.verb} refused: ${note.text}` : note.verb === "note" ? note.text : note.verb === "setting" ? note.text : [note.verb, note.text].filter(Boolean).join(": ");
    item.append(when, text);
    if (note.by) item.title = note.by;
    return item;
  }));
}
