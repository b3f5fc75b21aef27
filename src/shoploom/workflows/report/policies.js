// What the figures about groups of customers, campaigns and prices show.
"use strict";

// Names come in both languages from the data.
const groupName = (group) => group.name[state.language];

Object.assign(figures, {
  groups() {
    const found = data.policies.segments.segments;
    const favourites = (group) => group.favourites.slice(0, 3).map((item) => item.title || item.item_id).join(" · ");
    const rows = found.map((group) => [
      groupName(group), group.users, group.share, group.spend_28d, group.churn_risk, favourites(group),
    ]);
    const columns = [
      ["segment", "text"], ["users", "number"], ["share", "share"], ["spend_28d", "money"], ["leaving", "share"], ["favourites", "small"],
    ];
    return { table: { columns, rows } };
  },

  explains() {
    const found = Object.entries(data.policies.segments.versus_rfm.explained);
    const rows = found.flatMap(([name, by]) => [
      { label: `${text(`outcomes.${name}`) ?? name} · ${text("campaigns.groups")}`, value: by.segments, strong: true },
      { label: `${text(`outcomes.${name}`) ?? name} · ${text("campaigns.rfm")}`, value: by.rfm, strong: false },
    ]);
    const chart = whiskers(rows, {
      format: (v) => show.share(v),
      tooltip: (row) => tip(row.label, [[text("columns.share"), row.value.map((v) => show.share(v, 1)).join(" … ")]]),
    });
    const columns = [["method", "text"], ["value", "share"], ["interval_low", "share"], ["interval_high", "share"]];
    return { ...chart, table: { columns, rows: rows.map((row) => [row.label, ...row.value]) } };
  },

  policies({ task }) {
    const about = data.policies.audience[task];
    const named = (name) =>
      name === "chosen" ? text("campaigns.chosen") : text("campaigns.everybody", { arm: name.replace(/^everybody: /, "") });
    const rows = [
      { label: text("campaigns.logged"), value: about.logged, strong: false },
      ...Object.entries(about.policies).map(([name, policy]) => ({
        label: named(name), value: policy.estimates[policy.read], strong: name === "chosen",
      })),
    ];
    const chart = whiskers(rows, {
      format: (v) => numeral(v, { maximumSignificantDigits: 3, minimumSignificantDigits: 3 }),
      tooltip: (row) => tip(row.label, [[text("campaigns.per_exposure"), show.interval(row.value)]]),
    });
    const columns = [["method", "text"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"]];
    return { ...chart, table: { columns, rows: rows.map((row) => [row.label, ...row.value]) } };
  },

  gain_curve({ task, study: arm }) {
    const { share, gain, low, high } = data.policies.audience[task].orders[arm].curve;
    const points = (values) => share.map((x, i) => [x, values[i]]);
    const bound = { type: "line", symbol: "none", silent: true, lineStyle: { opacity: 0 }, stack: "band" };
    const option = {
      grid: { left: 4, right: 14, top: 14, bottom: 26 },
      xAxis: squareAxis((v) => show.share(v), text("campaigns.share_shown"), 1),
      yAxis: valueAxis((v) => numeral(v, { maximumSignificantDigits: 3 }), { scale: true }),
      tooltip: {
        trigger: "axis",
        formatter: ([p]) => tip(show.share(p.value[0]), [[text("campaigns.gain"), show.interval([gain[p.dataIndex], low[p.dataIndex], high[p.dataIndex]])]]),
      },
      series: [
        { ...bound, data: points(low) },
        { ...bound, data: share.map((x, i) => [x, high[i] - low[i]]), areaStyle: { color: ink("accent"), opacity: 0.1 }, stackStrategy: "all" },
        { type: "line", data: [[0, 0], [1, gain.at(-1)]], symbol: "none", silent: true, lineStyle: { color: ink("muted"), width: 1, type: [3, 4] } },
        { type: "line", data: points(gain), symbol: "none", lineStyle: { color: ink("accent"), width: 2 } },
      ],
    };
    const columns = [["top_share", "share"], ["gain_shown", "figure"], ["interval_low", "figure"], ["interval_high", "figure"]];
    return { option, height: 260, table: { columns, rows: share.map((x, i) => [x, gain[i], low[i], high[i]]) } };
  },

  price_policies() {
    const { judged } = data.policies.price;
    const named = (name) => {
      if (name === "proposed") return text("prices.proposed");
      if (name === "best tried") return text("prices.best_tried");
      return text("prices.everybody", { arm: name.replace(/^everybody: /, "") });
    };
    const rows = [
      { label: text("prices.logged"), value: judged.logged, strong: false },
      ...Object.entries(judged.policies).map(([name, policy]) => ({
        label: named(name), value: policy.estimates[policy.read], strong: name === "proposed",
      })),
    ];
    const chart = whiskers(rows, {
      format: (v) => numeral(v, { maximumSignificantDigits: 3 }),
      tooltip: (row) => tip(row.label, [[text("prices.per_look"), show.interval(row.value)]]),
    });
    const columns = [["method", "text"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"]];
    return { ...chart, table: { columns, rows: rows.map((row) => [row.label, ...row.value]) } };
  },

  price_proposals() {
    const why = (item) =>
      [text(`price_actions.${item.action}`), text(`price_reasons.${item.reason}`), item.bound ? text(`price_bounds.${item.bound}`) : null]
        .filter(Boolean)
        .join(" · ");
    const rows = data.policies.price.curves.map((item) => [
      item.title || item.item_id, item.price, item.proposed, why(item), ...item.gain, item.elasticity[0],
    ]);
    const columns = [
      ["product", "text"], ["price_now", "money"], ["price_proposed", "money"], ["why", "small"],
      ["gain_week", "factor"], ["interval_low", "factor"], ["interval_high", "factor"], ["elasticity", "factor"],
    ];
    return { table: { columns, rows } };
  },

  price_curve({ study }) {
    const item = data.policies.price.curves.find((one) => one.item_id === study);
    const points = (part) => item.prices.map((price, i) => [price, item.profit[i][part]]);
    const bound = { type: "line", symbol: "none", silent: true, lineStyle: { opacity: 0 }, stack: "band" };
    const mark = (price, label, color) => ({
      xAxis: price,
      lineStyle: { color: ink(color), width: 1.25, type: color === "muted" ? [3, 4] : "solid" },
      label: { formatter: label, color: ink(color), position: "end", fontSize: 11 },
    });
    const changed = item.proposed !== item.price;
    const marks = changed
      ? [mark(item.price, text("prices.today"), "muted"), mark(item.proposed, text("prices.proposed"), "accent")]
      : [mark(item.price, text("prices.today"), "muted")];
    const option = {
      grid: { left: 4, right: 18, top: 26, bottom: 8, containLabel: true },
      xAxis: valueAxis(null, {
        scale: true,
        splitLine: { show: false },
        min: "dataMin",
        max: "dataMax",
        axisLabel: { color: ink("muted"), showMinLabel: false, showMaxLabel: false, formatter: (v) => numeral(v, { maximumSignificantDigits: 3 }) },
      }),
      yAxis: valueAxis((v) => numeral(v, { maximumSignificantDigits: 3 })),
      tooltip: {
        trigger: "axis",
        formatter: ([p]) =>
          tip(numeral(p.value[0], { maximumFractionDigits: 2 }), [
            [text("prices.profit"), show.interval(item.profit[p.dataIndex])],
            [text("columns.units_week"), show.interval(item.units[p.dataIndex])],
          ]),
      },
      series: [
        {
          ...bound,
          data: points(1),
          markArea: {
            silent: true,
            itemStyle: { color: ink("muted"), opacity: 0.08 },
            data: [[{ xAxis: item.allowed[0] }, { xAxis: item.allowed[1] }]],
          },
        },
        {
          ...bound,
          data: item.prices.map((price, i) => [price, item.profit[i][2] - item.profit[i][1]]),
          areaStyle: { color: ink("accent"), opacity: 0.1 },
          stackStrategy: "all",
        },
        {
          type: "line",
          data: points(0),
          symbol: "none",
          lineStyle: { color: ink("accent"), width: 2 },
          markLine: { silent: true, symbol: "none", data: marks },
        },
      ],
    };
    const columns = [["price_now", "money"], ["profit_week", "figure"], ["interval_low", "figure"], ["interval_high", "figure"], ["units_week", "figure"]];
    return { option, height: 240, table: { columns, rows: item.prices.map((price, i) => [price, ...item.profit[i], item.units[i][0]]) } };
  },

  reply_policies() {
    const about = data.policies.reply;
    const named = (name) =>
      name === "chosen" ? text("acting.chosen") : text("acting.everybody", { arm: name.replace(/^everybody: /, "") });
    const rows = [
      { label: text("acting.logged"), value: about.logged, strong: false },
      ...Object.entries(about.policies).map(([name, policy]) => ({
        label: named(name), value: policy.estimates[policy.read], strong: name === "chosen",
      })),
    ];
    const chart = whiskers(rows, {
      format: (v) => numeral(v, { maximumSignificantDigits: 3 }),
      tooltip: (row) => tip(row.label, [[text("acting.per_reply"), show.interval(row.value)]]),
    });
    const columns = [["method", "text"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"]];
    return { ...chart, table: { columns, rows: rows.map((row) => [row.label, ...row.value]) } };
  },

  reply_matrix() {
    const { matrix, replies } = data.policies.reply;
    const intents = Object.keys(matrix);
    const cells = intents.flatMap((intent, y) => replies.map((reply, x) => [x, y, matrix[intent][reply]]));
    const chart = heat(replies, intents, cells, {
      format: (v) => show.share(v),
      tooltip: ([x, y, value]) => tip(`${intents[y]} · ${replies[x]}`, [[text("acting.suits"), show.share(value)]]),
      labels: !narrow(),
    });
    chart.height += 34;
    chart.option.grid.bottom = 40;
    chart.option.xAxis.axisLabel = { color: ink("muted"), interval: 0, width: narrow() ? 44 : 110, overflow: "break", margin: 10, fontSize: narrow() ? 9 : 12 };
    const columns = [["intent", "text"], ...replies.map((reply) => [`name:${reply}`, "share"])];
    return { ...chart, table: { columns, rows: intents.map((intent) => [intent, ...replies.map((reply) => matrix[intent][reply])]) } };
  },
});
