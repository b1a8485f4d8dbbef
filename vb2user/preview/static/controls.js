// The device's controls as sliders, menus, boxes and buttons.
import { byId } from "./view.js";

const WIDEST = 65_536; // a slider with more steps than that cannot be aimed

export class Controls {
  constructor(json, complain) {
    this.json = json;
    this.complain = complain;
    this.known = new Map();
    byId("find").addEventListener("input", () => this.filter());
    byId("defaults").addEventListener("click", () => this.reset());
  }

  async load() {
    const found = await this.json("/api/controls");
    const open = new Map([...document.querySelectorAll("#groups details")].map((d) => [d.dataset.group, d.open]));
    const focused = document.activeElement?.id;
    this.known.clear();
    const groups = new Map();
    for (const control of found) {
      if (!groups.has(control.group)) {
        const made = document.createElement("details");
        made.dataset.group = control.group;
        made.open = open.get(control.group) ?? true;
        const summary = document.createElement("summary");
        summary.textContent = control.group;
        made.append(summary);
        groups.set(control.group, made);
      }
      const one = new Control(control, (value) => this.set(one, value));
      this.known.set(String(control.id), one);
      groups.get(control.group).append(one.row);
    }
    const nothing = Object.assign(document.createElement("p"), { className: "nothing", textContent: "This device has none." });
    byId("groups").replaceChildren(...(groups.size ? groups.values() : [nothing]));
    this.filter();
    if (focused) byId(focused)?.focus({ preventScroll: true });
  }

  update(values) {
    for (const [id, value] of Object.entries(values)) this.known.get(id)?.follow(value);
  }

  // One request at a time for each control; of what was chosen meanwhile the last.
  async set(one, value) {
    one.wanted = { value };
    if (one.busy) return;
    one.busy = true;
    let others = false;
    try {
      while (one.wanted) {
        const { value } = one.wanted;
        one.wanted = null;
        const done = await this.json("/api/control", { id: one.control.id, value });
        others ||= done.others;
        one.say("");
        if (!one.wanted) one.take(done.value);
      }
    } catch (error) {
      one.wanted = null;
      one.say([error.text, error.hint].filter(Boolean).join("; "));
      one.take(one.control.value);
    } finally {
      one.busy = false;
    }
    if (others) await this.load().catch(this.complain);
  }

  async reset() {
    for (const one of this.known.values()) if (one.resettable) await this.set(one, one.control.default);
  }

  filter() {
    const text = byId("find").value.trim().toLowerCase();
    for (const one of this.known.values()) one.row.hidden = !one.control.title.toLowerCase().includes(text);
    for (const group of document.querySelectorAll("#groups details")) {
      group.hidden = ![...group.querySelectorAll(".control")].some((row) => !row.hidden);
    }
  }
}

class Control {
  constructor(control, set) {
    this.control = control;
    this.busy = false;
    this.wanted = null;
    const flags = new Set(control.flags);
    const fixed = flags.has("read_only") || flags.has("grabbed") || control.kind === "other";
    this.resettable = !fixed && !flags.has("inactive") && !["button", "string", "other"].includes(control.kind);
    this.row = document.createElement("div");
    this.row.className = "control";
    this.input = this.make(set);
    this.input.id = `control-${control.name}`;
    this.input.disabled = fixed;
    this.output = document.createElement("output");
    this.output.htmlFor = this.input.id;
    const label = document.createElement("label");
    label.htmlFor = this.input.id;
    label.textContent = control.title;
    const why = ["inactive", "grabbed", "read_only", "volatile"].filter((f) => flags.has(f));
    label.title = [control.name, ...why.map((f) => f.replace("_", "-"))].join(", ");
    if (flags.has("inactive")) this.row.classList.add("inactive");
    const range = this.input.type === "range";
    this.row.append(label, ...(range ? [this.output, this.input] : [this.input]));
    this.take(control.value);
  }

  make(set) {
    const c = this.control;
    if (c.kind === "menu") {
      const made = document.createElement("select");
      made.append(...c.choices.map(([value, text]) => new Option(text, value)));
      made.addEventListener("change", () => set(Number(made.value)));
      return made;
    }
    if (c.kind === "button") {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = "Do it";
      made.addEventListener("click", () => set(0));
      return made;
    }
    const made = document.createElement("input");
    if (c.kind === "boolean") {
      made.type = "checkbox";
      made.addEventListener("change", () => set(made.checked ? 1 : 0));
    } else if (c.kind === "integer" && (c.maximum - c.minimum) / (c.step || 1) <= WIDEST) {
      Object.assign(made, { type: "range", min: c.minimum, max: c.maximum, step: c.step || 1 });
      made.addEventListener("input", () => { this.output.textContent = made.value; set(Number(made.value)); });
      made.addEventListener("dblclick", () => set(c.default));
    } else if (c.kind === "integer") {
      Object.assign(made, { type: "number", min: c.minimum, max: c.maximum, step: c.step || 1 });
      made.addEventListener("change", () => set(Number(made.value)));
    } else {
      made.type = "text";
      if (c.kind === "string") made.maxLength = c.maximum;
      made.addEventListener("change", () => set(made.value));
    }
    return made;
  }

  // The device says so: unless somebody is at it.
  follow(value) {
    if (!this.busy && !(document.activeElement === this.input && this.input.type === "text")) this.take(value);
  }

  take(value) {
    this.control.value = value;
    const kind = this.control.kind;
    if (kind === "button") return;
    if (kind === "boolean") this.input.checked = Boolean(value);
    else if (kind === "other") this.input.value = "not shown here";
    else if (kind === "bitmask" && value !== null) this.input.value = `0x${value.toString(16)}`;
    else this.input.value = value ?? "";
    this.output.textContent = value ?? "";
  }

  say(text) {
    let line = this.row.querySelector(".bad");
    if (!line && !text) return;
    if (!line) {
      line = document.createElement("p");
      line.className = "bad";
      line.setAttribute("role", "alert");
      this.row.append(line);
    }
    line.textContent = text;
    line.hidden = !text;
  }
}
