// What each figure shows. A figure is a function from its settings to
//   { table: { columns: [[key, kind], ...], rows }, option?, height?, choices?, limit? }
// `table` holds every number of the figure; without an `option` (for ECharts) it is shown itself.
// Text of the shop reaches the page only as text: table cells and tooltips are built as nodes.
"use strict";

const engineName = (name) => text(`engines.${name}`) ?? name;
const metricName = (name) => text(`metrics.${name}`) ?? name;
const taskOf = (settings) => data.evaluation.tasks[settings.task];

// The best simple method beside the chosen one; undefined where there is none.
const rivalOf = (settings) => data.rivals[settings.task] ?? undefined;

const sharesFound = (calibration) => {
  const order = calibration.predicted.map((p, i) => [p, i]).sort((a, b) => b[0] - a[0]).map(([, i]) => i);
  const total = calibration.n.reduce((a, b) => a + b, 0);
  const cases = calibration.n.map((n, i) => n * calibration.observed[i]);
  const all = cases.reduce((a, b) => a + b, 0) || 1;
  let [rows, found] = [0, 0];
  return [[0, 0], ...order.map((i) => [(rows += calibration.n[i]) / total, (found += cases[i]) / all])];
};

const range = ([low, high]) => (low === high ? show.number(low) : `${show.number(low)}–${show.number(high)}`);

const sumOver = (key) => {
  const sums = new Map();
  for (const table of Object.values(data.quality.tables))
    for (const [name, n] of Object.entries(table[key])) sums.set(name, (sums.get(name) ?? 0) + n);
  return [...sums].sort((a, b) => b[1] - a[1]);
};

// Titles as a reader tells them apart: an id where there is no title, beside it where two agree.
const distinct = (titles, ids) =>
  titles.map((title, i) => (!title ? ids[i] : titles.indexOf(title) === titles.lastIndexOf(title) ? title : `${title} (${ids[i]})`));

const lastPart = (path) => path.split(" > ").at(-1);

const figures = {
  rows() {
    const rows = Object.entries(data.quality.tables).map(([name, t]) => [
      name, t.rows_read, t.rows_kept, t.rows_quarantined, t.rows_repaired, t.rows_read ? t.rows_kept / t.rows_read : null,
    ]);
    const columns = [
      ["table", "code"], ["rows_read", "number"], ["rows_kept", "number"],
      ["rows_quarantined", "number"], ["rows_repaired", "number"], ["share_kept", "share"],
    ];
    return { table: { columns, rows } };
  },

  coverage() {
    const c = data.quality.coverage;
    const option = timeline(c.day, c.events, { format: show.compact, name: text("columns.events") });
    if (c.quarantined.some(Boolean)) {
      option.series.push({
        type: "line",
        data: c.quarantined,
        symbol: "none",
        lineStyle: { color: ink("warn"), width: 1.25 },
        itemStyle: { color: ink("warn") },
      });
      option.tooltip.formatter = ([a, b]) =>
        tip(show.day(a.name), [
          [text("columns.events"), show.number(a.value)],
          [text("columns.quarantined"), show.number(b?.value ?? 0)],
        ]);
    }
    const columns = [
      ["day", "day"], ["events", "number"], ["users", "number"],
      ["purchases", "number"], ["revenue", "money"], ["quarantined", "number"],
    ];
    const rows = c.day.map((day, i) => [day, c.events[i], c.users[i], c.purchases[i], c.revenue[i], c.quarantined[i]]);
    return { option, height: 220, table: { columns, rows } };
  },

  reasons({ width }) {
    const rows = sumOver("reasons");
    const labels = rows.map(([name]) => text(`reasons.${name}`) ?? name);
    const chart = bars(labels, rows.map(([, n]) => n), { width, format: show.number, color: ink("warn") });
    return { ...chart, table: { columns: [["reason", "text"], ["rows", "number"]], rows } };
  },

  repairs({ width }) {
    const rows = sumOver("repairs");
    const labels = rows.map(([name]) => text(`reasons.${name}`) ?? name);
    const chart = bars(labels, rows.map(([, n]) => n), { width, format: show.number });
    return { ...chart, table: { columns: [["repair", "text"], ["rows", "number"]], rows } };
  },

  missing({ width }) {
    const all = Object.entries(data.quality.tables).flatMap(([table, t]) =>
      Object.entries(t.columns).map(([column, present]) => [table, column, 1 - present]));
    const some = all.filter(([, , missing]) => missing > 0 && missing < 1).sort((a, b) => b[2] - a[2]);
    const shown = some.slice(0, 10);
    const chart = bars(shown.map(([table, column]) => `${table}.${column}`), shown.map((r) => r[2]), {
      width,
      format: (v) => show.share(v, v < 0.1 ? 2 : 1),
      color: ink("muted"),
    });
    const columns = [["table", "code"], ["column", "code"], ["missing", "share2"]];
    return { ...(shown.length ? chart : {}), table: { columns, rows: some } };
  },

  revenue(settings) {
    const r = data.insights.revenue;
    const key = settings.choice ?? "revenue";
    const format = key === "revenue" ? show.moneyAxis : show.compact;
    const option = timeline(r.start, r[key], {
      format, name: text(`columns.${key}`), hollow: r.complete.map((whole) => !whole),
    });
    const columns = [["start", "day"], ["revenue", "money"], ["orders", "number"], ["buyers", "number"], ["complete", "flag"]];
    const rows = r.start.map((start, i) => [start, r.revenue[i], r.orders[i], r.buyers[i], r.complete[i]]);
    const choices = ["revenue", "orders", "buyers"].map((name) => [name, text(`columns.${name}`)]);
    return { option, height: 280, table: { columns, rows }, choices, choice: key };
  },

  funnel({ width }) {
    const steps = data.insights.funnel;
    const first = steps[0].sessions;
    const rows = steps.map((s) => [text(`actions.${s.action}`), s.sessions, s.sessions / first, s.users]);
    const chart = bars(rows.map((r) => r[0]), rows.map((r) => r[1]), {
      width,
      notes: rows.map((r) => `${show.number(r[1])}  ·  ${show.share(r[2], 1)}`),
      gap: 36,
    });
    const columns = [["step", "text"], ["sessions", "number"], ["share", "share"], ["users", "number"]];
    return { ...chart, table: { columns, rows } };
  },

  repeat({ width }) {
    const { orders, users } = data.insights.repeat;
    const rows = orders.map((n, i) => [n, users[i], users[i] / users[0]]);
    const labels = orders.map((n) => (n === 1 ? text("orders_made.one") : text("orders_made.more", { n })));
    const chart = bars(labels, users, {
      width,
      notes: rows.map((r) => `${show.number(r[1])}  ·  ${show.share(r[2])}`),
    });
    return { ...chart, table: { columns: [["at_least", "number"], ["buyers", "number"], ["share", "share"]], rows } };
  },

  concentration() {
    const tenths = data.insights.concentration;
    const rows = tenths.map((value, i) => [i + 1, value]);
    const option = {
      grid: { left: 0, right: 0, top: 22, bottom: 6 },
      xAxis: { ...cellAxis(rows.map((r) => r[0])), axisLabel: { color: ink("muted") } },
      yAxis: { type: "value", show: false },
      tooltip: { trigger: "item", formatter: (p) => tip(`${text("columns.tenth")} ${p.name}`, [["", show.share(p.value, 1)]]) },
      series: [
        {
          type: "bar",
          barCategoryGap: "28%",
          data: tenths.map((value, i) => ({ value, itemStyle: { color: i ? ink("soft") : ink("accent") } })),
          itemStyle: { borderRadius: [2, 2, 0, 0] },
          label: { show: true, position: "top", color: ink("muted"), formatter: (p) => show.share(p.value) },
        },
      ],
    };
    return { option, height: 218, table: { columns: [["tenth", "number"], ["share", "share"]], rows } };
  },

  cohorts() {
    const { cohort, users, retention } = data.insights.cohorts;
    const shown = cohort.map((_, i) => i).filter((i) => retention[i].length > 1);
    const width = Math.max(...retention.map((r) => r.length)) - 1;
    const months = Array.from({ length: width }, (_, i) => i + 1);
    const cells = shown.flatMap((i, y) => retention[i].slice(1).map((value, x) => [x, y, value]));
    const chart = heat(
      months.map((n) => (narrow() ? n : text("columns.later", { n }))),
      shown.map((i) => (narrow() ? show.monthShort(cohort[i]) : `${show.month(cohort[i])}  ·  ${show.number(users[i])}`)),
      cells,
      {
        format: (v) => show.share(v),
        labels: !narrow(),
        tooltip: ([x, y, v]) =>
          tip(show.month(cohort[shown[y]]), [
            [text("columns.users"), show.number(users[shown[y]])],
            [text("columns.later", { n: x + 1 }), show.share(v, 1)],
          ]),
      },
    );
    const columns = [["cohort", "month"], ["users", "number"], ...months.map((n) => [`later:${n}`, "share"])];
    const rows = cohort.map((c, i) => [c, users[i], ...months.map((n) => retention[i][n] ?? null)]);
    return { ...chart, table: { columns, rows } };
  },

  rhythm() {
    const grid = data.insights.rhythm;
    const cells = grid.flatMap((row, y) => row.map((value, x) => [x, y, value]));
    const chart = heat(grid[0].map((_, hour) => hour), show.weekdays, cells, {
      format: show.number,
      labels: false,
      low: 0,
      cell: 28,
      tooltip: ([x, y, v]) => tip(`${show.weekdays[y]} ${x}:00–${x + 1}:00`, [[text("columns.orders"), show.number(v)]]),
    });
    const columns = [["weekday", "text"], ["hour", "number"], ["orders", "number"]];
    return { ...chart, table: { columns, rows: cells.map(([x, y, v]) => [show.weekdays[y], x, v]) } };
  },

  engines(settings) {
    const task = taskOf(settings);
    const metric = settings.choice ?? task.metric;
    const lower = data.lower.includes(metric);
    const rows = Object.entries(task.results)
      .filter(([, result]) => result[metric])
      .map(([name, result]) => ({ name, label: engineName(name), value: result[metric], strong: name === task.chosen }))
      .sort((a, b) => (a.value[0] === null) - (b.value[0] === null) || (lower ? a.value[0] - b.value[0] : b.value[0] - a.value[0]));
    const difference = (name) => task.versus[name]?.[metric] ?? [null, null, null];
    const chart = whiskers(rows, {
      format: show.figure,
      tooltip: (row) => tip(row.label, [[metricName(metric), show.interval(row.value)],
        ...(row.strong ? [] : [[text("columns.versus"), show.interval(difference(row.name), true)]])]),
    });
    const columns = [["method", "text"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"], ["versus", "signed"]];
    return {
      ...chart,
      table: { columns, rows: rows.map((r) => [r.label, ...r.value, difference(r.name)[0]]) },
      choices: Object.keys(task.results[task.chosen]).map((name) => [name, metricName(name)]),
      choice: metric,
    };
  },

  calibration(settings) {
    const task = taskOf(settings);
    const rival = rivalOf(settings);
    const lines = [task.chosen, rival].filter((name) => task.calibration[name]);
    const points = (name) => task.calibration[name].predicted.map((p, i) => [p, task.calibration[name].observed[i]]);
    const top = Math.max(...lines.flatMap(points).flat());
    const max = Math.min(1, Math.ceil(top * 10) / 10);
    const option = {
      legend: legend(lines.map(engineName)),
      grid: { left: 4, right: 14, top: 34, bottom: 26 },
      xAxis: squareAxis((v) => show.share(v), text("columns.predicted"), max),
      yAxis: { ...squareAxis((v) => show.share(v), undefined, max) },
      tooltip: {
        trigger: "item",
        formatter: (p) => tip(p.seriesName, [
          [text("columns.predicted"), show.share(p.value[0], 1)],
          [text("columns.observed"), show.share(p.value[1], 1)],
        ]),
      },
      series: [
        { type: "line", data: [[0, 0], [max, max]], symbol: "none", silent: true, lineStyle: { color: ink("muted"), width: 1, type: [3, 4] } },
        ...lines.map((name, i) => ({
          name: engineName(name),
          type: "line",
          data: points(name),
          symbol: "circle",
          symbolSize: 7,
          lineStyle: { color: ink(i ? "muted" : "accent"), width: i ? 1.25 : 2 },
          itemStyle: i ? hollowDot("muted") : { color: ink("accent") },
          z: i ? 2 : 3,
        })),
      ],
    };
    const columns = [["method", "text"], ["predicted", "share"], ["observed", "share"], ["n", "number"]];
    const rows = lines.flatMap((name) => points(name).map(([p, o], i) => [engineName(name), p, o, task.calibration[name].n[i]]));
    return { option, height: 300, table: { columns, rows } };
  },

  gains(settings) {
    const task = taskOf(settings);
    const lines = [task.chosen, rivalOf(settings)].filter((name) => task.calibration[name]);
    const option = {
      legend: legend(lines.map(engineName)),
      grid: { left: 4, right: 14, top: 34, bottom: 26 },
      xAxis: squareAxis((v) => show.share(v), text("columns.top_share"), 1),
      yAxis: squareAxis((v) => show.share(v), undefined, 1),
      tooltip: {
        trigger: "item",
        formatter: (p) => tip(p.seriesName, [
          [text("columns.top_share"), show.share(p.value[0])],
          [text("columns.found"), show.share(p.value[1], 1)],
        ]),
      },
      series: [
        { type: "line", data: [[0, 0], [1, 1]], symbol: "none", silent: true, lineStyle: { color: ink("muted"), width: 1, type: [3, 4] } },
        ...lines.map((name, i) => ({
          name: engineName(name),
          type: "line",
          data: sharesFound(task.calibration[name]),
          symbol: "circle",
          symbolSize: 6,
          lineStyle: { color: ink(i ? "muted" : "accent"), width: i ? 1.25 : 2 },
          itemStyle: i ? hollowDot("muted") : { color: ink("accent") },
          areaStyle: i ? undefined : { color: ink("accent"), opacity: 0.06 },
          z: i ? 2 : 3,
        })),
      ],
    };
    const columns = [["method", "text"], ["top_share", "share"], ["found", "share"]];
    const rows = lines.flatMap((name) => sharesFound(task.calibration[name]).map((point) => [engineName(name), ...point]));
    return { option, height: 300, table: { columns, rows } };
  },

  deciles(settings) {
    const task = taskOf(settings);
    const d = task.deciles[task.chosen];
    const order = d.predicted.map((_, i) => i).sort((a, b) => d.predicted[b] - d.predicted[a]);
    const format = task.unit === "currency" ? show.money : (v) => show.number(v, 1);
    const rows = order.map((i, place) => [place + 1, d.predicted[i], d.actual[i], d.n[i]]);
    const names = [text("columns.predicted"), text("columns.actual")];
    const option = {
      legend: legend(names),
      grid: { left: 0, right: 0, top: 34, bottom: 6 },
      xAxis: cellAxis(rows.map((r) => r[0])),
      yAxis: valueAxis(task.unit === "currency" ? show.moneyAxis : show.compact),
      tooltip: {
        trigger: "axis",
        axisPointer: { type: "none" },
        formatter: (ps) => tip(`${text("columns.tenth")} ${ps[0].name}`, ps.map((p) => [p.seriesName, format(p.value)])),
      },
      series: names.map((name, i) => ({
        name,
        type: "bar",
        data: rows.map((r) => r[i + 1]),
        barGap: "10%",
        barCategoryGap: "34%",
        itemStyle: { color: ink(i ? "accent" : "soft"), borderRadius: [2, 2, 0, 0] },
      })),
    };
    const kind = task.unit === "currency" ? "money" : "figure";
    const columns = [["tenth", "number"], ["predicted", kind], ["actual", kind], ["n", "number"]];
    return { option, height: 300, table: { columns, rows } };
  },

  slices(settings) {
    const task = taskOf(settings);
    const rival = rivalOf(settings);
    const nothing = [null, null, null];
    const rows = Object.entries(task.slices).flatMap(([slice, values]) =>
      Object.entries(values).map(([value, { n, results }]) => ({
        label: `${text(`slices.${slice}`) ?? slice}: ${text(`slice_values.${slice}.${value}`) ?? value}  (${show.number(n)})`,
        n,
        value: results[task.chosen]?.[task.metric] ?? nothing,
        other: rival ? results[rival]?.[task.metric] ?? nothing : nothing,
        strong: true,
      })));
    const chart = whiskers(rows, {
      format: show.figure,
      other: true,
      tooltip: (row) => tip(row.label, [
        [text("columns.n"), show.number(row.n)],
        [engineName(task.chosen), show.interval(row.value)],
        ...(rival ? [[engineName(rival), show.interval(row.other)]] : []),
      ]),
    });
    const columns = [["slice", "text"], ["n", "number"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"],
      ...(rival ? [["name:" + engineName(rival), "figure"]] : [])];
    return {
      ...chart,
      table: { columns, rows: rows.map((r) => [r.label, r.n, ...r.value, ...(rival ? [r.other[0]] : [])]) },
    };
  },

  split() {
    const s = data.evaluation.split;
    const until = (at) => new Date(Date.parse(at) + s.window_days * 864e5).toISOString().slice(0, 10);
    const rows = [...s.train.map((at) => ["train", at]), ["valid", s.valid], ["test", s.test]]
      .sort((a, b) => (a[1] < b[1] ? -1 : 1))
      .map(([part, at]) => [part, at, until(at)]);
    const window = (params, api) => {
      const [x0, y] = api.coord([api.value(1), api.value(0)]);
      const [x1] = api.coord([api.value(2), api.value(0)]);
      const part = rows[api.value(0)][0];
      return {
        type: "rect",
        shape: { x: x0, y: y - 4, width: Math.max(x1 - x0 - 1, 2), height: 8, r: 1.5 },
        style: { fill: ink({ train: "soft", valid: "muted", test: "accent" }[part]) },
      };
    };
    const option = {
      grid: { left: 0, right: 18, top: 0, bottom: 6 },
      xAxis: {
        type: "time",
        axisLabel: { color: ink("muted"), formatter: (v) => show.monthShort(new Date(v).toISOString()), hideOverlap: true },
        axisLine: { lineStyle: { color: ink("rule") } },
        axisTick: { show: false },
        splitLine: { show: true, lineStyle: { color: ink("rule") } },
        minInterval: 28 * 864e5,
      },
      yAxis: { ...cellAxis(rows.map(([part]) => text(`split.${part}`))), inverse: true },
      tooltip: {
        trigger: "item",
        formatter: (p) => tip(text(`split.${rows[p.dataIndex][0]}`), [
          [text("columns.asked_at"), show.day(rows[p.dataIndex][1])],
          [text("columns.until"), show.day(rows[p.dataIndex][2])],
        ]),
      },
      series: [{
        type: "custom",
        renderItem: window,
        encode: { x: [1, 2], y: 0 },
        data: rows.map(([, at, end], i) => [i, Date.parse(at), Date.parse(end)]),
      }],
    };
    const columns = [["part", "text"], ["asked_at", "day"], ["until", "day"]];
    return { option, height: rows.length * 22 + 34, table: { columns, rows: rows.map(([p, a, e]) => [text(`split.${p}`), a, e]) } };
  },

  risk_map() {
    const users = data.insights.at_risk;
    const most = Math.max(...users.map((u) => u.value), 1);
    const option = {
      grid: { left: 26, right: 24, top: 12, bottom: 26 },
      xAxis: squareAxis((v) => show.share(v), text("columns.churn"), 1),
      yAxis: valueAxis(show.moneyAxis, { name: text("columns.usual_spend"), nameLocation: "middle", nameGap: narrow() ? 46 : 56, nameTextStyle: { color: ink("muted") } }),
      tooltip: {
        trigger: "item",
        formatter: (p) => {
          const u = users[p.dataIndex];
          return tip(`${text("columns.user_id")} ${u.user_id}`, [
            [text("columns.churn"), show.share(u.churn)],
            [text("columns.usual_spend"), show.money(u.usual_spend)],
            [text("columns.at_stake"), show.money(u.value)],
            [text("columns.last_purchase"), show.day(u.last_purchase)],
          ]);
        },
      },
      series: [{
        type: "scatter",
        data: users.map((u) => [u.churn, u.usual_spend, u.value]),
        symbolSize: (v) => 4 + 18 * Math.sqrt(v[2] / most),
        itemStyle: { color: ink("accent"), opacity: 0.42, borderColor: ink("paper"), borderWidth: 0.5 },
        label: {
          show: true,
          position: "right",
          color: ink("muted"),
          fontSize: 11,
          opacity: 1,
          formatter: (p) => (p.dataIndex < (narrow() ? 3 : 8) ? users[p.dataIndex].user_id : ""),
        },
        labelLayout: { hideOverlap: true },
      }],
    };
    return { option, height: narrow() ? 300 : 400, table: riskTable(users) };
  },

  at_risk() {
    return { table: riskTable(data.insights.at_risk), limit: 12 };
  },

  pairs() {
    const rows = data.insights.pairs.map((p) => [
      ...distinct([p.first_title, p.second_title], [p.first, p.second]), p.support, p.confidence, p.lift,
    ]);
    return { table: { columns: pairColumns, rows }, limit: 10 };
  },

  category_pairs() {
    const rows = data.insights.category_pairs.slice(0, 60).map((p) => [p.first, p.second, p.support, p.confidence, p.lift]);
    return { table: { columns: pairColumns, rows }, limit: 10 };
  },

  // The categories that occur in most of the strong pairs, against each other.
  category_map() {
    const pairs = data.insights.category_pairs;
    const degree = new Map();
    for (const { first, second } of pairs) for (const path of [first, second]) degree.set(path, (degree.get(path) ?? 0) + 1);
    const paths = [...degree].sort((a, b) => b[1] - a[1]).slice(0, narrow() ? 8 : 14).map(([path]) => path).sort();
    const names = paths.map(lastPart);
    const shown = pairs.filter((p) => paths.includes(p.first) && paths.includes(p.second));
    const cells = shown.flatMap((p) => {
      const [x, y] = [paths.indexOf(p.first), paths.indexOf(p.second)];
      return [[x, y, p.lift], [y, x, p.lift]];
    });
    const chart = heat(names, names, cells, {
      format: (v) => show.number(v, 1),
      labels: !narrow(),
      cell: 30,
      tooltip: ([x, y, v]) => tip(`${names[y]} + ${names[x]}`, [[text("columns.lift"), show.number(v, 2)]]),
    });
    const { xAxis, yAxis } = chart.option;
    xAxis.axisLabel = { ...xAxis.axisLabel, rotate: 40, interval: 0, width: 110, overflow: "truncate", hideOverlap: false };
    yAxis.axisLabel = { ...yAxis.axisLabel, interval: 0, width: narrow() ? 100 : 230, overflow: "truncate", hideOverlap: false };
    chart.height += 84;
    const rows = shown.map((p) => [p.first, p.second, p.support, p.confidence, p.lift]);
    return { ...chart, table: { columns: pairColumns, rows } };
  },

  best_sellers({ width }) {
    const items = data.insights.best_sellers;
    const shown = items.slice(0, 12);
    const titles = distinct(shown.map((i) => i.title), shown.map((i) => i.item_id));
    const chart = bars(titles, shown.map((i) => i.revenue), { width, format: (v) => show.money(v) });
    const columns = [
      ["item", "text"], ["item_id", "code"], ["category", "text"], ["revenue", "money"],
      ["units", "number"], ["orders", "number"], ["buyers", "number"],
    ];
    const rows = items.map((i) => [i.title, i.item_id, i.category, i.revenue, i.units, i.orders, i.buyers]);
    return { ...chart, table: { columns, rows } };
  },

  categories({ width }) {
    const rows = data.insights.categories.map((c) => [c.category, c.revenue, c.buyers]);
    const shown = rows.slice(0, 12);
    const chart = bars(shown.map((r) => r[0]), shown.map((r) => r[1]), { width, format: (v) => show.money(v) });
    return { ...chart, table: { columns: [["category", "text"], ["revenue", "money"], ["buyers", "number"]], rows } };
  },

  rfm() {
    const { recency_days, orders, users, spend, segment } = data.insights.rfm;
    const cells = users.flatMap((row, y) => row.map((value, x) => [x, y, value]));
    const chart = heat(orders.map(range), recency_days.map(range), cells, {
      format: show.number,
      cell: 44,
      low: 0,
      nameX: text("columns.orders"),
      tooltip: ([x, y, v]) => tip(text(`segments.${segment[y][x]}`), [
        [text("columns.recency_days"), range(recency_days[y])],
        [text("columns.orders"), range(orders[x])],
        [text("columns.users"), show.number(v)],
        [text("columns.revenue"), show.money(spend[y][x])],
      ]),
    });
    chart.option.yAxis = { ...chart.option.yAxis, name: text("columns.recency_days"), nameLocation: "middle", nameGap: 56, nameTextStyle: { color: ink("muted") } };
    chart.option.grid.left = 22;
    const columns = [["recency_days", "text"], ["orders", "text"], ["users", "number"], ["revenue", "money"], ["segment", "text"]];
    const rows = cells.map(([x, y, v]) => [range(recency_days[y]), range(orders[x]), v, spend[y][x], text(`segments.${segment[y][x]}`)]);
    return { ...chart, table: { columns, rows } };
  },

  segments() {
    const list = data.insights.rfm.segments;
    const total = list.reduce((sum, s) => sum + s.users, 0);
    const spend = list.reduce((sum, s) => sum + s.spend, 0) || 1;
    const columns = [["segment", "text"], ["meaning", "small"], ["users", "number"], ["share", "share"], ["name:" + text("columns.revenue"), "share"]];
    const rows = list.map((s) => [text(`segments.${s.segment}`), text(`segment_about.${s.segment}`), s.users, s.users / total, s.spend / spend]);
    return { table: { columns, rows } };
  },

  timings({ width }) {
    const stages = Object.entries(data.evaluation.timing).filter(([, t]) => typeof t === "object" && t !== null);
    const rows = stages.map(([name, t]) => [name, t.wall_s, t.cpu_s]);
    const format = (v) => `${show.number(v, 1)} s`;
    const chart = bars(rows.map((r) => r[0]), rows.map((r) => r[1]), { width, format, color: ink("soft") });
    return { ...chart, table: { columns: [["stage", "code"], ["wall_s", "figure"], ["cpu_s", "figure"]], rows } };
  },
};

const pairColumns = [
  ["first_item", "text"], ["second_item", "text"], ["support", "share2"], ["confidence", "share"], ["lift", "factor"],
];

const riskTable = (users) => ({
  columns: [
    ["user_id", "code"], ["at_stake", "money"], ["churn", "share"],
    ["usual_spend", "money"], ["spend", "money"], ["last_purchase", "day"],
  ],
  rows: users.map((u) => [u.user_id, u.value, u.churn, u.usual_spend, u.spend, u.last_purchase]),
});
