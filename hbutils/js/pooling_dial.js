// The between-group SD from 0 to infinity: everybody's line moves from the pooled one to their own.
hbDials.define("pooling_dial", ({ model, draw }) => {
  const { number, lines } = hbDials;
  const groups = model.groups.map(({ x, y }) => lines.sums(x, y));
  const chosen = model.groups.findIndex((g) => g.label === model.highlight);
  const ends = model.x.range;
  const segment = ({ mean }) => ends.map((x) => [x, lines.at(mean, x)]);
  const points = ({ x, y }) => x.map((v, i) => [v, y[i]]);
  const rest = model.groups.filter((_, i) => i !== chosen).flatMap(points);
  const own = points(model.groups[chosen]);
  const positions = model.positions.map((sd) => sd ?? Infinity);
  const percent = (share) => `${Math.round(100 * share)} %`;

  draw({
    title: `${model.y.label} against ${model.x.label}: one line for each ${model.group}, ${model.highlight}'s in bold. ` +
      "The slider below moves the lines; the text and the table below say where they are.",
    x: model.x,
    y: model.y,
    legend: [
      [`a line for each ${model.group}`, { type: "lines", colour: "partial" }],
      [`${model.group} ${model.highlight}`, { type: "points", colour: "population", size: 8 }],
      [`the other ${model.group}s`, { type: "points", colour: "data", size: 6, opacity: 0.55 }],
    ],
    controls: {
      sd: { label: `SD between ${model.group}s`, last: positions.length - 1, start: model.start, ticks: model.ticks,
        mark: model.mark },
    },
    update({ sd: position }) {
      const sigmaAlpha = positions[position];
      const fit = lines.fit(groups, { sigma: model.sigma, sigmaAlpha, sigmaBeta: model.ratio * sigmaAlpha });
      const colour = sigmaAlpha === 0 ? "pooled" : sigmaAlpha === Infinity ? "unpooled" : "partial";
      const weights = fit.groups.map(({ weight }) => (weight[0] + weight[3]) / 2);
      const weight = weights.reduce((a, b) => a + b) / weights.length;
      const said = `${number(sigmaAlpha)} ${model.unit}`.trim();
      const what = {
        pooled: `Pooled: everybody has the same line. Own data weigh 0 %.`,
        unpooled: `Unpooled: everybody keeps their own line. Own data weigh 100 %.`,
        partial: `Partially pooled: own data weigh ${percent(weight)}, the other ${model.group}s ${percent(1 - weight)}.`,
      }[colour];
      const slope = number(fit.groups[chosen].mean[1]);
      return {
        marks: [
          { type: "points", colour: "data", data: rest, size: 5, opacity: 0.45 },
          { type: "lines", colour, data: fit.groups.map(segment), size: 1.6, opacity: 0.75 },
          { type: "points", colour: "population", data: own, size: 7 },
          { type: "lines", colour, data: [segment(fit.groups[chosen])], size: 4.5 },
        ],
        said: { sd: said },
        readout: `${what} The slope of ${model.group} ${model.highlight} is ${slope} ${model.slope_unit}.`,
        table: {
          head: [model.group, "intercept", "slope", "weight"],
          rows: fit.groups.map(({ mean }, i) =>
            [model.groups[i].label, mean[0].toFixed(1), number(mean[1]), percent(weights[i])]),
        },
        fit,
        weight,
      };
    },
  });
});
