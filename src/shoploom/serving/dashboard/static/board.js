// Draws charts from the rows beside them, and keeps live parts of the page up to date.
// A chart element holds data-chart; the JSON script after it says what is drawn. Text of the shop
// reaches the page only as text.
"use strict";

const root = document.documentElement;
const language = root.lang;
const currency = document.body.dataset.currency;
const ink = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const narrow = () => innerWidth < 640;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// --- figures in words -----------------------------------------------------------------------

const numbers = (options) => new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en-US", options);
const compact = numbers({ notation: "compact", maximumFractionDigits: 1 });
const plain = numbers({ maximumFractionDigits: 1 });
const precise = numbers({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
const brief = numbers({ maximumFractionDigits: 3 });
const share = numbers({ style: "percent", maximumFractionDigits: 1 });
const money = (() => {
  try {
    return numbers({ style: "currency", currency, maximumFractionDigits: 2 });
  } catch {
    return plain;
  }
})();
const moneyShort = (() => {
  try {
    return numbers({ style: "currency", currency, notation: "compact", maximumFractionDigits: 1 });
  } catch {
    return compact;
  }
})();
const dates = (options) =>
  new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { timeZone: "UTC", ...options });
const clock = dates({ hour: "2-digit", minute: "2-digit" });
const moment = dates({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = dates({ day: "numeric", month: "short", year: "numeric" });
const dayShort = dates({ day: "numeric", month: "short" });

const say = (kind, value, short = false) => {
  if (value === null || value === undefined) return "–";
  switch (kind) {
    case "money": return (short ? moneyShort : money).format(value);
    case "signed": return (value > 0 ? "+" : "") + (short ? moneyShort : money).format(value);
    case "share": return share.format(value);
    case "decimal": return (short ? brief : precise).format(value);
    case "number": return short ? compact.format(value) : plain.format(value);
    case "time": return (short ? clock : moment).format(new Date(value / 1000));
    case "day": return (short ? dayShort : day).format(new Date(`${value}T00:00:00Z`));
    default: return String(value);
  }
};

// --- what all charts share ------------------------------------------------------------------

const font = () => getComputedStyle(document.body).fontFamily;
const palette = () => [0, 1, 2, 3, 4, 5, 6, 7].map((n) => ink(`kind-${n}`));

// A tooltip built of nodes: text is never taken for markup.
const tip = (title, lines) => {
  const box = document.createElement("div");
  box.className = "tip";
  const head = box.appendChild(document.createElement("b"));
  head.textContent = title;
  for (const [name, value] of lines) {
    const line = box.appendChild(document.createElement("div"));
    line.textContent = name ? `${name}  ${value}` : value;
  }
  return box;
};

const frame = () => ({
  animation: !still,
  animationDuration: 250,
  textStyle: { fontFamily: font(), fontSize: 12, color: ink("ink") },
  color: palette(),
  tooltip: {
    backgroundColor: ink("raised"),
    borderColor: ink("rule"),
    textStyle: { color: ink("ink"), fontSize: 12 },
    confine: true,
    extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / .12); border-radius: 8px;",
  },
});

const valueAxis = (kind, extra = {}) => ({
  type: "value",
  axisLabel: { color: ink("muted"), formatter: (value) => say(kind, value, true), hideOverlap: true },
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: ink("rule") } },
  splitNumber: 4,
  ...extra,
});

const nameAxis = (names, extra = {}) => ({
  type: "category",
  data: names,
  axisLine: { show: false },
  axisTick: { show: false },
  axisLabel: { color: ink("ink"), overflow: "truncate", width: narrow() ? 104 : 220, margin: 12 },
  ...extra,
});

const momentAxis = (values, kind) => ({
  type: "category",
  data: values,
  axisTick: { show: false },
  axisLine: { lineStyle: { color: ink("rule") } },
  axisLabel: { color: ink("muted"), hideOverlap: true, formatter: (value) => say(kind, kind === "time" ? +value : value, true) },
});

const legend = (show, names) =>
  show ? { top: 0, left: 0, data: names, itemWidth: 12, itemHeight: 8, icon: "roundRect", textStyle: { color: ink("muted") } } : undefined;

const drawn = (columns, options) => columns.map((column, at) => ({ at, key: column[0], label: column[1], kind: column[2] }))
  .slice(1)
  .filter((column) => !(options.hide ?? []).includes(column.key));

// --- kinds of chart: rows to what ECharts takes ---------------------------------------------

const overTime = (type) => ({ columns, rows, options }) => {
  const series = drawn(columns, options);
  const names = series.map((one) => one.label);
  return {
    height: options.height ?? 240,
    option: {
      grid: { left: 0, right: 12, top: series.length > 1 ? 34 : 12, bottom: 4 },
      legend: legend(series.length > 1, names),
      xAxis: { ...momentAxis(rows.map((row) => row[0]), columns[0][2]), boundaryGap: type === "bar" },
      yAxis: valueAxis(series[0].kind),
      tooltip: {
        trigger: "axis",
        axisPointer: { type: type === "bar" ? "shadow" : "line", lineStyle: { color: ink("muted"), type: "solid" } },
        formatter: (points) =>
          tip(say(columns[0][2], rows[points[0].dataIndex][0]),
            series.map((one) => [one.label, say(one.kind, rows[points[0].dataIndex][one.at])])),
      },
      series: series.map((one, n) => ({
        name: one.label,
        type,
        stack: options.stack ? "all" : undefined,
        data: rows.map((row) => row[one.at]),
        symbol: "none",
        barMaxWidth: 18,
        lineStyle: { width: 2, color: series.length > 1 ? undefined : ink("accent") },
        areaStyle: type === "line" && series.length === 1 ? { color: ink("accent"), opacity: 0.08 } : undefined,
        itemStyle: { color: series.length > 1 ? palette()[n] : ink("accent"), borderRadius: type === "bar" ? [2, 2, 0, 0] : 0 },
      })),
    },
  };
};

const bars = ({ columns, rows, options }) => {
  const kind = columns[1][2];
  const values = rows.map((row) => row[1]);
  const signed = values.some((value) => value < 0);
  const notes = rows.map((row) => (options.note ? say(columns[options.note][2], row[options.note]) : say(kind, row[1])));
  const widest = Math.max(0, ...notes.map((note) => note.length));
  return {
    height: rows.length * 30 + 12,
    option: {
      grid: { left: 0, right: signed ? 12 : 14 + 6.8 * widest, top: 0, bottom: 0 },
      xAxis: { type: "value", show: false, min: signed ? undefined : 0, max: options.max },
      yAxis: nameAxis(rows.map((row) => row[0]), { inverse: true }),
      tooltip: {
        trigger: "item",
        formatter: (p) => tip(rows[p.dataIndex][0], columns.slice(1).map((column, n) => [column[1], say(column[2], rows[p.dataIndex][n + 1])])),
      },
      series: [{
        type: "bar",
        barWidth: 13,
        data: values.map((value) => ({
          value,
          itemStyle: { color: signed ? ink(value > 0 ? "kind-1" : "kind-0") : ink("accent"), borderRadius: 2 },
          label: { position: value < 0 ? "left" : "right" },
        })),
        label: { show: !signed, color: ink("muted"), formatter: (p) => notes[p.dataIndex] },
      }],
    },
  };
};

const whiskers = ({ columns, rows, options }) => {
  const kind = columns[1][2];
  const known = rows.map((row, n) => [n, row]).filter(([, row]) => row[1] !== null);
  const strong = new Set(options.strong ?? []);
  const line = (params, api) => {
    const [left, y] = api.coord([api.value(1), api.value(0)]);
    const [right] = api.coord([api.value(2), api.value(0)]);
    const style = { stroke: strong.has(api.value(0)) ? ink("accent") : ink("muted"), lineWidth: strong.has(api.value(0)) ? 2 : 1.25 };
    const part = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style });
    return { type: "group", children: [part(left, y, right, y), part(left, y - 4, left, y + 4), part(right, y - 4, right, y + 4)] };
  };
  return {
    height: rows.length * 32 + 34,
    option: {
      grid: { left: 0, right: 20, top: 0, bottom: 4 },
      xAxis: valueAxis(kind, { scale: true, boundaryGap: ["4%", "4%"], splitLine: { show: false } }),
      yAxis: nameAxis(rows.map((row) => row[0]), {
        inverse: true,
        splitLine: { show: true, lineStyle: { color: ink("rule") } },
        axisLabel: { color: (_, n) => (strong.has(n) ? ink("ink") : ink("muted")), overflow: "truncate", width: narrow() ? 110 : 220, margin: 12 },
      }),
      tooltip: {
        trigger: "item",
        formatter: (p) => {
          const row = rows[Array.isArray(p.value) ? p.value.at(-1) : p.dataIndex];
          return tip(row[0], [["", `${say(kind, row[1])}  (${say(kind, row[2])} – ${say(kind, row[3])})`]]);
        },
      },
      series: [
        { type: "custom", renderItem: line, encode: { x: [1, 2], y: 0 }, data: known.map(([n, row]) => [n, row[2] ?? row[1], row[3] ?? row[1], n]) },
        {
          type: "scatter",
          symbolSize: 11,
          z: 4,
          data: known.map(([n, row]) => ({
            value: [row[1], n, n],
            itemStyle: strong.has(n) ? { color: ink("accent") } : { color: ink("paper"), borderColor: ink("muted"), borderWidth: 1.75 },
          })),
        },
      ],
    },
  };
};

const heat = ({ columns, rows }) => {
  const down = [...new Set(rows.map((row) => row[0]))];
  const across = [...new Set(rows.map((row) => row[1]))];
  const values = rows.map((row) => row[2]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const kind = columns[2][2];
  return {
    height: down.length * 34 + 64,
    option: {
      grid: { left: 0, right: 4, top: 4, bottom: 4 },
      xAxis: { ...nameAxis(across), axisLabel: { color: ink("muted"), interval: 0, rotate: narrow() ? 40 : 0, width: narrow() ? 80 : 110, overflow: "break" } },
      yAxis: nameAxis(down, { inverse: true }),
      visualMap: { show: false, min: low, max: high === low ? low + 1 : high, inRange: { color: [ink("heat-0"), ink("heat-1"), ink("heat-2")] } },
      tooltip: { trigger: "item", formatter: (p) => tip(`${down[p.value[1]]} · ${across[p.value[0]]}`, [[columns[2][1], say(kind, p.value[2])]]) },
      series: [{
        type: "heatmap",
        data: rows.map((row) => ({
          value: [across.indexOf(row[1]), down.indexOf(row[0]), row[2]],
          label: { color: (row[2] - low) / (high - low || 1) > 0.55 ? ink("on-heat") : ink("ink") },
        })),
        label: { show: true, fontSize: 11, formatter: (p) => say(kind, p.value[2], true) },
        itemStyle: { borderColor: ink("paper"), borderWidth: 2, borderRadius: 3 },
      }],
    },
  };
};

// A curve over numbers, perhaps with a band and marks: columns are x, y, low, high.
const curve = ({ columns, rows, options }) => {
  const [x, y] = [columns[0], columns[1]];
  const banded = columns.length > 3;
  const marks = (options.marks ?? []).map((mark) => ({
    xAxis: mark.x,
    lineStyle: { color: ink(mark.color ?? "muted"), type: mark.dashed ? [3, 4] : "solid", width: 1.5 },
    label: { formatter: mark.label, color: ink(mark.color ?? "muted"), position: mark.low ? "insideStartTop" : "insideEndTop", rotate: 0, distance: 4 },
  }));
  return {
    height: options.height ?? 260,
    option: {
      grid: { left: 0, right: 16, top: 22, bottom: 4 },
      xAxis: valueAxis(x[2], { scale: true, splitLine: { show: false }, min: "dataMin", max: "dataMax" }),
      yAxis: valueAxis(y[2], { scale: options.scale ?? false }),
      tooltip: {
        trigger: "axis",
        formatter: (points) => {
          const row = rows[points[0].dataIndex];
          return tip(`${x[1]} ${say(x[2], row[0])}`, columns.slice(1).map((column, n) => [column[1], say(column[2], row[n + 1])]));
        },
      },
      series: [
        ...(banded
          ? [
              { type: "line", data: rows.map((row) => [row[0], row[2]]), stack: "band", stackStrategy: "all", symbol: "none", lineStyle: { opacity: 0 }, silent: true },
              { type: "line", data: rows.map((row) => [row[0], row[3] - row[2]]), stack: "band", stackStrategy: "all", symbol: "none", lineStyle: { opacity: 0 }, areaStyle: { color: ink("accent"), opacity: 0.12 }, silent: true },
            ]
          : []),
        {
          type: "line",
          data: rows.map((row) => [row[0], row[1]]),
          symbol: "none",
          lineStyle: { color: ink("accent"), width: 2 },
          itemStyle: { color: ink("accent") },
          markLine: marks.length ? { symbol: "none", silent: true, animation: false, data: marks } : undefined,
          markArea: options.allowed
            ? { silent: true, itemStyle: { color: ink("kind-2"), opacity: 0.07 }, data: [[{ xAxis: options.allowed[0] }, { xAxis: options.allowed[1] }]] }
            : undefined,
        },
      ],
    },
  };
};

// Pairs as lines between names: columns are left, right, weight.
const graph = ({ columns, rows }) => {
  const drawnRows = rows.slice(0, narrow() ? 14 : 30);
  const names = [...new Set(drawnRows.flatMap((row) => [row[0], row[1]]))];
  const weight = new Map(names.map((name) => [name, drawnRows.filter((row) => row[0] === name || row[1] === name).length]));
  const most = Math.max(...drawnRows.map((row) => row[2]));
  return {
    height: narrow() ? 340 : 440,
    option: {
      tooltip: {
        trigger: "item",
        formatter: (p) => (p.dataType === "edge" ? tip(`${p.data.source} + ${p.data.target}`, [[columns[2][1], say(columns[2][2], p.data.weight)]]) : tip(p.name, [])),
      },
      series: [{
        type: "graph",
        layout: "force",
        roam: false,
        draggable: true,
        // The fewer there are, the more room each takes.
        force: { repulsion: Math.max(narrow() ? 90 : 170, 5200 / names.length), edgeLength: Math.max(narrow() ? 46 : 74, 1300 / names.length), gravity: names.length > 12 ? 0.18 : 0.1, layoutAnimation: !still },
        data: names.map((name) => ({ name, symbolSize: 9 + 4 * weight.get(name), itemStyle: { color: ink("accent") } })),
        links: drawnRows.map((row) => ({ source: row[0], target: row[1], weight: row[2], lineStyle: { width: 0.75 + (3.5 * row[2]) / most, color: ink("soft"), opacity: 0.9 } })),
        label: { show: true, position: "right", color: ink("ink"), fontSize: 11, width: narrow() ? 90 : 150, overflow: "truncate" },
        labelLayout: { hideOverlap: true },
        emphasis: { focus: "adjacency" },
      }],
    },
  };
};

const kinds = { lines: overTime("line"), columns: overTime("bar"), bars, whiskers, heat, curve, graph };

// --- drawing --------------------------------------------------------------------------------

const fills = new Set(["lines", "columns", "curve", "graph"]);

const draw = (element) => {
  const source = element.parentElement.querySelector("script[type='application/json']");
  const { kind, columns, rows, options } = JSON.parse(source.textContent);
  const { height, option } = kinds[kind]({ columns, rows, options });
  // Where there is more room than needed, charts over an axis take it; rows of bars do not.
  element.style.minHeight = `${height}px`;
  element.style.flex = fills.has(kind) ? "1 1 auto" : `0 0 ${height}px`;
  const chart = echarts.getInstanceByDom(element) ?? echarts.init(element, null, { renderer: "canvas" });
  const all = frame();
  chart.setOption({ ...all, ...option, tooltip: { ...all.tooltip, ...option.tooltip } }, { notMerge: true, lazyUpdate: false });
  chart.resize();
};

const drawAll = (within = document) => {
  const all = [...within.querySelectorAll("[data-chart]")];
  for (const element of all) draw(element);
  // Only now is it known how much room each has in its row.
  requestAnimationFrame(() => {
    for (const element of all) echarts.getInstanceByDom(element)?.resize();
  });
};

let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(drawAll, 120);
});
document.body.addEventListener("htmx:after:swap", (event) => {
  if (event.detail?.ctx?.response?.status < 400) delete document.body.dataset.late;
  const target = event.detail?.ctx?.target ?? event.target;
  drawAll(target instanceof Element ? target : document);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());

// --- switches -------------------------------------------------------------------------------

document.querySelector("[data-switch='theme']")?.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("shoploom-theme", root.dataset.theme);
  } catch {
    // Kept for this page alone.
  }
  drawAll();
});

// Live parts ask again once a second, but only while somebody can see them.
const beat = document.querySelector("[data-beat]");
if (beat) {
  setInterval(() => {
    if (document.visibilityState === "visible" && !beat.classList.contains("htmx-request")) htmx.trigger(beat, "beat");
  }, Number(beat.dataset.beat));
}

// An answer that failed is not shown (the configuration of htmx says so): what is there stays, and
// the page says that it may be old. Whoever is no longer logged in is sent there.
for (const name of ["htmx:response:error", "htmx:error"]) {
  document.body.addEventListener(name, (event) => {
    if (event.detail?.ctx?.response?.status === 401) location.reload();
    else document.body.dataset.late = "yes";
  });
}

drawAll();
document.body.dataset.ready = "yes";
