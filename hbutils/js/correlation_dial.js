// The LKJ prior's eta: how correlated intercepts and slopes may be, and what is left of it given the data.
// Everything is computed along t, where rho = tanh(pi / 2 sinh t).
hbDials.define("correlation_dial", ({ model, draw }) => {
  const { number, percent, tick, densities } = hbDials;
  const [HIGH, NODES] = [4, 1601];
  const rhoAt = (t) => Math.tanh((Math.PI / 2) * Math.sinh(t));
  const tAt = (rho) => Math.asinh((2 / Math.PI) * Math.atanh(rho));
  const spline = densities.spline(model.likelihood.log); // beyond whose ends it does not change any more
  const logLikelihood = (t) => spline((t - model.likelihood.start) / model.likelihood.step);
  // log(1 - rho^2) and that of the slope of t, up to a constant
  const logRest = (t) => {
    const y = Math.PI * Math.abs(Math.sinh(t));
    return 2 * Math.LN2 - y - 2 * Math.log1p(Math.exp(-y));
  };
  const nodes = densities.table(NODES, (i) => -HIGH + (2 * HIGH * i) / (NODES - 1));
  const [rests, slopes, likelihoods, rhos] = [logRest, (t) => Math.log(Math.cosh(t)), logLikelihood, rhoAt].map((f) =>
    nodes.map(f));

  const grid = Array.from({ length: 161 }, (_, i) => 0.9999 * Math.sin((Math.PI / 2) * (i / 80 - 1))); // rho
  const [gridRests, gridLikelihoods] = [logRest, logLikelihood].map((f) => grid.map(tAt).map(f));
  const RADIUS = Math.sqrt(-2 * Math.log(0.05)); // of a circle that holds 95 % of two independent normals
  const circle = Array.from({ length: 65 }, (_, i) =>
    [RADIUS * Math.cos((Math.PI * i) / 32), RADIUS * Math.sin((Math.PI * i) / 32)]);
  const [a, b] = model.sds;
  const [muA, muB] = model.mean;
  const ellipse = (rho) => circle.map(([x, y]) => [muA + a * x, muB + b * (rho * x + Math.sqrt(1 - rho * rho) * y)]);

  // A group's line: mu + (S^-1 + X'X / sigma^2)^-1 X'(y - X mu) / sigma^2, with S the population's covariance.
  const lineOf = ({ xx: [n, sx, sxx], pull: [p, q] }, rho) => {
    const det = (a * b) ** 2 * (1 - rho * rho);
    const [k, l, m] = [n + (b * b) / det, sx - (rho * a * b) / det, sxx + (a * a) / det];
    const size = k * m - l * l;
    return [muA + (m * p - l * q) / size, muB + (k * q - l * p) / size];
  };
  const own = model.groups.filter((g) => g.own).map((g) => g.own);
  const signed = (v) => number(v, 1);

  draw({
    panels: [
      { title: "Densities of the correlation: prior and posterior, with its middle 95 %.",
        x: { label: "correlation ρ of intercept and slope", domain: [-1, 1] }, y: { label: "density", domain: model.density } },
      { title: `Slope against intercept: a point for each ${model.group}, the ellipse that holds 95 % of the population, and ` +
          "thin those whose ρ is the prior’s 5, 25, 75 and 95 % point. The text and the table below give the numbers.",
        x: model.x, y: model.y },
    ],
    legend: [["prior", 1], ["posterior", 2], [`each ${model.group}’s own line`, 4], [`each ${model.group}, partially pooled`, 6]],
    controls: {
      eta: { label: "η of the LKJ prior", last: model.etas.length - 1, start: model.start,
        ticks: model.ticks.map((i) => [i, tick(model.etas[i])]) },
    },
    update({ eta: position }) {
      const eta = model.etas[position];
      const logs = densities.table(NODES, (i) => eta * rests[i] + slopes[i]);
      const prior = densities.density(logs, -HIGH, HIGH);
      const posterior = densities.density(logs.map((v, i) => v + likelihoods[i]), -HIGH, HIGH);
      // d rho / dt = pi / 2 cosh t (1 - rho^2), of which the first factor stands in the constants too
      const curve = (one, extra) => grid.map((rho, i) =>
        [rho, Math.exp((eta - 1) * gridRests[i] + extra(i) - one.log) / (Math.PI / 2)]);
      const ofPrior = curve(prior, () => 0);
      const ofPosterior = curve(posterior, (i) => gridLikelihoods[i]);
      const quantiles = (one) => Object.fromEntries(
        [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975].map((q) => [q, rhoAt(one.quantile(q))]));
      const [before, after] = [prior, posterior].map(quantiles);
      const mean = posterior.mean(rhos);
      const positive = 1 - posterior.below(0);
      const lines = model.groups.map((g) => lineOf(g, mean));
      const band = ofPosterior.filter(([rho]) => rho >= after[0.025] && rho <= after[0.975]);
      return {
        marks: [
          { type: "band", colour: "partial", data: [band.map(([rho]) => [rho, 0]), band] },
          { type: "lines", colour: "population", data: [ofPrior], dashed: true, size: 2.5 },
          { type: "lines", colour: "partial", data: [ofPosterior], size: 3 },
          { panel: 1, type: "lines", colour: "population", data: [0.05, 0.25, 0.75, 0.95].map((q) => ellipse(before[q])),
            dashed: true, size: 1.5, opacity: 0.6 },
          { panel: 1, type: "points", colour: "unpooled", data: own, hollow: true },
          { panel: 1, type: "lines", colour: "partial", data: [ellipse(mean)], size: 3 },
          { panel: 1, type: "points", colour: "partial", data: lines, size: 7 },
        ],
        said: { eta: tick(eta) },
        readout: `Prior: 95 % from ${signed(before[0.025])} to ${signed(before[0.975])}. ` +
          `Posterior: mean ${signed(mean)}, 95 % from ${signed(after[0.025])} to ${signed(after[0.975])}; above zero with ${percent(positive)}.`,
        table: [
          { head: ["ρ", "prior", "posterior"],
            rows: [...Object.entries(before).sort((p, q) => p[0] - q[0]).map(([q, rho]) => [`${tick(100 * q)} %`, signed(rho), signed(after[q])]),
              ["mean", "0", signed(mean)]] },
          { head: [model.group, "intercept", "slope"],
            rows: lines.map((line, i) => [model.groups[i].label, number(line[0], model.scale[0]), number(line[1], model.scale[1])]) },
        ],
        prior: { ...before, density: ofPrior },
        posterior: { ...after, density: ofPosterior, mean, positive },
        lines,
      };
    },
  });
});
