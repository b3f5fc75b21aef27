// What the figures about content show: reviews, photos, interests, dialogues. A figure here may
// have `paint(box)` in place of an `option`: it fills the box with nodes of its own, so that a
// keyboard and a screen reader can enter where a chart would be one flat picture.
"use strict";

const LONGEST_QUOTE = 320;

// The name that texts.yaml gives, or the name itself.
const named = (group, name) => text(`${group}.${name}`) ?? name;

const clip = (quote, most = LONGEST_QUOTE) => (quote.length > most ? `${quote.slice(0, most).trimEnd()}…` : quote);

const titleOf = (item) => item.title || item.item_id;

const countBars = (group, counts, width) => {
  const rows = Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, n]) => [named(group, name), n]);
  const total = rows.reduce((sum, [, n]) => sum + n, 0) || 1;
  const notes = rows.map(([, n]) => `${show.number(n)}  ·  ${show.share(n / total)}`);
  return {
    ...bars(rows.map((r) => r[0]), rows.map((r) => r[1]), { width, notes }),
    table: { columns: [["name", "text"], ["n", "number"], ["share", "share"]], rows: rows.map(([name, n]) => [name, n, n / total]) },
  };
};

Object.assign(figures, {
  content_coverage() {
    const columns = [
      ["content", "text"], ["n", "number"], ["present", "number"], ["share", "share"],
      ["unreadable", "number"], ["duplicates", "number"], ["reason", "small"],
    ];
    const rows = data.content.coverage.modalities.map((m) => [
      named("modalities", m.name), m.n, m.present, m.n ? m.present / m.n : null, m.unreadable ?? null, m.duplicates ?? null,
      Object.entries(m.reasons ?? {}).map(([reason, n]) => `${named("reasons", reason)} (${show.number(n)})`).join(", ") || null,
    ]);
    return { table: { columns, rows } };
  },

  languages({ width }) {
    const rows = Object.entries(data.content.coverage.languages)
      .sort((a, b) => b[1] - a[1])
      .map(([name, share]) => [named("languages", name), share]);
    const chart = bars(rows.map((r) => r[0]), rows.map((r) => r[1]), { width, format: (v) => show.share(v, 1) });
    return { ...chart, table: { columns: [["language", "text"], ["share", "share"]], rows } };
  },

  reading() {
    const { accuracy, reader } = data.content.sentiment.judged;
    const rows = Object.entries(accuracy)
      .map(([name, value]) => ({ label: named("readers", name === "reader" ? reader : name), value, strong: name === "reader" }))
      .sort((a, b) => b.value[0] - a.value[0]);
    const percent = (v) => show.share(v, 1);
    const chart = whiskers(rows, {
      format: percent,
      most: 1,
      tooltip: (row) => tip(row.label, [[text("columns.right"), percent(row.value[0])],
        ["95 %", `${percent(row.value[1])} … ${percent(row.value[2])}`]]),
    });
    const columns = [["method", "text"], ["right", "share"], ["interval_low", "share"], ["interval_high", "share"]];
    return { ...chart, table: { columns, rows: rows.map((row) => [row.label, ...row.value]) } };
  },

  // The two scales are laid over each other, 1 star on 0 % and 5 stars on 100 %, so that the lines
  // can be compared; counts have no scale and fill at most a third of the height.
  mood({ task }) {
    const { time, positive, stars = [], n = [] } = data.content[task].weeks;
    const [mood, score] = task === "service" ? ["good_mood", "satisfaction"] : ["positive", "stars"];
    const option = timeline(time, positive, { format: (v) => show.share(v) });
    const rated = stars.some((v) => v !== null);
    const line = option.series[0];
    delete line.areaStyle;
    Object.assign(line, { name: text(`columns.${mood}`), z: 4, symbol: "circle", symbolSize: 4, showSymbol: time.length < 60 });
    const none = { axisLine: { show: false }, axisTick: { show: false } };
    option.yAxis = [
      valueAxis((v) => show.share(v), { min: 0, max: 1, interval: 0.25 }),
      { ...valueAxis((v) => `${v} ★`, { min: 1, max: 5, interval: 1 }), splitLine: { show: false }, show: rated, ...none },
      { type: "value", show: false, min: 0, max: 3 * Math.max(...n, 1) },
    ];
    option.xAxis.boundaryGap = true;
    option.grid = { left: 0, right: 0, top: 34, bottom: 6 };
    option.series = [line];
    if (rated)
      option.series.push({
        name: text(`columns.${score}`), type: "line", yAxisIndex: 1, data: stars, symbol: "none", z: 3,
        lineStyle: { color: ink("warn"), width: 1.5, type: [6, 3] }, itemStyle: { color: ink("warn") },
      });
    option.series.push({
      name: text("columns.n"), type: "bar", yAxisIndex: 2, data: n, barCategoryGap: "22%", z: 1, silent: true,
      itemStyle: { color: ink("soft"), opacity: 0.45, borderRadius: [2, 2, 0, 0] },
    });
    option.legend = legend(option.series.map((s) => s.name));
    option.tooltip.formatter = ([p]) =>
      tip(show.day(p.name), [
        [text(`columns.${mood}`), show.share(positive[p.dataIndex])],
        ...(rated ? [[text(`columns.${score}`), show.number(stars[p.dataIndex], 1)]] : []),
        [text("columns.n"), show.number(n[p.dataIndex])],
      ]);
    const columns = [["week", "day"], [mood, "share"], [score, "factor"], ["n", "number"]];
    const rows = time.map((t, i) => [t, positive[i], stars[i] ?? null, n[i] ?? null]);
    return { option, height: 280, table: { columns, rows } };
  },

  aspects(settings) {
    const all = [...data.content.sentiment.aspects].sort((a, b) => b.n * (1 - b.positive) - a.n * (1 - a.positive));
    const columns = [["aspect", "text"], ["n", "number"], ["positive", "share"], ["negative", "share"]];
    const rows = all.map((a) => [named("aspects", a.aspect), a.n, a.positive, 1 - a.positive]);
    return { paint: (box) => paintAspects(box, all, settings), table: { columns, rows } };
  },

  disagree() {
    const columns = [["item", "text"], ["stars", "factor"], ["positive", "share"], ["n", "number"], ["example", "small"]];
    const rows = data.content.sentiment.disagree.map((d) => [titleOf(d), d.stars, d.words, d.n, d.example ? clip(d.example, 180) : null]);
    return { table: { columns, rows }, limit: 8 };
  },

  picture_map(settings) {
    const columns = [["item", "text"], ["item_id", "code"], ["category", "text"], ["price", "money"]];
    const rows = data.content.map.cells.map((cell) => [cell.title, cell.item_id, cell.category, cell.price ?? null]);
    return { paint: (box) => new PictureMap(box, data.content.map, settings), table: { columns, rows } };
  },

  interests({ width }) {
    const rows = Object.entries(data.content.interests.share).filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]);
    const shown = rows.slice(0, 16);
    const chart = bars(shown.map((r) => r[0]), shown.map((r) => r[1]), { width, format: (v) => show.share(v, 1) });
    return { ...chart, table: { columns: [["tag", "text"], ["share", "share"]], rows } };
  },

  together() {
    const columns = [["tag", "text"], ["other_tag", "text"], ["lift", "factor"]];
    return { table: { columns, rows: data.content.interests.together }, limit: 10 };
  },

  profiles() {
    const users = data.content.interests.profiles;
    const columns = [["user_id", "code"], ["tag", "text"], ["share", "share"], ["lift", "factor"]];
    const rows = users.flatMap((user) => user.tags.map((tag) => [user.user_id, ...tag]));
    return { paint: (box) => paintProfiles(box, users), table: { columns, rows } };
  },

  intents: ({ width }) => countBars("intents", data.content.service.intents, width),

  emotions: ({ width }) => countBars("emotions", data.content.service.emotions, width),

  confusion({ task, width }) {
    const { labels, rows: counts } = data.content.service.confusion[task];
    const names = labels.map((label) => named(`${task}s`, label));
    const totals = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const share = (y, x) => (totals[y] ? counts[y][x] / totals[y] : 0);
    const cells = counts.flatMap((row, y) => row.map((_, x) => [x, y, share(y, x)]));
    const room = (width - 190) / names.length; // of one column, in pixels
    const flat = room > 56;
    const chart = heat(names, names.map((name, y) => (narrow() ? name : `${name}  ·  ${show.number(totals[y])}`)), cells, {
      format: (v) => (v ? show.share(v) : ""),
      labels: room > 32,
      low: 0,
      cell: 36,
      tooltip: ([x, y, v]) => tip(names[y], [
        [text("figure.read_as", { name: names[x] }), `${show.number(counts[y][x])}  ·  ${show.share(v)}`],
      ]),
    });
    const { xAxis, yAxis } = chart.option;
    xAxis.axisLabel = { ...xAxis.axisLabel, interval: 0, hideOverlap: false,
      ...(flat ? { width: room - 6, overflow: "break", lineHeight: 15 } : { rotate: 40, width: 110, overflow: "truncate" }) };
    yAxis.axisLabel = { ...yAxis.axisLabel, interval: 0, width: narrow() ? 92 : 200, overflow: "truncate", hideOverlap: false };
    chart.height += flat ? 18 : 60;
    const columns = [["truth", "text"], ["read_as", "text"], ["n", "number"], ["share", "share"]];
    return { ...chart, table: { columns, rows: cells.map(([x, y, v]) => [names[y], names[x], counts[y][x], v]) } };
  },
});

// --- sentiment by aspect ---------------------------------------------------------------------

// One row per aspect, unhappy to the left and happy to the right of one middle line; the row that
// is chosen shows its examples beside. On paper the examples of all rows are shown.
const paintAspects = (box, aspects, settings) => {
  // Both sides share one scale; each gets as much room as its longest bar needs.
  const most = { negative: Math.max(...aspects.map((a) => 1 - a.positive)), positive: Math.max(...aspects.map((a) => a.positive)) };
  const bar = (side, share) =>
    node("span", { class: `half ${side}` },
      node("span", { class: "bar-fill", style: `width:calc((100% - var(--note)) * ${share / (most[side] || 1)})` }),
      node("span", { class: "bar-note" }, show.share(share)));
  const panels = aspects.map((a) => node("div", { class: "examples", id: `examples-${a.aspect}` },
    node("h5", {}, named("aspects", a.aspect)),
    ...["negative", "positive"].flatMap((side) => (a.examples?.[side] ?? []).map((example) => quote(side, example)))));
  const buttons = aspects.map((a) => {
    const made = node("button", { type: "button", class: "aspect", "aria-controls": `examples-${a.aspect}` },
      node("span", { class: "aspect-name" }, named("aspects", a.aspect), " ", node("small", {}, show.number(a.n))),
      bar("negative", 1 - a.positive), bar("positive", a.positive));
    made.addEventListener("click", () => choose(a.aspect));
    made.addEventListener("focus", () => choose(a.aspect));
    return made;
  });
  const choose = (aspect) => {
    settings.aspect = aspect;
    aspects.forEach((a, i) => {
      buttons[i].setAttribute("aria-pressed", String(a.aspect === aspect));
      panels[i].hidden = a.aspect !== aspect;
    });
  };
  const key = node("p", { class: "aspect-key" }, ...["negative", "positive"].map((side) => node("span", { class: side }, text(`columns.${side}`))));
  box.replaceChildren(node("div", { class: "aspects" },
    node("div", { class: "aspect-rows", style: `--left:${most.negative / (most.negative + most.positive)}` }, key, ...buttons),
    node("div", { class: "aspect-examples", "aria-live": "polite" }, ...panels)));
  choose(settings.aspect ?? aspects[0].aspect);
};

const quote = (side, { text: said, time, ...item }) =>
  node("figure", { class: `quote ${side}` },
    node("blockquote", {}, clip(said)),
    node("figcaption", {}, node("span", { class: "sign" }, text(`columns.${side}`)), ` · ${titleOf(item)} · ${show.day(time)}`));

// --- interests of customers ------------------------------------------------------------------

const paintProfiles = (box, users) => {
  const most = Math.max(...users.flatMap((user) => user.tags.map(([, share]) => share)), 0.01);
  box.replaceChildren(node("div", { class: "profiles" }, ...users.map((user) =>
    node("div", { class: "profile" }, node("h5", {}, node("code", {}, user.user_id)),
      ...user.tags.map(([tag, share, lift]) => node("div", { class: "profile-row" },
        node("span", { class: "profile-tag" }, tag),
        node("span", { class: "profile-lift" }, `${show.share(share)} · ×${show.number(lift, 1)}`),
        node("span", { class: "profile-bar" }, node("span", { style: `width:${(100 * share) / most}%` }))))))));
};

// --- the catalogue as pictures ---------------------------------------------------------------

const ZOOMS = [1, 1.5, 2, 3, 4];
const KINDS = 8; // colours that report.css names
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// The picture that holds all thumbnails, decoded once.
let spriteImage;
const spriteOf = (map) => {
  if (!map.sprite) return null;
  if (!spriteImage) {
    spriteImage = new Image();
    spriteImage.src = map.sprite.data;
  }
  return spriteImage;
};

// Thumbnails in a grid that scrolls when it is zoomed. A canvas as large as the view holds what lies
// in view; pointing at an item moves a mark and a card over it and draws nothing anew, so that ten
// thousand items are as quick as a hundred.
class PictureMap {
  constructor(box, map, settings) {
    this.map = map;
    this.state = settings.map ??= { zoom: 0, kind: null }; // outlives a change of language
    this.chosen = null;
    this.image = spriteOf(map);
    this.places = new Map(map.cells.map((cell) => [`${cell.x},${cell.y}`, cell]));
    this.kinds = this.countKinds();
    this.canvas = node("canvas", { "aria-hidden": "true" });
    this.mark = node("div", { class: "map-mark" });
    this.space = node("div", { class: "map-space" }, this.canvas, this.mark);
    this.view = node("div", { class: "map-view", tabindex: "0", role: "application", "aria-label": text("figure.map_keys") }, this.space);
    this.card = node("div", { class: "map-card", "aria-live": "polite" });
    this.card.hidden = this.mark.hidden = true;
    box.replaceChildren(node("div", { class: "map" }, this.controls(),
      node("div", { class: "map-frame" }, this.view, this.card), node("p", { class: "map-hint" }, text("figure.map_keys"))));
    this.listen();
    this.resize();
    if (this.image && !this.image.complete) this.image.addEventListener("load", () => this.draw());
  }

  kindOf(cell) {
    return cell.category ? cell.category.split(" > ")[0] : null;
  }

  // Colours by first level of the category, most items first; later ones share a grey.
  countKinds() {
    const n = new Map();
    for (const cell of this.map.cells) n.set(this.kindOf(cell), (n.get(this.kindOf(cell)) ?? 0) + 1);
    const sorted = [...n].filter(([kind]) => kind !== null).sort((a, b) => b[1] - a[1]);
    return new Map(sorted.map(([kind, count], i) => [kind, { count, color: i < KINDS ? `kind-${i}` : "muted" }]));
  }

  controls() {
    const legend = [...this.kinds].slice(0, KINDS).map(([kind, { count, color }]) => {
      const made = node("button", { type: "button", class: "map-kind", "aria-pressed": String(this.state.kind === kind) },
        node("span", { class: "swatch", style: `background:var(--${color})` }), kind, " ", node("small", {}, show.number(count)));
      made.addEventListener("click", () => {
        this.state.kind = this.state.kind === kind ? null : kind;
        for (const button of box.querySelectorAll(".map-kind")) button.setAttribute("aria-pressed", String(button === made && this.state.kind !== null));
        this.draw();
      });
      return made;
    });
    const zoom = [["out", "−", -1], ["in", "+", 1]].map(([name, sign, step]) => {
      const made = node("button", { type: "button", "aria-label": text(`figure.zoom_${name}`), title: text(`figure.zoom_${name}`) }, sign);
      made.addEventListener("click", () => this.zoom(step));
      return made;
    });
    this.zoomButtons = zoom;
    const box = node("div", { class: "map-controls" }, node("div", { class: "map-kinds" }, ...legend), node("div", { class: "map-zoom" }, ...zoom));
    return box;
  }

  get printing() {
    return root.classList.contains("printing");
  }

  // Pixels per cell: the whole catalogue in the width there is, yet never too small to touch.
  get cell() {
    const whole = this.view.clientWidth / this.map.columns;
    return this.printing ? whole : Math.max(whole, narrow() ? 30 : 12) * ZOOMS[this.state.zoom];
  }

  resize() {
    const { columns, rows } = this.map;
    const whole = this.cell / (this.printing ? 1 : ZOOMS[this.state.zoom]);
    const height = Math.min(rows * whole, this.printing ? Infinity : narrow() ? 0.6 * innerHeight : 760);
    this.view.style.height = `${height}px`;
    // Rounding must not bring scroll bars where everything is in view.
    this.view.classList.toggle("fits", this.cell * columns <= this.view.clientWidth + 1 && this.cell * rows <= height + 1);
    const size = { width: this.view.clientWidth, height };
    this.space.style.width = `${columns * this.cell}px`;
    this.space.style.height = `${rows * this.cell}px`;
    const density = devicePixelRatio || 1;
    this.canvas.width = Math.round(size.width * density);
    this.canvas.height = Math.round(size.height * density);
    this.canvas.style.width = `${size.width}px`;
    this.canvas.style.height = `${size.height}px`;
    this.zoomButtons[0].disabled = this.state.zoom === 0;
    this.zoomButtons[1].disabled = this.state.zoom === ZOOMS.length - 1;
    this.draw();
  }

  // One step in or out, about the middle of the view.
  zoom(step) {
    const next = Math.min(Math.max(this.state.zoom + step, 0), ZOOMS.length - 1);
    const { view } = this;
    const before = this.cell;
    const [x, y] = [view.scrollLeft + view.clientWidth / 2, view.scrollTop + view.clientHeight / 2];
    this.state.zoom = next;
    this.resize();
    view.scrollLeft = (x * this.cell) / before - view.clientWidth / 2;
    view.scrollTop = (y * this.cell) / before - view.clientHeight / 2;
    this.draw();
    this.place();
  }

  draw() {
    const { view, canvas, cell, image } = this;
    const paint = canvas.getContext("2d");
    const density = devicePixelRatio || 1;
    paint.setTransform(density, 0, 0, density, 0, 0);
    paint.clearRect(0, 0, canvas.width, canvas.height);
    paint.imageSmoothingQuality = "high";
    const ready = image?.complete && image.naturalWidth > 0;
    const frame = cell < 18 ? 1 : cell < 40 ? 2 : 3;
    const inks = new Map([...this.kinds].map(([kind, { color }]) => [kind, ink(color)]));
    const rest = ink("muted");
    for (const item of this.map.cells) {
      const [x, y] = [item.x * cell - view.scrollLeft, item.y * cell - view.scrollTop];
      if (x < -cell || y < -cell || x > view.clientWidth || y > view.clientHeight) continue;
      const side = cell - 2;
      paint.globalAlpha = this.state.kind && this.state.kind !== this.kindOf(item) ? 0.1 : 1;
      paint.fillStyle = inks.get(this.kindOf(item)) ?? rest;
      paint.fillRect(x + 1, y + 1, side, side);
      if (ready) {
        const { size, columns } = this.map.sprite;
        const [left, top] = [(item.sprite % columns) * size, Math.floor(item.sprite / columns) * size];
        paint.drawImage(image, left, top, size, size, x + 1 + frame, y + 1 + frame, side - 2 * frame, side - 2 * frame);
      }
    }
  }

  listen() {
    const under = (event) => {
      const { left, top } = this.canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - left + this.view.scrollLeft, event.clientY - top + this.view.scrollTop];
      return this.places.get(`${Math.floor(x / this.cell)},${Math.floor(y / this.cell)}`) ?? null;
    };
    this.view.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.choose(under(event)));
    this.view.addEventListener("click", (event) => this.choose(under(event)));
    this.view.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.choose(null));
    this.view.addEventListener("scroll", () => { this.draw(); this.place(); });
    this.view.addEventListener("focus", () => this.view.matches(":focus-visible") && this.choose(this.next(0, 0)));
    this.view.addEventListener("blur", () => this.choose(null));
    this.view.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const step = { "+": 1, "=": 1, "-": -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) this.zoom(step);
    else if (event.key === "Escape") this.choose(null);
    else if (ARROWS[event.key]) {
      this.choose(this.next(...ARROWS[event.key]));
      this.reveal();
    } else return;
    event.preventDefault();
  }

  // The nearest item that way; gaps are stepped over.
  next(dx, dy) {
    const at = this.chosen;
    if (!at) return this.map.cells.reduce((first, cell) => (cell.y < first.y || (cell.y === first.y && cell.x < first.x) ? cell : first));
    const away = (cell) => {
      const ahead = (cell.x - at.x) * dx + (cell.y - at.y) * dy;
      const aside = Math.abs((cell.x - at.x) * dy) + Math.abs((cell.y - at.y) * dx);
      return ahead > 0 ? ahead + 2 * aside : Infinity;
    };
    const nearest = this.map.cells.reduce((best, cell) => (away(cell) < away(best) ? cell : best), at);
    return away(nearest) < Infinity ? nearest : at;
  }

  reveal() {
    const { view, cell, chosen: at } = this;
    const into = (start, from, room) => Math.min(Math.max(start, from + cell - room), from);
    view.scrollLeft = into(view.scrollLeft, at.x * cell, view.clientWidth);
    view.scrollTop = into(view.scrollTop, at.y * cell, view.clientHeight);
    this.draw();
    this.place();
  }

  choose(item) {
    if (item === this.chosen) return;
    this.chosen = item;
    if (item) this.card.replaceChildren(...this.about(item));
    this.place();
  }

  about(item) {
    const picture = node("canvas", { width: "160", height: "160", "aria-hidden": "true" });
    if (this.image?.complete && this.image.naturalWidth > 0) {
      const { size, columns } = this.map.sprite;
      const paint = picture.getContext("2d");
      paint.imageSmoothingQuality = "high";
      paint.drawImage(this.image, (item.sprite % columns) * size, Math.floor(item.sprite / columns) * size, size, size, 0, 0, 160, 160);
    }
    const price = item.price === null || item.price === undefined ? "" : show.money(item.price);
    return [picture, node("div", {}, node("strong", {}, titleOf(item)), node("span", {}, price), node("span", {}, item.category ?? ""),
      node("code", {}, item.item_id))];
  }

  // The card stands where there is more room: beside its item, on a phone above or below it.
  place() {
    const { view, card, mark, cell, chosen } = this;
    card.hidden = mark.hidden = !chosen;
    if (!chosen) return;
    Object.assign(mark.style, { left: `${chosen.x * cell}px`, top: `${chosen.y * cell}px`, width: `${cell}px`, height: `${cell}px` });
    const [x, y] = [chosen.x * cell - view.scrollLeft, chosen.y * cell - view.scrollTop];
    const across = { start: x, room: view.clientWidth, size: card.offsetWidth };
    const down = { start: y, room: view.clientHeight, size: card.offsetHeight };
    const clear = ({ start, room, size }) => (start + cell / 2 < room / 2 ? start + cell + 8 : start - 8 - size);
    const centred = ({ start, size }) => start + (cell - size) / 2;
    const inside = (at, { room, size }) => `${Math.min(Math.max(at, 4), Math.max(room - size - 4, 4))}px`;
    card.style.left = inside(narrow() ? centred(across) : clear(across), across);
    card.style.top = inside(narrow() ? clear(down) : centred(down), down);
  }
}
