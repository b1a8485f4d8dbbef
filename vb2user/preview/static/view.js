// What the page shows: the picture, the stream's figures, the mem ops, and what went wrong.

export const byId = (id) => document.getElementById(id);
const HEADER = 16; // of a picture: its number, what is missing before it (32 bits each), its time (64 bits)
const CHART = 240;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export class View {
  constructor() {
    this.canvas = byId("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.newest = 0;
    this.drawn = 0;
    this.rates = [];
    this.before = null;
    byId("trouble-close").addEventListener("click", () => this.forget());
  }

  introduce(device) {
    byId("card").textContent = device.card;
    byId("where").textContent = `${device.path} · ${device.driver} · ${device.bus}`;
    document.title = `${device.card} – vb2user preview`;
  }

  // -- the picture

  async show(message) {
    const turn = (this.newest += 1);
    const data = new DataView(message);
    const picture = await createImageBitmap(new Blob([new Uint8Array(message, HEADER)], { type: "image/jpeg" }));
    if (turn < this.drawn) return picture.close(); // a newer one was decoded before it
    this.drawn = turn;
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      this.canvas.width = picture.width;
      this.canvas.height = picture.height;
    }
    this.context.drawImage(picture, 0, 0);
    picture.close();
    this.canvas.dataset.sequence = data.getUint32(0);
  }

  over(trouble) {
    byId("over").hidden = !trouble;
    byId("over-text").textContent = trouble?.text ?? "";
    byId("over-hint").textContent = trouble?.hint ?? "";
  }

  complain(error) {
    byId("trouble-text").textContent = error.text ?? String(error);
    byId("trouble-hint").textContent = error.hint ?? "";
    byId("trouble").hidden = false;
  }

  forget() { byId("trouble").hidden = true; }

  state(name, text) {
    const chip = byId("state");
    if (chip.dataset.state === name && chip.textContent === text) return; // it is read aloud when it changes
    chip.dataset.state = name;
    chip.textContent = text;
  }

  lost() {
    this.state("lost", "not connected");
    this.over({ text: "The preview does not answer", hint: "is vb2user preview still running?" });
  }

  // -- figures

  status(status) {
    const names = { gone: "unplugged", silent: "no frames" };
    this.state(status.state, names[status.state] ?? status.state);
    this.over(status.trouble);
    const f = status.format;
    if (f) {
      const label = `The live picture, ${f.pixelformat}, ${f.width} by ${f.height}`;
      if (this.canvas.getAttribute("aria-label") !== label) this.canvas.setAttribute("aria-label", label);
    }
    this.figures(status.figures);
  }

  figures(f) {
    const clock = f.clock === "monotonic";
    const rows = [
      ["Rate", number(f.rate, 1), "fps"],
      ["Rate, mean", number(f.mean_rate, 2), "fps"],
      ["Frames", number(f.frames)],
      ["Drops", number(f.drops), f.gaps ? `in ${f.gaps} gaps` : "", f.drops > 0],
      ["Errors", number(f.errors), f.truncated ? `${f.truncated} short` : "", f.errors > 0],
      ["Latency", clock ? number(f.latency_ms, 1) : "–", clock ? "ms" : "no clock"],
      ["Latency, mean", clock ? number(f.latency_mean_ms, 1) : "–", clock ? `ms, most ${number(f.latency_max_ms, 1)}` : ""],
      ["Queue", `${f.queued} of ${f.buffers}`, `least ${f.queued_min}`, f.queued_min === 0 && f.frames > 0],
      ["Left out", number(f.discarded), "for newer ones"],
      ["Late, repeated", `${f.out_of_order}, ${f.duplicates}`],
      ["Reconnects", number(f.reconnects)],
      ["Pictures", number(f.shown, 1), `fps, ${number(f.encode_ms, 1)} ms`],
      ["Viewers", number(f.viewers), f.passed_over ? `${number(f.passed_over)} passed over` : ""],
    ];
    byId("figures").replaceChildren(...rows.map(([name, value, more, bad]) => {
      const row = element("div");
      const dd = element("dd", value, bad ? "bad" : "");
      if (more) dd.append(" ", element("small", more));
      row.append(element("dt", name), dd);
      return row;
    }));
    this.rates.push(f.rate);
    if (this.rates.length > CHART) this.rates.shift();
    const top = Math.max(1, ...this.rates) * 1.1;
    const from = CHART - this.rates.length;
    const points = this.rates.map((r, i) => `${from + i},${(35 - (34 * r) / top).toFixed(1)}`);
    byId("line").setAttribute("points", points.join(" "));
  }

  // -- the mem ops

  ledger(ledger) {
    byId("ledger").hidden = Boolean(ledger.why);
    byId("ledger-why").textContent = ledger.why ? `The kernel's calls are not observed: ${ledger.why}` : ledger.remarks.join("; ");
    byId("held").textContent = "";
    if (ledger.why) return;
    byId("allocator").textContent = ledger.allocator ? `of videobuf2's ${ledger.allocator}` : "";
    const now = performance.now();
    const seconds = this.before ? (now - this.before.now) / 1000 : 0;
    const rows = ledger.ops.map(({ op, calls, meaning, at, there }) => {
      const row = element("tr", undefined, calls ? "" : "idle");
      row.title = meaning;
      const more = seconds ? Math.max(0, calls - (this.before.calls[op] ?? 0)) / seconds : 0;
      row.append(
        element("td", op),
        element("td", there || calls ? number(calls) : "–", "number"),
        element("td", more ? number(more, 1) : "", "number"),
        element("td", there || calls ? at : "not in this allocator"),
      );
      row.firstChild.nextSibling.id = `op-${op}`;
      return row;
    });
    byId("ops").replaceChildren(...rows);
    this.before = { now, calls: Object.fromEntries(ledger.ops.map((o) => [o.op, o.calls])) };
    const held = Object.entries(ledger.held).map(([op, count]) => `${count} by ${op}`);
    const faults = ledger.faults.length ? ` Faults: ${ledger.faults.join("; ")}` : "";
    byId("held").textContent = `References held now: ${held.join(", ") || "none"}.${faults}`;
  }
}
