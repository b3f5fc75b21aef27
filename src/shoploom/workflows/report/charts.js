// Kinds of chart that figures are made of: each gives a height and an option for ECharts.
// Colours are asked for by the names that report.css gives them.
"use strict";

const hollowDot = (color) => ({ color: ink("paper"), borderColor: ink(color), borderWidth: 1.75, opacity: 1 });

// Horizontal bars, each with its value written behind it; `width` is the room there is, in pixels.
const bars = (labels, values, { width, format, notes = values.map((value) => format(value)), color = ink("accent"), gap = 30 }) => ({
  height: labels.length * gap + 8,
  option: {
    grid: { left: 0, right: 12 + 6.6 * Math.max(...notes.map((note) => note.length)), top: 0, bottom: 0 },
    xAxis: { type: "value", show: false, min: 0, max: Math.max(...values) || 1 },
    yAxis: {
      ...cellAxis(labels),
      inverse: true,
      axisLabel: { color: ink("ink"), width: Math.min(260, 0.48 * width), overflow: "truncate", margin: 12 },
    },
    tooltip: { trigger: "item", formatter: (p) => tip(p.name, [["", notes[p.dataIndex]]]) },
    series: [
      {
        type: "bar",
        data: values,
        barWidth: 12,
        itemStyle: { color, borderRadius: [0, 2, 2, 0] },
        label: { show: true, position: "right", color: ink("muted"), formatter: (p) => notes[p.dataIndex] },
      },
    ],
  },
});

// A line over time; `hollow` marks points that cover only part of their period.
const timeline = (days, values, { format, name, hollow = [] }) => ({
  grid: { left: 0, right: 14, top: 14, bottom: 6 },
  xAxis: {
    type: "category",
    data: days,
    boundaryGap: false,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: ink("rule") } },
    axisLabel: { color: ink("muted"), formatter: show.monthShort, hideOverlap: true, interval: monthStarts(days) },
  },
  yAxis: valueAxis(format),
  tooltip: {
    trigger: "axis",
    axisPointer: { lineStyle: { color: ink("muted"), type: "solid", width: 1 } },
    formatter: ([p]) => tip(show.day(p.name), [[name, format(values[p.dataIndex], true)]]),
  },
  series: [
    {
      type: "line",
      data: values.map((value, i) => (hollow[i] ? null : value)),
      lineStyle: { color: ink("accent"), width: 2 },
      areaStyle: { color: ink("accent"), opacity: 0.07 },
      itemStyle: { color: ink("accent") },
      symbol: "none",
    },
    {
      type: "line",
      data: values.map((value, i) => (hollow[i] ? value : null)),
      lineStyle: { opacity: 0 },
      itemStyle: hollowDot("accent"),
      symbol: "circle",
      symbolSize: 7,
      showAllSymbol: true,
      silent: true,
    },
  ],
});

const valueAxis = (format, extra = {}) => ({
  type: "value",
  axisLabel: { color: ink("muted"), formatter: (value) => format(value) },
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: ink("rule"), width: 1 } },
  splitNumber: 4,
  ...extra,
});

// Labels where a new month begins, thinned to about a dozen.
const monthStarts = (days) => {
  const starts = days.map((day, i) => i > 0 && day.slice(0, 7) !== days[i - 1].slice(0, 7));
  const n = starts.filter(Boolean).length;
  const every = Math.max(1, Math.ceil(n / (narrow() ? 5 : 12)));
  let seen = 0;
  const kept = starts.map((start) => start && seen++ % every === 0);
  return n ? (i) => kept[i] : "auto";
};

// A grid of values as shades of one colour, each cell labelled when there is room.
const heat = (columns, rows, cells, { format, tooltip, cell = 32, labels = true, nameX, nameY, low = null }) => {
  const values = cells.map((c) => c[2]);
  const [min, max] = [low ?? Math.min(...values), Math.max(...values)];
  const dark = (value) => (value - min) / (max - min || 1) > 0.55;
  return {
    height: rows.length * cell + (nameX ? 62 : 42),
    option: {
      grid: { left: 0, right: 4, top: 4, bottom: nameX ? 28 : 6 },
      xAxis: { ...cellAxis(columns), name: nameX, nameLocation: "middle", nameGap: 34, nameTextStyle: { color: ink("muted") } },
      yAxis: { ...cellAxis(rows), inverse: true, name: nameY },
      visualMap: {
        show: false,
        min,
        max: max === min ? min + 1 : max,
        inRange: { color: [ink("heat-0"), ink("heat-1"), ink("heat-2")] },
      },
      tooltip: { trigger: "item", formatter: (p) => tooltip(p.value) },
      series: [
        {
          type: "heatmap",
          data: cells.map((value) => ({ value, label: { color: dark(value[2]) ? ink("on-heat") : ink("ink") } })),
          label: { show: labels, fontSize: 11, formatter: (p) => format(p.value[2]) },
          itemStyle: { borderColor: ink("paper"), borderWidth: 2, borderRadius: 3 },
          emphasis: { itemStyle: { borderColor: ink("ink"), borderWidth: 1 } },
        },
      ],
    },
  };
};

const cellAxis = (data) => ({
  type: "category",
  data,
  axisLine: { show: false },
  axisTick: { show: false },
  splitArea: { show: false },
  axisLabel: { color: ink("muted"), hideOverlap: true, margin: 10 },
});

// Dots with 95 % whiskers, one row each: { label, value: [value, low, high], strong, other? }.
// Where values end at `most`, so does the axis; `zero` draws a line there.
const whiskers = (rows, { format, tooltip, other, most = null, zero = false }) => {
  const line = (params, api) => {
    const [x0, y] = api.coord([api.value(1), api.value(0)]);
    const [x1] = api.coord([api.value(2), api.value(0)]);
    const strong = rows[api.value(0)].strong;
    const stroke = { stroke: strong ? ink("accent") : ink("muted"), lineWidth: strong ? 2 : 1.25 };
    const segment = (a, b, c, d) => ({ type: "line", shape: { x1: a, y1: b, x2: c, y2: d }, style: stroke });
    const cap = 4;
    return {
      type: "group",
      children: [segment(x0, y, x1, y), segment(x0, y - cap, x0, y + cap), segment(x1, y - cap, x1, y + cap)],
    };
  };
  const axis = {
    type: "category",
    inverse: true,
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { show: true, lineStyle: { color: ink("rule") } },
  };
  const known = rows.map((row, i) => [i, row]).filter(([, row]) => row.value[0] !== null);
  return {
    height: rows.length * 34 + 34,
    option: {
      grid: { left: 0, right: 0, top: 0, bottom: 6 },
      xAxis: valueAxis((v) => format(v), { scale: !zero, boundaryGap: ["3%", "3%"], max: most, splitLine: { show: false }, splitNumber: narrow() ? (zero ? 2 : 3) : 6 }),
      yAxis: [
        {
          ...axis,
          data: rows.map((row) => row.label),
          axisLabel: {
            color: (_, i) => (rows[i].strong ? ink("ink") : ink("muted")),
            width: narrow() ? 118 : 240,
            overflow: "truncate",
            margin: 14,
          },
        },
        {
          ...axis,
          splitLine: { show: false },
          position: "right",
          data: rows.map((row) => (row.value[0] === null ? "–" : format(row.value[0]))),
          axisLabel: { color: (_, i) => (rows[i].strong ? ink("accent") : ink("muted")), margin: 12 },
        },
      ],
      tooltip: { trigger: "item", formatter: (p) => tooltip(rows[Array.isArray(p.value) ? p.value.at(-1) : p.dataIndex]) },
      series: [
        {
          type: "custom",
          renderItem: line,
          encode: { x: [1, 2], y: 0 },
          data: known.map(([i, row]) => [i, row.value[1] ?? row.value[0], row.value[2] ?? row.value[0], i]),
        },
        ...(other
          ? [
              {
                type: "scatter",
                symbolSize: 8,
                data: known.filter(([, row]) => row.other?.[0] != null).map(([i, row]) => [row.other[0], i, i]),
                itemStyle: hollowDot("muted"),
                z: 3,
              },
            ]
          : []),
        {
          type: "scatter",
          symbolSize: 11,
          data: known.map(([i, row]) => ({
            value: [row.value[0], i, i],
            itemStyle: row.strong ? { color: ink("accent"), opacity: 1 } : hollowDot("muted"),
          })),
          z: 4,
          markLine: zero
            ? {
                silent: true,
                symbol: "none",
                label: { show: false },
                lineStyle: { color: ink("muted"), width: 1, type: [3, 4] },
                data: [{ xAxis: 0 }],
              }
            : undefined,
        },
      ],
    },
  };
};

const legend = (names) => ({
  data: names,
  left: 0,
  top: 0,
  itemWidth: 14,
  itemHeight: 8,
  itemGap: 18,
  icon: "roundRect",
  textStyle: { color: ink("muted") },
  selectedMode: false,
});

const squareAxis = (format, name, max) =>
  valueAxis(format, {
    min: 0,
    max,
    interval: max > 0.5 ? 0.2 : max > 0.2 ? 0.1 : 0.05,
    name,
    nameLocation: "middle",
    nameGap: 30,
    nameTextStyle: { color: ink("muted") },
  });
