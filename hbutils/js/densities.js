// Densities in one dimension, known up to a constant along a coordinate t: mass, mean, quantiles.
hbDials.densities = (() => {
  "use strict";
  const CUBIC = [9, 19, -5, 1]; // 24ths of the integral over the first step of a cubic through four nodes

  // A Chebyshev series in u, from -1 to 1 (Clenshaw).
  const series = (c) => (u) => {
    let [b, before] = [0, 0];
    for (let k = c.length - 1; k > 0; k--) {
      const next = c[k] + 2 * u * b - before;
      before = b;
      b = next;
    }
    return c[0] + u * b - before;
  };

  // The natural cubic spline through values at 0, 1, 2, ...; the first and the last hold beyond.
  const spline = (values) => {
    const last = values.length - 1;
    const [bend, w] = [new Float64Array(last + 1), new Float64Array(last + 1)]; // second derivatives
    for (let i = 1; i < last; i++) {
      w[i] = 1 / (4 - w[i - 1]);
      bend[i] = w[i] * (6 * (values[i - 1] - 2 * values[i] + values[i + 1]) - bend[i - 1]);
    }
    for (let i = last - 1; i > 0; i--) bend[i] -= w[i] * bend[i + 1];
    return (x) => {
      const at = Math.min(last, Math.max(0, x));
      const i = Math.min(last - 1, Math.floor(at));
      const [u, rest] = [at - i, i + 1 - at];
      return values[i] * rest + values[i + 1] * u + ((rest ** 3 - rest) * bend[i] + (u ** 3 - u) * bend[i + 1]) / 6;
    };
  };

  // n values of a function, in an array that is quick.
  const table = (n, value) => {
    const found = new Float64Array(n);
    for (let i = 0; i < n; i++) found[i] = value(i);
    return found;
  };

  // From the density's logarithm at equally spaced nodes from `low` to `high`, beyond which there is nothing.
  const density = (logs, low, high) => {
    const n = logs.length;
    const h = (high - low) / (n - 1);
    let top = -Infinity;
    for (let i = 0; i < n; i++) if (logs[i] > top) top = logs[i];
    const f = table(n, (i) => Math.exp(logs[i] - top));
    const cumulate = (g) => {
      const sum = new Float64Array(n);
      const end = (i, way) => (h / 24) * CUBIC.reduce((s, c, k) => s + c * g[i + way * k], 0);
      sum[1] = end(0, 1);
      for (let i = 2; i < n - 1; i++) sum[i] = sum[i - 1] + (h / 24) * (13 * (g[i - 1] + g[i]) - g[i - 2] - g[i + 1]);
      sum[n - 1] = sum[n - 2] + end(n - 1, -1);
      return sum;
    };
    const sum = cumulate(f);
    const total = sum[n - 1];
    // Between nodes: the cubic that has the integral and the density of both neighbours.
    const between = (i, u) => {
      const rest = 1 - u;
      return sum[i] * rest * rest * (1 + 2 * u) + sum[i + 1] * u * u * (3 - 2 * u) + h * u * rest * (rest * f[i] - u * f[i + 1]);
    };
    return {
      log: top + Math.log(total), // of the constant
      mean: (values) => cumulate(table(n, (i) => (f[i] ? f[i] * values[i] : 0)))[n - 1] / total,
      below(t) {
        const i = Math.min(n - 2, Math.max(0, Math.floor((t - low) / h)));
        return Math.min(1, Math.max(0, between(i, Math.min(1, Math.max(0, (t - low) / h - i))) / total));
      },
      quantile(q) {
        let [i, last] = [0, n - 1];
        while (last - i > 1) {
          const middle = (i + last) >> 1;
          if (sum[middle] <= q * total) i = middle;
          else last = middle;
        }
        let [u, up] = [0, 1];
        for (let k = 0; k < 44; k++) {
          const middle = (u + up) / 2;
          if (between(i, middle) <= q * total) u = middle;
          else up = middle;
        }
        return low + (i + u) * h;
      },
    };
  };
  return { series, spline, table, density };
})();
