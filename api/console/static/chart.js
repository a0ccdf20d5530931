// The flow chart of a meter: lowest and highest per bucket, the register's mean, the rated range.
"use strict";
(() => {
  const place = document.getElementById("chart");
  if (place === null) return;
  const words = place.dataset;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  let chart = null;

  const texts = (zone) => {
    const language = words.language;
    const day = new Intl.DateTimeFormat(language, { timeZone: zone, month: "short", day: "numeric" });
    const time = new Intl.DateTimeFormat(language, { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const number = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
    const at = (seconds) => new Date(seconds * 1000);
    return {
      tick: (seconds, step) => step >= 86400 || time.format(at(seconds)) === "00:00" ? day.format(at(seconds)) : time.format(at(seconds)),
      full: (seconds) => seconds === null ? "–" : `${day.format(at(seconds))} ${time.format(at(seconds))}`,
      number: (value) => value === null || value === undefined ? "–" : number.format(value),
    };
  };

  // The rated range lies behind the lines; its ends are named at the right.
  const drawRange = (data) => (u) => {
    const { ctx, bbox } = u;
    const y = (value) => Math.min(Math.max(u.valToPos(value, "y", true), bbox.top), bbox.top + bbox.height);
    ctx.save();
    if (data.qmax !== null) {
      const top = y(data.qmax);
      const bottom = y(data.qmin ?? 0);
      ctx.fillStyle = colour("--band");
      ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    }
    ctx.strokeStyle = ctx.fillStyle = colour("--band-edge");
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const [name, value] of [[words.qmax, data.qmax], [words.qmin, data.qmin]]) {
      if (value === null || value > u.scales.y.max) continue;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y(value));
      ctx.lineTo(bbox.left + bbox.width, y(value));
      ctx.stroke();
      ctx.fillText(`${name} ${value}`, bbox.left + bbox.width - 4, y(value) - 4 * devicePixelRatio);
    }
    ctx.restore();
  };

  const cross = (u, index) => {
    const { ctx } = u;
    const size = 4 * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("--abnormal");
    ctx.lineWidth = 2 * devicePixelRatio;
    u.data[0].forEach((seconds, at) => {
      const value = u.data[index][at];
      if (value === null || value === undefined) return;
      const x = u.valToPos(seconds, "x", true);
      const y = u.valToPos(value, "y", true);
      ctx.beginPath();
      ctx.moveTo(x - size, y - size); ctx.lineTo(x + size, y + size);
      ctx.moveTo(x + size, y - size); ctx.lineTo(x - size, y + size);
      ctx.stroke();
    });
    ctx.restore();
    return false;
  };

  const options = (data, width) => {
    const text = texts(data.timezone);
    const value = (u, raw) => text.number(raw);
    const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const tallest = data.high.reduce((most, one) => Math.max(most, one ?? 0), 0);
    const top = Math.max(tallest, data.mean.reduce((most, one) => Math.max(most, one ?? 0), 0), data.qmax ?? 0, 1) * 1.08;
    return {
      width,
      height: Math.max(240, Math.min(360, width * 0.45)),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), data.timezone),
      scales: { x: { min: data.from, max: data.to }, y: { range: () => [0, top] } },
      axes: [
        { ...axis, values: (u, ticks) => ticks.map((one, at) => text.tick(one, (ticks[1] ?? one) - ticks[0])) },
        { ...axis, size: 60, values: (u, ticks) => ticks.map(text.number), label: words.unit, labelSize: 18 },
      ],
      series: [
        { label: words.time, value: (u, raw) => text.full(raw) },
        { label: words.low, stroke: colour("--flow"), width: 1, value },
        { label: words.high, stroke: colour("--flow"), width: 1.5, value },
        { label: words.mean, stroke: colour("--mean"), width: 2, dash: [4, 3], value },
        { label: words.invalid, stroke: colour("--abnormal"), paths: () => null, points: { show: cross }, value: (u, raw) => raw === null ? "–" : "✕" },
      ],
      bands: [{ series: [2, 1], fill: colour("--flow-fill") }],
      hooks: { drawClear: [drawRange(data)] },
      cursor: { drag: { x: true, y: false } },
    };
  };

  const draw = (data) => {
    if (chart !== null) chart.destroy();
    place.textContent = "";
    const columns = [data.time, data.low, data.high, data.mean, data.invalid];
    chart = new uPlot(options(data, place.clientWidth), columns, place);
  };

  const load = async () => {
    const response = await fetch(words.source, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(String(response.status));
    const data = await response.json();
    if (data.time.length === 0) { place.textContent = words.nothing; return; }
    draw(data);
    dark.addEventListener("change", () => draw(data));
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth !== width) { width = place.clientWidth; draw(data); }
    }).observe(place);
  };

  load().catch(() => { place.textContent = words.failed; });
})();
