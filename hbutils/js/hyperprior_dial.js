// A prior on the SD between groups, the likelihood of that SD, and their product: the posterior.
// Everything is computed along t, where SD = c exp(sinh t); `log` of an SD stands for infinity's and zero's sake.
hbDials.define("hyperprior_dial", ({ model, draw }) => {
  const { number, percent, tick, densities } = hbDials;
  const [LOW, HIGH, STEP] = [-4.2, 10.5, 0.005];
  const studies = model.studies.map((study) => ({ ...study, rest: densities.series(study.series) }));
  const labels = studies.map((study) => study.label);
  const unit = model.unit && ` ${model.unit}`;
  const middle = Math.log(model.centre);

  // Logarithms of densities of log SD, up to a constant; k is the scale, a the second parameter.
  const shapes = {
    "half-normal": (log, sd, k) => log - 0.5 * (sd / k) ** 2,
    "half-Student-t": (log, sd, k, a) => log - 0.5 * (a + 1) * Math.log1p((sd / k) ** 2 / a),
    exponential: (log, sd, k) => log - sd / k,
    "Gamma(ε, ε) on the precision": (log, sd, k, a) => -2 * a * log - a * Math.exp(-2 * log),
    uniform: (log) => log,
  };
  const names = Object.keys(shapes);
  const [, T, , GAMMA, UNIFORM] = names;

  // What is left of the log likelihood when its power law for large SDs is taken out is a short series.
  const logLikelihood = ({ rest, centre, power }) => (log) => {
    const x = log - Math.log(centre);
    return rest(Math.tanh(x)) - (power / 2) * (Math.max(0, 2 * x) + Math.log1p(Math.exp(-2 * Math.abs(x))));
  };
  // At nodes up to `high`: log SD, SD, what the coordinate adds to a log density, and a study's log likelihood.
  const nodesTo = (high) => {
    const steps = Math.ceil((high - LOW) / STEP);
    const t = densities.table(steps + 1, (i) => LOW + (i * (high - LOW)) / steps);
    const logs = t.map((v) => middle + Math.sinh(v));
    return { high, logs, sds: logs.map(Math.exp), slopes: t.map((v) => Math.log(Math.cosh(v))), likelihoods: new Map() };
  };
  const usual = nodesTo(HIGH);
  const likelihoodAt = ({ logs, likelihoods }, study) => {
    if (!likelihoods.has(study)) likelihoods.set(study, logs.map(logLikelihood(study)));
    return likelihoods.get(study);
  };

  const top = model.x.domain[1];
  const grid = Array.from({ length: 201 }, (_, i) => top * Math.max(i / 200, 1e-4) ** 2); // spikes are at the left
  const curves = studies.map((study) => { // likelihoods: their height means nothing
    const at = grid.map(Math.log).map(logLikelihood(study));
    const peak = Math.max(...at);
    return [grid.map((sd, i) => [sd, 0.45 * model.y.domain[1] * Math.exp(at[i] - peak)])];
  });

  // An SD known by its logarithm, in words.
  const raised = (power) => `10${[...String(power)].map((d) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(d)]).join("")}`;
  const size = (log) => {
    const power = log / Math.LN10;
    return power > 5 || power < -2 ? raised(Math.round(power)) : number(Math.exp(log));
  };
  const ends = model.inside;

  draw({
    title: `Densities of the between-${model.group} SD: the prior, the likelihood and the posterior with its middle ` +
      "95 %. The text and the table below give the numbers.",
    x: model.x,
    y: model.y,
    legend: [["prior", 2], ["likelihood (any height)", 1], ["posterior", 3], ["its middle 95 %", 0]],
    controls: {
      shape: { label: `Prior on the between-${model.group} SD`, options: names, start: names[model.start.shape] },
      study: { label: "Data", options: labels, start: labels[0] },
      scale: { label: "Scale", last: model.scales.length - 1, start: model.start.scale,
        ticks: model.scale_ticks.map((i) => [i, tick(model.scales[i])]), when: ({ shape }) => shape !== GAMMA },
      nu: { label: "Degrees of freedom ν", last: model.nus.length - 1, start: model.start.nu,
        ticks: model.nus.map((v, i) => [i, tick(v)]), when: ({ shape }) => shape === T },
      epsilon: { label: "ε", last: model.epsilons.length - 1, start: model.start.epsilon,
        ticks: model.epsilon_ticks.map((i) => [i, tick(model.epsilons[i])]), when: ({ shape }) => shape === GAMMA },
    },
    update({ shape, study: label, scale, nu, epsilon }) {
      const study = studies[labels.indexOf(label)];
      const k = model.scales[scale];
      const [freedom, small] = [model.nus[nu], tick(model.epsilons[epsilon])];
      const second = shape === GAMMA ? +small : freedom;
      const nodes = shape === UNIFORM ? nodesTo(Math.asinh(Math.log(k) - middle)) : usual;
      const { high, logs, sds, slopes } = nodes;
      const likelihood = likelihoodAt(nodes, study);
      const form = shapes[shape];
      const logPrior = (log) => form(log, Math.exp(log), k, second);
      const at = (t) => middle + Math.sinh(t);
      const priors = densities.table(logs.length, (i) => form(logs[i], sds[i], k, second) + slopes[i]);
      const prior = densities.density(priors, LOW, high);
      const posterior = densities.density(priors.map((v, i) => v + likelihood[i]), LOW, high);
      const toT = (sd) => Math.asinh(Math.log(sd) - middle);
      const log = logLikelihood(study);
      const inside = shape === UNIFORM ? grid.filter((sd) => sd < k).concat(k < top ? k : []) : grid;
      const curve = (value) => inside.map((sd) => [sd, Math.exp(value(Math.log(sd)))]);
      const drop = inside.length < grid.length ? [[k, 0]] : []; // a uniform prior ends abruptly
      const ofPrior = curve((x) => logPrior(x) - x - prior.log);
      const ofPosterior = curve((x) => logPrior(x) + log(x) - x - posterior.log);
      const summary = (one) => Object.fromEntries([0.025, 0.1, 0.5, 0.9, 0.975].map((q) => [q, at(one.quantile(q))]));
      const [before, after] = [prior, posterior].map(summary);
      const [low, half, up] = [0.025, 0.5, 0.975].map((q) => after[q]);
      const mean = posterior.mean(sds);
      const share = (one) => one.below(toT(ends[1])) - one.below(toT(ends[0]));
      const beyond = (one) => 1 - one.below(toT(top));
      const band = ofPosterior.filter(([sd]) => sd >= Math.exp(low) && sd <= Math.exp(up));
      const between = `between ${tick(ends[0])} and ${tick(ends[1])}${unit}`;
      const row = (name, value) => [name, value(prior, before), value(posterior, after)];
      const meaning = { exponential: " (the mean)", [UNIFORM]: " (the upper end)" }[shape] ?? "";
      const right = [beyond(prior), beyond(posterior)];
      return {
        marks: [
          { type: "band", colour: "partial", data: [band.map(([sd]) => [sd, 0]), band] },
          { type: "lines", colour: "data", data: curves[labels.indexOf(label)], size: 1.5 },
          { type: "lines", colour: "population", data: [[...ofPrior, ...drop]], dashed: true, size: 2.5 },
          { type: "lines", colour: "partial", data: [[...ofPosterior, ...drop]], size: 3 },
        ],
        said: { scale: `${tick(k)}${unit}${meaning}`, nu: tick(freedom), epsilon: `${small}, so Gamma(${small}, ${small})` },
        readout: `Prior: 80 % of it lies between ${size(before[0.1])} and ${size(before[0.9])}${unit}, ${percent(share(prior))} ${between}` +
          `${right[0] > 0.005 ? `, ${percent(right[0])} to the right of the picture` : ""}. Posterior: median ${size(half)}${unit}, 95 % from ${size(low)} to ${size(up)}${unit}.`,
        table: {
          head: [`SD${unit && ` (${model.unit})`}`, "prior", "posterior"],
          rows: [
            ...Object.entries({ "2.5 %": 0.025, "10 %": 0.1, "median": 0.5, "90 %": 0.9, "97.5 %": 0.975 }).map(
              ([name, q]) => row(name, (_, one) => size(one[q]))),
            ["mean", "", size(Math.log(mean))],
            row(`${tick(ends[0])} to ${tick(ends[1])}${unit}`, (one) => percent(share(one))),
            row(`above ${tick(top)}${unit}`, (one) => percent(beyond(one))),
          ],
        },
        prior: { ...before, density: ofPrior, inside: share(prior), beyond: right[0] },
        posterior: { ...after, density: ofPosterior, inside: share(posterior), beyond: right[1], mean },
      };
    },
  });
});
