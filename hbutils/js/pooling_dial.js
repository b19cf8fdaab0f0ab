// The between-group SD from 0 to infinity: everybody's line moves from the pooled one to their own.
hbDials.define("pooling_dial", ({ model, draw }) => {
  const { number, percent, tick, lines } = hbDials;
  const groups = model.groups.map(({ x, y }) => lines.sums(x, y));
  const chosen = model.groups.findIndex((g) => g.label === model.highlight);
  const ends = model.x.range;
  const segment = ({ mean }) => ends.map((x) => [x, lines.at(mean, x)]);
  const points = ({ x, y }) => x.map((v, i) => [v, y[i]]);
  const rest = model.groups.filter((_, i) => i !== chosen).flatMap(points);
  const own = points(model.groups[chosen]);
  const positions = model.positions.map((sd) => sd ?? Infinity);
  const { low, value, high } = model.learnt;
  const unit = model.unit && ` ${model.unit}`;

  draw({
    title: `${model.y.label} against ${model.x.label}: one line for each ${model.group}, ${model.highlight}’s in bold. ` +
      "The slider below moves the lines; the text and the table below say where they are.",
    x: model.x,
    y: model.y,
    legend: [
      [`a line for each ${model.group}`, 1],
      [`${model.group} ${model.highlight}`, 2],
      ["the others", 0],
    ],
    controls: {
      sd: {
        label: `Between-${model.group} SD at ${model.x.label} 0`,
        last: positions.length - 1,
        start: model.start,
        ticks: model.ticks.map(([position, sd]) => [position, sd === null ? "∞" : tick(sd)]),
        mark: { ...model.mark,
          text: `learnt: ${number(value)}${unit} (95 %: ${number(low)} to ${number(high)})` },
      },
    },
    update({ sd: position }) {
      const sigmaAlpha = positions[position];
      const fit = lines.fit(groups, { sigma: model.sigma, sigmaAlpha, sigmaBeta: model.ratio * sigmaAlpha });
      const colour = sigmaAlpha === 0 ? "pooled" : sigmaAlpha === Infinity ? "unpooled" : "partial";
      const weights = fit.groups.map(({ weight }) => (weight[0] + weight[3]) / 2);
      const weight = weights.reduce((a, b) => a + b) / weights.length;
      const what = {
        pooled: "Pooled: everybody has the same line; their own weighs nothing.",
        unpooled: "Unpooled: everybody keeps their own line; the population’s weighs nothing.",
        partial: `Partially pooled: own line weighs ${percent(weight)}, the population’s ${percent(1 - weight)}.`,
      }[colour];
      const slope = `${number(fit.groups[chosen].mean[1], model.slope_scale)} ${model.slope_unit}`;
      return {
        marks: [
          { type: "points", colour: "data", data: rest, size: 5, opacity: 0.75 },
          { type: "lines", colour, data: fit.groups.map(segment), size: 1.6, opacity: 0.75 },
          { type: "points", colour: "population", data: own, size: 7 },
          { type: "lines", colour, data: [segment(fit.groups[chosen])], size: 4.5 },
        ],
        said: { sd: `${number(sigmaAlpha)}${unit}` },
        readout: `${what} Slope of ${model.group} ${model.highlight}: ${slope}.`,
        table: {
          head: [model.group, "intercept", "slope", "own weight"],
          rows: fit.groups.map(({ mean }, i) => [
            model.groups[i].label,
            number(mean[0], model.y_scale),
            number(mean[1], model.slope_scale),
            percent(weights[i]),
          ]),
        },
        fit,
        weight,
      };
    },
  });
});
