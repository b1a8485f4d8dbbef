// The page: it asks the server, listens to it, and hands what comes to view.js and controls.js.
import { Controls } from "./controls.js";
import { View, byId } from "./view.js";

const token = new URLSearchParams(location.search).get("token") ?? "";
const view = new View();

async function ask(path, body) {
  const request = { headers: { Authorization: `Bearer ${token}` } };
  if (body !== undefined) {
    request.method = "POST";
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw { text: "the preview does not answer", hint: "is vb2user preview still running?" };
  }
  if (!answer.ok) {
    throw await answer.json().catch(() => ({ text: `the server answers ${answer.status}`, hint: null }));
  }
  return answer;
}

const json = async (path, body) => (await ask(path, body)).json();
const controls = new Controls(json, (error) => view.complain(error));

// -- format, size, rate, input, memory ---------------------------------------------------------------

const menus = Object.fromEntries(["pixelformat", "size", "fps", "input", "memory"].map((n) => [n, byId(n)]));
let device = null;
let set = {};        // what is set, as the menus say it
let asked = 0;       // so that a late answer does not overwrite a newer one

const words = { fps: (value) => `${value} fps`, size: (value) => value.replace("x", " × ") };

function fill(menu, options, chosen) {
  if (chosen && !options.some(([value]) => value === chosen)) {
    options = [[chosen, (words[menu.name] ?? String)(chosen)], ...options];
  }
  menu.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
  menu.disabled = options.length === 0;
}

const rate = (value) => String(Number(Number(value).toFixed(3)));

async function offer() {
  const turn = ++asked;
  const [width, height] = (menus.size.value || "0x0").split("x");
  const query = new URLSearchParams({ pixelformat: menus.pixelformat.value, width, height });
  const found = await json(`/api/choices?${query}`);
  if (turn !== asked) return;
  const sizes = found.sizes.map((s) => s.join("x"));
  const size = sizes.includes(menus.size.value) || !sizes.length ? menus.size.value || set.size : sizes.at(-1);
  const changed = size !== menus.size.value;
  fill(menus.size, sizes.map((s) => [s, words.size(s)]), size);
  const rates = found.rates.map(rate);
  const fps = rates.includes(menus.fps.value) || !rates.length ? menus.fps.value || set.fps : rates.at(-1);
  fill(menus.fps, rates.map((r) => [r, words.fps(r)]), fps);
  if (changed) await offer();
}

async function describe() {
  device = await json("/api/device");
  view.introduce(device);
  fill(menus.input, device.inputs.map((i) => [String(i.index), i.name]), set.input);
  byId("input-label").hidden = device.inputs.length < 2;
  fill(menus.memory, device.memory.map(([m, heap]) => [heap ? `${m}:${heap}` : m, heap ? `${m}, ${heap}` : m]), set.memory);
  settle(true);
}

// The menus show what is set, unless somebody is about to choose something else.
function settle(anew) {
  if (!device || !set.pixelformat) return;
  const formats = device.formats.map((f) => [f.pixelformat, `${f.pixelformat} – ${f.description}`]);
  fill(menus.pixelformat, formats, set.pixelformat);
  for (const name of ["size", "fps"]) if (set[name]) fill(menus[name], [], set[name]);
  for (const name of ["input", "memory"]) {
    if (!set[name]) continue;
    menus[name].value = set[name];
    if (menus[name].value !== set[name]) menus[name].add(new Option(set[name], set[name], false, true));
  }
  if (anew) offer().catch((error) => view.complain(error));
}

function follow(status) {
  const f = status.format;
  if (!f) return;
  const now = { pixelformat: f.pixelformat, size: `${f.width}x${f.height}` };
  now.memory = status.heap ? `${status.memory}:${status.heap}` : status.memory;
  if (status.fps) now.fps = rate(status.fps);
  if (status.input !== null) now.input = String(status.input);
  if (JSON.stringify(now) === JSON.stringify(set)) return;
  const other = now.input !== set.input && set.input !== undefined;
  set = now;
  if (other) describe().catch((error) => view.complain(error));
  else settle(true);
}

byId("pixelformat").addEventListener("change", () => offer().catch((error) => view.complain(error)));
byId("size").addEventListener("change", () => offer().catch((error) => view.complain(error)));

byId("stream").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wish = {};
  const chosen = (name) => menus[name].value && menus[name].value !== set[name];
  if (chosen("input")) {
    wish.input = Number(menus.input.value);
  } else if (chosen("pixelformat") || chosen("size") || chosen("fps")) {
    const [width, height] = menus.size.value.split("x").map(Number);
    Object.assign(wish, { pixelformat: menus.pixelformat.value, width, height });
    if (chosen("fps")) wish.fps = Number(menus.fps.value);
  }
  if (chosen("memory")) [wish.memory, wish.heap = null] = menus.memory.value.split(":");
  byId("apply").disabled = true;
  try {
    view.forget();
    await json("/api/stream", wish);
    await controls.load();
  } catch (error) {
    view.complain(error);
    settle(true);
  } finally {
    byId("apply").disabled = false;
  }
});

byId("still").addEventListener("click", async () => {
  try {
    const answer = await ask("/api/still");
    const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name ?? "vb2user-still";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    view.complain(error);
  }
});

// -- what the server tells ---------------------------------------------------------------------------

const heard = {
  status(value) { view.status(value); follow(value); },
  ledger(value) { view.ledger(value); },
  values(value) { controls.update(value); },
  device() { load(); },
};

async function load() {
  try {
    await describe();
    await controls.load();
  } catch (error) {
    view.complain(error);
  }
}

async function seen() {
  while (document.hidden) {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

function listen(patience = 500) {
  const socket = new WebSocket(`ws://${location.host}/api/socket?token=${encodeURIComponent(token)}`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => { patience = 500; load(); });
  socket.addEventListener("message", async (event) => {
    if (typeof event.data === "string") {
      const note = JSON.parse(event.data);
      heard[note.kind]?.(note.value);
      return;
    }
    try {
      await seen(); // nothing is asked for that nobody sees
      await view.show(event.data);
    } finally {
      if (socket.readyState === WebSocket.OPEN) socket.send("shown");
    }
  });
  socket.addEventListener("close", () => {
    view.lost();
    setTimeout(() => listen(Math.min(patience * 2, 10_000)), patience);
  });
}

listen();
