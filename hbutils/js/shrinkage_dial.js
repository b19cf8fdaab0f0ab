// One group's own mean and its population, each as sharp as it is, and the weighted mean of the two.
hbDials.define("shrinkage_dial", ({ model, draw }) => {
  const { number, percent, tick } = hbDials;
  const { mean, mu, counts, noise, between } = model;
  const unit = model.unit && ` ${model.unit}`;
  const inUnits = (v) => `${number(v)}${unit}`;
  const estimate = (n, sigma, sigmaAlpha) => {
    const k = (sigma / sigmaAlpha) ** 2;
    const weight = n / (n + k);
    return { k, weight, mean: mu + weight * (mean - mu), sd: sigma / Math.sqrt(n + k), own: sigma / Math.sqrt(n) };
  };
  // A bell of height 1, whatever its width, so that all can be seen together.
  const heights = (reach) => Array.from({ length: 81 }, (_, i) => reach * (i / 40 - 1)).map((z) => [z, Math.exp(-z * z / 2)]);
  const [WHOLE, MIDDLE] = [4, 1.959963984540054].map(heights);
  const bell = (centre, sd, part = WHOLE) => part.map(([z, height]) => [centre + sd * z, height]);
  // Lines that a slider leaves alone are the same array as before, which is not drawn again.
  const before = {};
  const unless = (name, key, make) => {
    if (before[name]?.key !== key) before[name] = { key, data: [make()] };
    return before[name].data;
  };
  const last = counts.at(-1);
  const along = Array.from({ length: 101 }, (_, i) => last * (i / 100) ** 2); // closer where the curve is steep

  draw({
    panels: [
      { title: `Bell curves over the ${model.quantity}: the population, the group's own mean, and the two together with ` +
          "the middle 95 %. The text and the table below give the numbers.",
        x: model.x, y: { label: "relative density", domain: [0, 1.08] } },
      { title: "The weight on the group's own mean against its number of observations, and where this group is on the curve.",
        x: { label: "observations in the group", domain: [0, last] },
        y: { label: "weight on its own mean", domain: [0, 1.04] } },
    ],
    legend: [["population", 1], ["own mean", 2], ["both together", 3], ["its middle 95 %", 0], ["this group", 6],
      ["half-way: n = k", 5]],
    controls: {
      n: { label: "Observations in the group, n", last: counts.length - 1, start: model.start.n,
        ticks: model.ticks.n.map((i) => [i, tick(counts[i])]) },
      sigma: { label: "Noise SD", last: noise.length - 1, start: model.start.sigma,
        ticks: model.ticks.sd.map((i) => [i, tick(noise[i])]) },
      sigmaAlpha: { label: "Between-group SD", last: between.length - 1, start: model.start.sigmaAlpha,
        ticks: model.ticks.sd.map((i) => [i, tick(between[i])]) },
    },
    update({ n: place, sigma: first, sigmaAlpha: second }) {
      const [n, sigma, sigmaAlpha] = [counts[place], noise[first], between[second]];
      const found = estimate(n, sigma, sigmaAlpha);
      const { k, weight, own, sd } = found;
      const band = bell(found.mean, sd, MIDDLE);
      const sum = number(n + k);
      return {
        marks: [
          { type: "band", colour: "partial", data: [band.map(([v]) => [v, 0]), band] },
          { type: "lines", colour: "population", data: unless("population", sigmaAlpha, () => bell(mu, sigmaAlpha)), dashed: true, size: 2.5 },
          { type: "lines", colour: "unpooled", data: unless("own", own, () => bell(mean, own)), dashed: true, size: 2.5 },
          { type: "lines", colour: "partial", data: [bell(found.mean, sd)], size: 3 },
          { panel: 1, type: "lines", colour: "partial", data: unless("weight", k, () => along.map((m) => [m, m / (m + k)])), size: 3 },
          { panel: 1, type: "points", colour: "data", data: k < last ? [[k, 0.5]] : [], hollow: true },
          { panel: 1, type: "points", colour: "partial", data: [[n, weight]], size: 12 },
        ],
        said: { n: tick(n), sigma: `${tick(sigma)}${unit}`, sigmaAlpha: `${tick(sigmaAlpha)}${unit}` },
        readout: `The population is worth k = ${number(k)} observations, so the own mean weighs ${percent(weight)}. Estimate: ` +
          `${inUnits(found.mean)}, SD ${inUnits(sd)}, as sharp as n + k = ${sum} observations alone.`,
        table: {
          head: ["source", `centre${unit && ` (${model.unit})`}`, `SD${unit && ` (${model.unit})`}`, "worth (observations)", "weight"],
          rows: [
            ["own mean", number(mean, model.scale), number(own), String(n), percent(weight)],
            ["population", number(mu, model.scale), number(sigmaAlpha), number(k), percent(1 - weight)],
            ["together", number(found.mean, model.scale), number(sd), sum, ""],
          ],
        },
        ...found,
      };
    },
  });
});
