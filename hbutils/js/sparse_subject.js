// Days are taken away from one group: its line leaves its own data for the population's.
hbDials.define("sparse_subject", ({ model, draw }) => {
  const { number, percent, tick, lines } = hbDials;
  const sds = { sigma: model.sigma, sigmaAlpha: model.sigma_alpha, sigmaBeta: model.sigma_beta };
  const labels = model.groups.map((g) => g.label);
  const longest = Math.max(...model.groups.map((g) => g.x.length));
  const [low, high] = model.x.range;
  const grid = Array.from({ length: 41 }, (_, i) => low + ((high - low) * i) / 40);
  const along = (value) => grid.map((x) => [x, value(x)]);

  draw({
    title: `${model.y.label} against ${model.x.label} for one ${model.group}: observations, and the ` +
      "partially pooled line with its 95 % band beside the population’s. The text and the table below give the numbers.",
    x: model.x,
    y: model.y,
    legend: [
      ["known", 5],
      ["not known", 4],
      ["partially pooled", 3],
      ["95 % band for the line", 0],
      ["population", 1],
      ["own least squares", 2],
    ],
    controls: {
      subject: { label: model.group, options: labels, start: model.highlight },
      known: { label: `observations known of this ${model.group}`, last: longest, start: model.start,
        ticks: Array.from({ length: longest + 1 }, (_, i) => [i, String(i)]) },
    },
    update({ subject, known }) {
      const chosen = labels.indexOf(subject);
      const { x, y } = model.groups[chosen];
      const kept = Math.min(known, x.length);
      const groups = model.groups.map((g, i) =>
        i === chosen ? lines.sums(x.slice(0, kept), y.slice(0, kept)) : lines.sums(g.x, g.y));
      const fit = lines.fit(groups, sds);
      const { mean, cov, weight } = fit.groups[chosen];
      const own = new Set(x.slice(0, kept)).size > 1
        ? lines.fit([groups[chosen]], { sigmaAlpha: Infinity }).groups[0].mean : null;
      const half = (v) => 1.959963984540054 * lines.sdAt(cov, v);
      const share = (weight[0] + weight[3]) / 2;
      const observed = x.map((v, i) => [v, y[i]]);
      const width = 2 * half(high);
      return {
        marks: [
          { type: "band", colour: "partial", data: [along((v) => lines.at(mean, v) - half(v)),
            along((v) => lines.at(mean, v) + half(v))] },
          { type: "lines", colour: "population", data: [along((v) => lines.at(fit.mean, v))], dashed: true },
          { type: "lines", colour: "unpooled", data: own ? [along((v) => lines.at(own, v))] : [], dashed: true },
          { type: "lines", colour: "partial", data: [along((v) => lines.at(mean, v))], size: 3.5 },
          { type: "points", colour: "data", data: observed.slice(kept), hollow: true },
          { type: "points", colour: "data", data: observed.slice(0, kept), size: 8 },
        ],
        said: { known: `${kept} of ${x.length}` },
        readout: `Own line weighs ${percent(share)}. Slope: ${number(mean[1], model.slope_scale)} ${model.slope_unit}; ` +
          `the population’s: ${number(fit.mean[1], model.slope_scale)}. At ${model.x.label} ${tick(high)} the band is ${number(width)} ${model.unit} wide.`,
        table: {
          head: [model.x.label, "known", "observed", "line", "2.5 %", "97.5 %", "population"],
          rows: x.map((v, i) => [tick(v), i < kept ? "yes" : "no", ...[y[i], lines.at(mean, v),
            lines.at(mean, v) - half(v), lines.at(mean, v) + half(v), lines.at(fit.mean, v)].map((q) => number(q, model.y_scale))]),
        },
        mean,
        cov,
        population: fit.mean,
        weight: share,
      };
    },
  });
});
