// The report's behaviour: language, light and dark, drawing, tables, CSV, print.
// It asks nothing of the network; what it remembers is two words in local storage.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const query = new URLSearchParams(location.search);

// --- choices that stay -----------------------------------------------------------------------

// Storage may be refused, as for a file opened from disk in some browsers; then nothing is kept.
const kept = {
  get(name) {
    try { return localStorage.getItem(`shoploom-${name}`); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(`shoploom-${name}`, value); } catch { /* not kept */ }
  },
};

const oneOf = (allowed, ...values) => values.find((value) => allowed.includes(value));
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const state = {
  language: oneOf(["en", "zh"], query.get("lang"), kept.get("lang"), navigator.language?.slice(0, 2), "en"),
  theme: oneOf(["light", "dark"], query.get("theme"), kept.get("theme")), // none = as the system
};
const isDark = () => (state.theme ? state.theme === "dark" : prefersDark.matches);

// --- words and numbers -----------------------------------------------------------------------

// The text at a dotted key in the current language; undefined where there is none. Keys that
// hold a dot themselves, such as lift@0.1, are tried whole below the first part.
const text = (key, values = {}) => {
  const [group, ...rest] = key.split(".");
  let found = data.texts[group]?.[rest.join(".")];
  if (found === undefined) found = rest.reduce((at, part) => at?.[part], data.texts[group]);
  return found?.[state.language]?.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
};

const locale = () => (state.language === "zh" ? "zh-CN" : "en-GB");
const formats = new Map();
const intl = (Kind, options) => {
  const key = locale() + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Kind(locale(), options));
  return formats.get(key);
};
const numeral = (value, options) => (value === null || value === undefined ? "–" : intl(Intl.NumberFormat, options).format(value));
const moment = (iso, options) => intl(Intl.DateTimeFormat, { timeZone: "UTC", ...options }).format(new Date(iso));
const currency = () => {
  const code = data.shop.currency;
  return /^[A-Z]{3}$/.test(code) ? { style: "currency", currency: code, currencyDisplay: "narrowSymbol" } : {};
};

const show = {
  number: (v, digits = 0) => numeral(v, { maximumFractionDigits: digits, minimumFractionDigits: digits }),
  compact: (v, full = false) => (full ? show.number(v) : numeral(v, { notation: "compact", maximumFractionDigits: 1 })),
  share: (v, digits = 0) => numeral(v, { style: "percent", maximumFractionDigits: digits, minimumFractionDigits: digits }),
  money: (v) => {
    const digits = Math.abs(v) < 1000 ? 2 : 0;
    return numeral(v, { ...currency(), maximumFractionDigits: digits, minimumFractionDigits: digits });
  },
  moneyAxis: (v, full = false) =>
    full ? show.money(v) : numeral(v, { ...currency(), notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: 0 }),
  figure: (v) => numeral(v, Math.abs(v) < 10 ? { maximumFractionDigits: 3, minimumFractionDigits: 3 } : { maximumFractionDigits: 1 }),
  signed: (v) => numeral(v, { signDisplay: "exceptZero", maximumFractionDigits: 3, minimumFractionDigits: 3 }),
  interval: ([value, low, high], signed = false) => {
    const one = signed ? show.signed : show.figure;
    return low === null || low === high ? one(value) : `${one(value)}  (${one(low)} … ${one(high)})`;
  },
  day: (iso) => moment(iso, { year: "numeric", month: "short", day: "numeric" }),
  longDay: (iso) => moment(iso, { year: "numeric", month: "long", day: "numeric" }),
  month: (iso) => moment(iso, { year: "numeric", month: "short" }),
  monthShort: (iso) => moment(iso, iso.slice(5, 7) === "01" ? { year: "numeric", month: "short" } : { month: "short" }),
  get weekdays() {
    return Array.from({ length: 7 }, (_, i) => moment(new Date(Date.UTC(2024, 0, 1 + i)), { weekday: "short" }));
  },
};

// How a cell of each kind reads; `number` kinds are set flush right.
const kinds = {
  text: (v) => v ?? "–",
  small: (v) => v ?? "–",
  code: (v) => v ?? "–",
  number: (v) => show.number(v),
  share: (v) => show.share(v, 1),
  share2: (v) => show.share(v, 2),
  money: (v) => (v === null ? "–" : show.money(v)),
  figure: (v) => show.figure(v),
  factor: (v) => show.number(v, 1),
  signed: (v) => show.signed(v),
  day: (v) => show.day(v),
  month: (v) => show.month(v),
  flag: (v) => (v ? "✓" : "–"),
};
const isText = (kind) => ["text", "small", "code", "flag", "day", "month"].includes(kind);

// A column is named by a key of texts, by `later:N`, or by `name:` and its own heading.
const heading = (key) => {
  if (key.startsWith("name:")) return key.slice(5);
  const [name, n] = key.split(":");
  return text(`columns.${name}`, { n }) ?? name;
};

// --- drawing ---------------------------------------------------------------------------------

const ink = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const narrow = () => innerWidth < 640;

const node = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// The content of a tooltip, as nodes: a shop's titles are never parsed as HTML.
const tip = (title, rows) =>
  node("div", { class: "tip" }, node("strong", {}, String(title)),
    ...rows.map(([name, value]) => node("div", {}, node("span", {}, String(name)), node("span", {}, String(value)))));

const base = () => ({
  animation: false,
  textStyle: { fontFamily: ink("sans"), fontSize: 12, color: ink("ink") },
});

const defaults = (option) => ({
  ...base(),
  ...option,
  grid: { outerBoundsMode: "same", outerBoundsContain: "axisLabel", ...option.grid },
  tooltip: {
    confine: true,
    backgroundColor: ink("raised"),
    borderColor: ink("rule"),
    borderWidth: 1,
    padding: 0,
    textStyle: { color: ink("ink"), fontSize: 12 },
    extraCssText: "box-shadow: 0 6px 24px rgb(0 0 0 / 0.10); border-radius: 4px;",
    ...option.tooltip,
  },
});

class Figure {
  constructor(element) {
    this.element = element;
    const { task, study, engine } = element.dataset;
    this.settings = { task, study, engine };
    this.asTable = false;
    this.expanded = false;
    this.tools = node("div", { class: "tools" });
    this.plot = node("div", { class: "plot" });
    this.tableBox = node("div", { class: "table-box", tabindex: "0", role: "region" });
    element.querySelector("figcaption").after(this.tools);
    element.append(this.plot, this.tableBox);
  }

  get title() {
    return this.element.querySelector(`h4 [lang="${state.language}"]`).textContent;
  }

  draw() {
    this.settings.width = this.element.clientWidth;
    const made = figures[this.element.dataset.figure](this.settings);
    this.made = made;
    const table = this.asTable || !(made.option || made.paint);
    this.plot.hidden = table;
    this.tableBox.hidden = !table;
    this.drawTools(made);
    if (table) this.drawTable(made);
    else this.drawPicture(made);
  }

  // A chart, which is one picture to a screen reader, or what a figure paints with nodes of its own.
  drawPicture({ option, height, paint }) {
    this.plot.setAttribute("aria-label", text("figure.chart_of", { title: this.title }));
    this.plot.setAttribute("role", paint ? "group" : "img");
    if (paint) {
      paint(this.plot);
      return;
    }
    this.plot.style.height = `${height}px`;
    this.chart ??= echarts.init(this.plot, null, { renderer: "svg" });
    this.chart.resize();
    this.chart.setOption(defaults(option), true);
  }

  drawTools({ option, paint, choices, choice }) {
    const focused = this.tools.contains(document.activeElement) ? document.activeElement.dataset.tool : null;
    this.tools.replaceChildren();
    if (choices?.length > 1) {
      const select = node("select", { "aria-label": text("figure.metric"), "data-tool": "choice" },
        ...choices.map(([value, label]) => node("option", { value }, label)));
      select.value = choice;
      select.addEventListener("change", () => { this.settings.choice = select.value; this.draw(); });
      this.tools.append(select);
    }
    if (option || paint) {
      const toggle = node("button", { type: "button", "aria-pressed": String(this.asTable), "data-tool": "table" }, text("figure.table"));
      toggle.addEventListener("click", () => { this.asTable = !this.asTable; this.draw(); });
      this.tools.append(toggle);
    }
    const csv = node("button", { type: "button", "data-tool": "csv" }, text("figure.csv"));
    csv.addEventListener("click", () => this.download());
    this.tools.append(csv);
    if (focused) this.tools.querySelector(`[data-tool="${focused}"]`)?.focus();
  }

  drawTable({ table: { columns, rows }, limit = 0, option, paint }) {
    const cut = limit && !this.expanded && rows.length > limit;
    const head = node("tr", {}, ...columns.map(([key, kind]) =>
      node("th", { scope: "col", class: isText(kind) ? "" : "number" }, heading(key))));
    const body = (cut ? rows.slice(0, limit) : rows).map((row) => node("tr", {}, ...row.map((value, i) => {
      const kind = columns[i][1];
      return node(i ? "td" : "th", { ...(i ? {} : { scope: "row" }), class: isText(kind) ? kind : "number" }, kinds[kind](value));
    })));
    this.tableBox.setAttribute("aria-label", this.title);
    this.tableBox.classList.toggle("scrolls", Boolean(option || paint) && rows.length > 14);
    this.tableBox.replaceChildren(rows.length
      ? node("table", {}, node("thead", {}, head), node("tbody", {}, ...body))
      : node("p", { class: "nothing" }, text("figure.no_data")));
    if (cut) {
      const more = node("button", { type: "button", class: "more" }, text("figure.show_all", { n: show.number(rows.length) }));
      more.addEventListener("click", () => { this.expanded = true; this.draw(); this.tableBox.focus(); });
      this.tableBox.append(more);
    }
  }

  download() {
    const { columns, rows } = this.made.table;
    const lines = [columns.map(([key]) => heading(key)), ...rows].map((row) => row.map(csvCell).join(","));
    // The byte order mark tells spreadsheets that the file is UTF-8.
    const blob = new Blob(["\ufeff", lines.join("\r\n"), "\r\n"], { type: "text/csv;charset=utf-8" });
    const name = [this.element.dataset.figure, this.element.dataset.engine, this.element.dataset.task].filter(Boolean).join("-");
    const link = node("a", { href: URL.createObjectURL(blob), download: `${name}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  resize() {
    if (!this.plot.hidden) this.draw();
  }
}

// Spreadsheets run a text that begins with one of these as a formula; a quote keeps it a text.
const csvCell = (value) => {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

// --- the page --------------------------------------------------------------------------------

const drawn = [...document.querySelectorAll("[data-figure]")].map((element) => new Figure(element));

const draw = () => {
  root.lang = state.language;
  root.dataset.theme = isDark() ? "dark" : "light";
  for (const button of document.querySelectorAll("[data-lang]"))
    button.setAttribute("aria-pressed", String(button.dataset.lang === state.language));
  for (const button of document.querySelectorAll("[data-theme-choice]"))
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === root.dataset.theme));
  for (const group of document.querySelectorAll("[data-label]")) group.setAttribute("aria-label", text(group.dataset.label));
  for (const time of document.querySelectorAll("time.day")) time.textContent = show.longDay(time.dateTime);
  for (const cell of document.querySelectorAll("[data-number]")) cell.textContent = show.number(Number(cell.dataset.number));
  for (const cell of document.querySelectorAll("[data-money]")) {
    const value = Number(cell.dataset.money);
    cell.textContent = Math.abs(value) >= 1e5
      ? numeral(value, { ...currency(), notation: "compact", maximumFractionDigits: 2 })
      : show.money(value);
  }
  for (const figure of drawn) figure.draw();
};

for (const button of document.querySelectorAll("[data-lang]"))
  button.addEventListener("click", () => {
    state.language = button.dataset.lang;
    kept.set("lang", state.language);
    draw();
  });
for (const button of document.querySelectorAll("[data-theme-choice]"))
  button.addEventListener("click", () => {
    state.theme = button.dataset.themeChoice;
    kept.set("theme", state.theme);
    draw();
  });
prefersDark.addEventListener("change", draw);

let width = innerWidth;
let waiting;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's address bar changes the height only
  width = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => drawn.forEach((figure) => figure.resize()), 120);
});

// Paper is light and as wide as a page.
addEventListener("beforeprint", () => {
  root.dataset.theme = "light";
  root.classList.add("printing");
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const figure of drawn) figure.draw();
});
addEventListener("afterprint", () => {
  root.classList.remove("printing");
  draw();
});

// The entry of the section in view is marked in the contents.
const entries = new Map([...document.querySelectorAll(".bar nav a")].map((a) => [a.hash.slice(1), a]));
const watch = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen)
      if (isIntersecting) {
        for (const a of entries.values()) a.removeAttribute("aria-current");
        const entry = entries.get(target.id);
        entry?.setAttribute("aria-current", "true");
        if (entry) entry.closest("nav").scrollLeft = entry.offsetLeft - 32;
      }
  },
  { rootMargin: "-20% 0px -70% 0px" },
);
for (const section of document.querySelectorAll("main > section")) watch.observe(section);

draw();
root.dataset.ready = "true";
