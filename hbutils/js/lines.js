// Gaussian lines in closed form, from six sums a group: what hbutils.conditional_posterior computes.
// Matrices are 2 by 2 and written [a, b, c, d], row by row; the prior of the population's mean is flat.
hbDials.lines = (() => {
  "use strict";
  const plus = (p, q) => p.map((v, i) => v + q[i]);
  const minus = (p, q) => p.map((v, i) => v - q[i]);
  const times = ([a, b, c, d], [e, f, g, h]) => [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
  const apply = ([a, b, c, d], [x, y]) => [a * x + b * y, c * x + d * y];
  const flip = ([a, b, c, d]) => [a, c, b, d];
  const inverse = ([a, b, c, d]) => [d, -b, -c, a].map((v) => v / (a * d - b * c));
  const ONE = [1, 0, 0, 1];

  // X'X and X'y of a group's observations.
  const sums = (x, y) => {
    let [n, sx, sxx, sy, sxy] = [0, 0, 0, 0, 0];
    x.forEach((v, i) => {
      n += 1;
      sx += v;
      sxx += v * v;
      sy += y[i];
      sxy += v * y[i];
    });
    return { xx: [n, sx, sx, sxx], xy: [sy, sxy] };
  };

  // Population and groups given the SDs. An infinite SD gives every group its own least-squares line.
  // `between` is the covariance of groups' lines; with b a group's own line and m the population's,
  // its line is m + weight (b - m), where weight = S (S + sigma^2 (X'X)^-1)^-1.
  const fit = (groups, { sigma, sigmaAlpha, sigmaBeta }) => {
    if (sigmaAlpha === Infinity) {
      return { groups: groups.map(({ xx, xy }) => ({ mean: apply(inverse(xx), xy), weight: ONE })) };
    }
    const between = [sigmaAlpha ** 2, 0, 0, sigmaBeta ** 2];
    const noise = ONE.map((v) => v * sigma ** 2);
    const parts = groups.map(({ xx, xy }) => {
      const m = inverse(plus(noise, times(xx, between))); // exists for a group with no data, too
      return { information: times(m, xx), pull: apply(m, xy) };
    });
    const total = parts.map((p) => p.information).reduce(plus);
    const cov = inverse(total);
    const mean = apply(cov, parts.map((p) => p.pull).reduce(plus));
    return {
      mean,
      cov,
      groups: parts.map(({ information, pull }) => {
        const weight = times(between, information);
        const rest = minus(ONE, weight);
        return {
          mean: plus(mean, apply(between, minus(pull, apply(information, mean)))),
          cov: plus(times(rest, between), times(times(rest, cov), flip(rest))),
          weight,
        };
      }),
    };
  };

  const at = ([intercept, slope], x) => intercept + slope * x;
  const sdAt = ([a, b, c, d], x) => Math.sqrt(Math.max(0, a + (b + c) * x + d * x * x));
  return { sums, fit, at, sdAt };
})();
