// What the figures about variants and searches show.
"use strict";

const variantName = (name) => {
  const known = text(`variants.${name}`);
  if (known) return known;
  const form = name.startsWith("without ") ? "without" : "alone";
  const source = name.replace(/^without /, "").replace(/ alone$/, "");
  return text(`variants.${form}`, { name: text(`variants.${source}`) ?? source });
};

Object.assign(figures, {
  effects({ study, engine, task }) {
    const table = data.studies[study][engine][task];
    // Differences are kept as first minus variant; a reader asks what the change did.
    const turned = ([value, low, high]) => (value === null ? [null, null, null] : [-value, -high, -low]);
    const rows = Object.entries(table.versus)
      .map(([name, versus]) => ({ name, label: variantName(name), value: turned(versus) }))
      .map((row) => ({ ...row, strong: row.value[0] !== null && (row.value[1] > 0 || row.value[2] < 0) }));
    const chart = whiskers(rows, {
      format: (v) => show.signed(v),
      zero: true,
      tooltip: (row) => tip(row.label, [
        [metricName(table.metric), show.interval(table.results[row.name])],
        [text("columns.against_first"), show.interval(row.value, true)],
      ]),
    });
    const columns = [
      ["variant", "text"], ["value", "figure"], ["interval_low", "figure"], ["interval_high", "figure"], ["against_first", "signed"],
    ];
    const against = Object.fromEntries(rows.map((row) => [row.name, row.value[0]]));
    const listed = Object.entries(table.results).map(([name, result]) => [variantName(name), ...result, against[name] ?? null]);
    return { ...chart, table: { columns, rows: listed } };
  },

  search({ engine }) {
    const judged = data.studies.tuning[engine].trials.filter((trial) => trial.gain !== null);
    let best = -Infinity;
    const rows = judged.map((trial) => [trial.number, trial.gain, (best = Math.max(best, trial.gain))]);
    const percent = (v) => show.share(v, 1);
    const option = {
      grid: { left: 4, right: 14, top: 10, bottom: 26 },
      xAxis: { ...valueAxis((v) => show.number(v), { splitLine: { show: false } }), name: text("columns.trial"), nameLocation: "middle", nameGap: 24 },
      yAxis: valueAxis(percent, { scale: true }),
      tooltip: {
        trigger: "item",
        formatter: (p) => tip(`${text("columns.trial")} ${p.value[0]}`, [[text("columns.gain"), percent(p.value[1])]]),
      },
      series: [
        { type: "line", step: "end", symbol: "none", silent: true, data: rows.map((r) => [r[0], r[2]]), lineStyle: { color: ink("accent"), width: 2 } },
        { type: "scatter", symbolSize: 7, data: rows.map((r) => [r[0], r[1]]), itemStyle: { color: ink("muted") } },
      ],
    };
    const columns = [["trial", "number"], ["gain", "share2"], ["best_so_far", "share2"]];
    return { option, height: 240, table: { columns, rows } };
  },

  mattered({ engine, width }) {
    const rows = Object.entries(data.studies.tuning[engine].importance).sort((a, b) => b[1] - a[1]);
    const chart = bars(rows.map((r) => r[0]), rows.map((r) => r[1]), { width, format: (v) => show.share(v) });
    return { ...chart, table: { columns: [["setting", "code"], ["share", "share"]], rows } };
  },
});
