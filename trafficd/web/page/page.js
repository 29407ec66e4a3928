// The status page: asks for the picture once a second and changes only what differs. Names come from anybody who may
// name a host: they are put into the document as text and attributes alone, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const LEVELS = [0.01, 0.25, 0.5, 0.75, 0.9];
const EVERY_MS = 1000, SLOWEST_MS = 10000, TIMEOUT_MS = 8000;
const MOST_ROWS = 200;
const $ = (id) => document.getElementById(id);

let drawing = null, cells = [], live = null, chosen = -1, focused = 0, hold = false, wait = EVERY_MS, fabricTag = "", running = "", timer = 0;

// ---- what people read

const UNITS = ["", "k", "M", "G", "T", "P"];
function scaled(value, unit) {
  if (value === null || value === undefined) return "–";
  let i = 0;
  while (value >= 1000 && i < UNITS.length - 1) { value /= 1000; i++; }
  return `${value >= 100 || i === 0 ? Math.round(value) : value.toPrecision(3)} ${UNITS[i]}${unit}`;
}
const bits = (v) => scaled(v, "bit/s");
const bytes = (v) => scaled(v, "B");
const part = (v) => (v === null || v === undefined ? "–" : `${(v * 100).toFixed(v < 0.1 ? 1 : 0)} %`);
const seconds = (v) => (v === null ? "–" : v < 1 ? `${(v * 1000).toPrecision(3)} ms` : `${v.toPrecision(3)} s`);
const clock = (ns) => new Date(ns / 1e6).toISOString().slice(11, 23);
const ages = (v) => (v === null ? "never" : `${v.toFixed(1)} s ago`);
const level = (u) => LEVELS.filter((least) => u >= least).length;

// ---- the document

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
function say(node, text) { if (node.textContent !== text) node.textContent = text; }

// Rows are kept and changed in place, so that a reader's place in the table stays.
function rows(body, table) {
  while (body.rows.length > table.length) body.deleteRow(-1);
  table.forEach((cellsOf, i) => {
    const row = body.rows[i] ?? body.insertRow();
    cellsOf.forEach((cell, j) => {
      const { text, css = "" } = typeof cell === "object" ? cell : { text: cell };
      const at = row.cells[j] ?? row.insertCell();
      if (at.className !== css) at.className = css;
      say(at, text);
    });
  });
}
const number = (text) => ({ text, css: "n" });

// ---- the drawing

function cut(name, width) {
  const room = Math.max(1, Math.floor((width - 6) / 7));
  return name.length <= room ? name : `${name.slice(0, room - 1)}…`;
}
function box(b, css) { return shape("rect", { class: css, x: b.x, y: b.y, width: b.width, height: b.height, rx: 3 }); }
function titled(name, b, css, role, x, anchor) {
  const group = shape("g", { role: "img", "aria-label": `${role} ${name}` });
  const title = shape("title", {}); title.textContent = `${role} ${name}`;
  const text = shape("text", { x, y: b.y + (css === "switch" ? 16 : 13), "text-anchor": anchor });
  text.textContent = cut(name, b.width);
  group.append(title, box(b, css), text);
  return group;
}

function draw(found) {
  drawing = found; cells = []; chosen = -1; focused = Math.min(focused, Math.max(0, found.nics.length - 1));
  say($("fabric-name"), found.name);
  say($("left-out"), found.left_out ? `Not drawn: ${found.left_out}; those of the chosen NIC are.` : "");
  if (!found.nics.length && !found.switches.length) {
    $("drawing").replaceChildren(make("p", { class: "quiet" }, "The controller has no fabric yet: give it a fabric file."));
    return;
  }
  const scale = Math.max(1, Math.min(1.8, ($("drawing").clientWidth - 20) / found.width));
  const svg = shape("svg", { viewBox: `0 0 ${found.width} ${found.height}`, width: found.width * scale, height: found.height * scale,
    role: "listbox", "aria-label": `NICs of fabric ${found.name}`, "aria-describedby": "keys" });
  const lines = shape("g", { "aria-hidden": "true" });
  for (const l of found.lines) lines.append(shape("line", { class: l.trunk ? "line trunk" : "line", x1: l.x1, y1: l.y1, x2: l.x2, y2: l.y2 }));
  const plain = shape("g", { role: "presentation" });
  for (const s of found.switches) plain.append(titled(s.name, s.box, "switch", "switch", s.box.x + s.box.width / 2, "middle"));
  for (const t of found.labels) { const text = shape("text", { x: t.x, y: t.y }); text.textContent = t.text; plain.append(text); }
  svg.append(lines, plain, shape("g", { id: "cables", "aria-hidden": "true" }));
  for (const h of found.hosts) svg.append(drawHost(h));
  svg.addEventListener("keydown", onKey);
  svg.addEventListener("click", (e) => { const nic = e.target.closest(".nic"); if (nic) { focus(Number(nic.dataset.i)); choose(Number(nic.dataset.i)); } });
  svg.addEventListener("focusin", (e) => { const nic = e.target.closest(".nic"); if (nic) { rove(Number(nic.dataset.i)); name(Number(nic.dataset.i)); } });
  $("drawing").replaceChildren(svg);
  rove(focused);
}

function drawHost(h) {
  const group = shape("g", { role: "group", "aria-label": `${h.role} host ${h.name}` });
  const title = shape("title", {}); title.textContent = `${h.role} host ${h.name}`;
  const text = shape("text", { x: h.box.x + 6, y: h.box.y + 13, "aria-hidden": "true" }); text.textContent = cut(h.name, h.box.width);
  group.append(title, box(h.box, "host"), text);
  for (let i = h.nics[0]; i < h.nics[0] + h.nics[1]; i++) group.append(drawNic(drawing.nics[i], i));
  return group;
}

function drawNic(n, i) {
  const b = n.box, right = b.x + b.width, bottom = b.y + b.height;
  const group = shape("g", { role: "option", tabindex: -1, "aria-selected": "false", "data-i": i });
  const title = shape("title", {});
  const cell = box(b, "cell"), fill = box(b, "fill");
  group.append(title, cell, fill, shape("path", { class: "cross", d: `M${b.x} ${b.y}L${right} ${bottom}M${right} ${b.y}L${b.x} ${bottom}` }));
  cells[i] = { group, title, fill, css: "", height: -1, told: "" };
  paint(i, null, true);
  return group;
}

// Used part as the height of the fill, its level as colour besides; a cross where there is no carrier.
function paint(i, used, up) {
  const c = cells[i], b = drawing.nics[i].box;
  const css = `nic ${drawing.nics[i].kind} l${used === null ? 0 : level(used)}${used === null ? " unknown" : ""}${up ? "" : " down"}`;
  if (css !== c.css) { c.group.setAttribute("class", css); c.css = css; if (!c.told || i === focused) name(i); }
  const height = used === null || used <= 0 ? 0 : Math.max(1, Math.round(b.height * Math.min(1, used)));
  if (height !== c.height) {
    c.fill.setAttribute("height", height); c.fill.setAttribute("y", b.y + b.height - height); c.height = height;
  }
}

function used(i) {
  if (!live || live.nics.up.length <= i) return "not measured";
  if (!live.nics.up[i]) return "no carrier";
  return live.nics.utilisation[i] === null ? "not measured" : `${part(live.nics.utilisation[i])} used`;
}
// Text alternatives are made when somebody gets there.
function name(i) {
  const n = drawing.nics[i], text = `${n.node}/${n.name}, ${n.kind}, ${used(i)}`;
  if (cells[i].told === text) return;
  cells[i].group.setAttribute("aria-label", text); say(cells[i].title, text); cells[i].told = text;
}

// ---- keys

function rove(i) {
  if (!cells.length) return;
  cells[focused]?.group.setAttribute("tabindex", -1);
  focused = i; cells[i].group.setAttribute("tabindex", 0);
}
function focus(i) { rove(i); cells[i].group.focus(); }

function nearest(from, dx, dy) {
  const middle = (n) => [n.box.x + n.box.width / 2, n.box.y + n.box.height / 2];
  const [x, y] = middle(drawing.nics[from]);
  let best = from, least = Infinity;
  drawing.nics.forEach((n, i) => {
    const [nx, ny] = middle(n), along = (nx - x) * dx + (ny - y) * dy, aside = Math.abs((nx - x) * dy) + Math.abs((ny - y) * dx);
    if (i !== from && along > 1 && along + 4 * aside < least) { least = along + 4 * aside; best = i; }
  });
  return best;
}
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function onKey(e) {
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  if (MOVES[e.key]) focus(nearest(focused, ...MOVES[e.key]));
  else if (e.key === "Home") focus(0);
  else if (e.key === "End") focus(cells.length - 1);
  else if (e.key === "Enter" || e.key === " ") choose(focused);
  else return;
  e.preventDefault();
}

// ---- one NIC

function choose(i) {
  if (chosen >= 0) cells[chosen]?.group.setAttribute("aria-selected", "false");
  chosen = i; cells[i].group.setAttribute("aria-selected", "true");
  const n = drawing.nics[i], cables = $("cables");
  const [x, y] = [n.box.x + n.box.width / 2, n.box.y + n.box.height / 2];
  for (const s of document.querySelectorAll(".switch.chosen")) s.classList.remove("chosen");
  cables.replaceChildren(...n.switches.map((k) => {
    const b = drawing.switches[k].box;
    return shape("line", { class: "cable", x1: x, y1: y, x2: b.x + b.width / 2, y2: b.y + b.height / 2 });
  }));
  const boxes = document.querySelectorAll("rect.switch");
  for (const k of n.switches) boxes[k].classList.add("chosen");
  detail().catch(() => {});
}

const nicHead = make("p"), nicBody = make("tbody");
const NIC_LANES = ["Lane", "Guaranteed", "Observed", "Sent", "Received", "Backlog"];
async function detail() {
  if (chosen < 0) return;
  const asked = chosen, answer = await ask(`api/v1/nic?index=${asked}`);
  if (!answer.ok || asked !== chosen) return;
  const { nic, lanes } = await answer.json();
  const head = `${nic.port.node}/${nic.port.port}: ${nic.kind}, ${bits(nic.rate_bps)}, ${nic.up ? "up" : "no carrier"}, `
    + `${part(nic.utilisation)} used, sent ${bits(nic.transmit_bps)}, received ${bits(nic.receive_bps)}, measured ${ages(nic.age_s)}; `
    + `cabled to ${drawing.nics[asked].switches.map((k) => drawing.switches[k].name).join(" and ") || "no switch"}`;
  if (!nicHead.isConnected) {
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...NIC_LANES.map((t, i) => make("th", { scope: "col", class: i ? "n" : "" }, t)))), nicBody);
    $("nic").replaceChildren(nicHead, make("div", { class: "scroll" }, table));
  }
  say(nicHead, head);
  rows(nicBody, lanes.map((l) => [`${l.lane_id} ${l.name}`, number(part(l.guaranteed)), number(part(l.observed)),
    number(bits(l.transmit_bps)), number(bits(l.receive_bps)), number(bytes(l.backlog_bytes))]));
  if (!lanes.length) rows(nicBody, [["no policy makes lanes here", "", "", "", "", ""]]);
}

// ---- everything else

const MARKS = { True: "✓", False: "✗", Unknown: "?" };
function condition(c) {
  const good = (c.type === "Drifted") === (c.status === "False") && c.status !== "Unknown";
  return { text: `${MARKS[c.status]} ${c.status}`, css: c.status === "Unknown" ? "" : good ? "true" : "false" };
}

function show(found) {
  const ready = found.conditions.find((c) => c.type === "Ready");
  const state = ready ? condition(ready) : { text: "?", css: "" };
  say($("ready"), found.paused ? `‖ Paused: ${found.paused}` : { True: "✓ Ready", False: "✗ Not ready" }[ready?.status] ?? "? Readiness unknown");
  $("ready").className = `pill ${found.paused ? "" : state.css}`;
  say($("controller"), `controller ${found.uuid.slice(0, 8)} (trafficd ${running}), generation ${found.generation}`);
  rows($("conditions"), found.conditions.map((c) => [c.type, condition(c), c.message || c.reason]));
  rows($("balances"), found.balances.map((b) => [b.kind, number(ratio(b.balance.max_over_average)), number(ratio(b.balance.jain))]));
  rows($("lanes"), found.lanes.length ? found.lanes.map(lane) : [["no policy makes lanes", "", "", "", "", "", "", ""]]);
  showRollout(found.rollout);
  list($("notes"), found.notes.length ? found.notes : ["none"]);
  showRecent(found);
  showSync(found.nodes);
}
const ratio = (v) => (v === null ? "idle" : v.toFixed(2));
const lane = (l) => [l.policy, `${l.lane_id} ${l.name}`, l.classes.join(", "), number(part(l.guaranteed)), number(part(l.observed)),
  number(bits(l.transmit_bps)), number(bits(l.receive_bps)), number(bytes(l.backlog_bytes))];

function list(ul, texts) {
  while (ul.children.length > texts.length) ul.lastChild.remove();
  texts.forEach((text, i) => say(ul.children[i] ?? ul.appendChild(make("li")), text));
}

function showRollout(r) {
  if (!r) { if (!$("rollout").querySelector(".none")) $("rollout").replaceChildren(make("p", { class: "none" }, "None is under way.")); return; }
  const head = make("p", {}, `${r.phase} at wave ${r.wave + 1} of ${r.waves.length}${r.reason ? `: ${r.reason}` : ""}`);
  const waves = make("ol");
  list(waves, r.waves.map((w, i) => `${w.admitted} of ${w.count} nodes have it${i === r.wave ? " (now)" : ""}: ${w.nodes.join(", ")}${w.count > w.nodes.length ? " …" : ""}`));
  $("rollout").replaceChildren(head, waves);
}

function showRecent(found) {
  const many = found.recommendations.length;
  say($("recent-note"), `${found.answered} answers since the start${many ? `; the last ${many}, at most one in 50 ms` : ""}. Clients that choose from a snapshot of their own are not counted here. Times are UTC.`);
  rows($("recent"), found.recommendations.map((r) => [clock(r.unix_ns), r.request_id || "–", number(bytes(r.bytes)), r.engines || "–",
    r.legs.map((l) => `${l.reader} (${l.side} side, lane ${l.lane_id}) from ${l.source || "its source"}`).join(" and ") || "–",
    number(seconds(r.expected_s)), `${r.reason}${r.fallback && r.fallback !== r.reason ? `; fallback: ${r.fallback}` : ""}${r.reserved ? "; reserved" : ""}`]));
}

function showSync(nodes) {
  const rank = (n) => (n.in_sync === false ? 0 : n.trouble ? 1 : n.in_sync ? 3 : 2);
  const good = nodes.filter((n) => n.in_sync).length, planned = nodes.filter((n) => n.in_sync !== null).length;
  const sorted = [...nodes].sort((a, b) => rank(a) - rank(b)).slice(0, MOST_ROWS);
  say($("sync-note"), `${good} of ${planned} programmed nodes in sync, ${nodes.filter((n) => n.connected).length} of ${nodes.length} connected${nodes.length > MOST_ROWS ? `; the first ${MOST_ROWS} are shown` : ""}.`);
  rows($("sync"), sorted.map((n) => [n.name, n.in_sync === null ? "nothing to do" : n.in_sync ? { text: "✓ yes", css: "true" } : { text: "✗ no", css: "false" },
    n.connected ? "connected" : "not connected", n.acknowledged || "–", number(ages(n.heard_s)), number(`${n.drifted} of ${n.scopes}`), number(`${n.latched}`), n.trouble]));
}

function showNics() {
  const wanted = $("filter").value.trim().toLowerCase(), u = live.nics.utilisation;
  const found = [];
  drawing.nics.forEach((n, i) => { if (!wanted || `${n.node}/${n.name}`.toLowerCase().includes(wanted)) found.push(i); });
  found.sort((a, b) => (u[b] ?? -1) - (u[a] ?? -1) || a - b);
  const shown = found.slice(0, wanted ? MOST_ROWS : 50);
  say($("nics-note"), `${found.length} of ${drawing.nics.length}${shown.length < found.length ? `; ${shown.length} are shown` : ""}`);
  rows($("nic-rows"), shown.map((i) => [`${drawing.nics[i].node}/${drawing.nics[i].name}`, drawing.nics[i].kind, number(live.nics.up[i] ? part(u[i]) : "no carrier"),
    number(bits(live.nics.transmit_bps[i])), number(bits(live.nics.receive_bps[i])), number(bits(live.nics.rate_bps[i]))]));
}

function update() {
  performance.mark("update-begins");
  show(live);
  if (drawing && drawing.nics.length === live.nics.up.length) {
    for (let i = 0; i < cells.length; i++) paint(i, live.nics.utilisation[i], Boolean(live.nics.up[i]));
    if (cells.length) name(focused);
    showNics();
  }
  performance.measure("update", "update-begins");
  if (performance.getEntriesByName("update").length > 600) performance.clearMeasures("update");
  performance.clearMarks("update-begins");
}

// ---- asking

function ask(path) { return fetch(path, { cache: "no-cache", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS) }); }

async function poll() {
  const answer = await ask("api/v1/live");
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const { live: found, fabric: tag, program } = await answer.json();
  if (!drawing || tag !== fabricTag) {
    const fabric = await ask("api/v1/fabric");
    if (!fabric.ok) throw new Error(`it answered ${fabric.status}`);
    draw(await fabric.json()); fabricTag = tag;
  }
  live = found; running = program; update();
  await detail();
  say($("clock"), `as of ${clock(live.unix_ns)} UTC`);
}

async function turn() {
  clearTimeout(timer);
  if (!hold && !document.hidden) {
    try {
      await poll();
      wait = EVERY_MS; $("lost").hidden = true;
    } catch (e) {
      wait = Math.min(SLOWEST_MS, wait * 2);
      say($("lost"), `The controller does not answer (${e.message}): what is shown is old. It is asked again every ${Math.round(wait / 1000)} s.`);
      $("lost").hidden = false;
    }
  }
  timer = setTimeout(turn, wait);
}

// ---- buttons

const THEMES = ["system", "light", "dark"];
const prefers = matchMedia("(prefers-color-scheme: dark)");
function kept() { try { return localStorage.getItem("theme"); } catch { return null; } }
function themed(theme) {
  document.documentElement.dataset.theme = theme === "system" ? (prefers.matches ? "dark" : "light") : theme;
  say($("theme"), `Theme: ${theme}`);
}
let theme = THEMES.includes(kept()) ? kept() : "system";
prefers.addEventListener("change", () => themed(theme));
$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]; themed(theme);
  try { localStorage.setItem("theme", theme); } catch { /* a browser that keeps nothing: the theme lasts as long as the page */ }
});
$("hold").addEventListener("click", () => {
  hold = !hold; $("hold").setAttribute("aria-pressed", String(hold));
  if (!hold) turn();
});
$("filter").addEventListener("input", () => { if (live && drawing) showNics(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });

function legend() {
  const texts = ["idle", "to 25 %", "to 50 %", "to 75 %", "to 90 %", "above 90 %"];
  const sample = (css, part, text) => {
    const cell = { x: 1, y: 1, width: 14, height: 14 }, height = Math.round(14 * part);
    const group = shape("g", { class: css }, box(cell, "cell"), box({ ...cell, y: 15 - height, height }, "fill"), shape("path", { class: "cross", d: "M1 1L15 15M15 1L1 15" }));
    return make("li", {}, shape("svg", { width: 16, height: 16, "aria-hidden": "true" }, group), text);
  };
  $("legend").append(...texts.map((t, i) => sample(`l${i}`, [0, .15, .4, .65, .85, 1][i], t)), sample("unknown l0", 0, "not measured"),
    sample("down l0", 0, "no carrier"), sample("l0", 0, "compute"), sample("storage l0", 0, "storage"));
}

themed(theme); legend(); turn();
