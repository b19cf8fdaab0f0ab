// The simulation study, cell by cell: the models' errors against the shrinkage weight, beside the lines on which
// they would lie if the SDs were known. In standard errors of a group's own mean, unless it says otherwise.
hbDials.define("explorer_dial", ({ model, draw }) => {
  const { number, tick } = hbDials;
  const MODELS = ["pooled", "unpooled", "partial"];
  const { groups, observations, icc, sizes, found } = model;
  const weight = (n, r) => (n * r) / (n * r + 1 - r);

  // Errors if the SDs are known and groups equally large.
  const bracket = [(w) => w / (1 - w), () => 1, (w) => w];
  const onPaper = (J, w) => bracket.map((of) => Math.sqrt(1 / J + (1 - 1 / J) * of(w)));
  const grid = Array.from({ length: 101 }, (_, i) => Math.min(i / 100, 0.999));
  const lines = groups.map((J) => MODELS.map((_, k) => [grid.map((w) => [w, onPaper(J, w)[k]])]));

  // What the study found at a cell: integers of one width, above the least. Coverage in percent, errors in thousandths
  // of those on paper.
  const count = sizes.length * groups.length * observations.length * icc.length;
  const read = ([low, digits], at) => {
    const width = digits.length / count;
    return low + +digits.slice(at * width, (at + 1) * width);
  };
  const cell = (size, J, n, r) => {
    const at = (((n && size) * groups.length + J) * observations.length + n) * icc.length + r; // pairs are equal
    const paper = onPaper(groups[J], weight(observations[n], icc[r])).map((v) => v / 1000);
    const all = MODELS.map((name, k) => {
      const [error, error2se, coverage, more2se = 0] = found[name].map((column) => read(column, at));
      return { model: name, error: error * paper[k], error2se: error2se * paper[k], more2se: more2se * paper[k], coverage };
    });
    return all.map((one) => ({ ...one, more: one.error - all[2].error }));
  };

  draw({
    title: "Errors of the groups’ means under the three models against the shrinkage weight: what the study found, " +
      "beside lines for known SDs. The text and the table below give the numbers.",
    x: { label: "shrinkage weight", domain: [-0.02, 1.02] },
    y: { label: "RMSE / standard error of an own mean", domain: [0, 2] },
    legend: [["pooled", 1], ["unpooled", 2], ["partially pooled", 3], ["the cell chosen", 0]],
    controls: {
      J: { label: "Groups", last: groups.length - 1, start: model.start[0], ticks: groups.map((v, i) => [i, tick(v)]) },
      n: { label: "Observations a group", last: observations.length - 1, start: model.start[1],
        ticks: observations.map((v, i) => [i, tick(v)]) },
      r: { label: "Intraclass correlation", last: icc.length - 1, start: model.start[2],
        ticks: icc.map((v, i) => [i, tick(v)]) },
      size: { label: "Group sizes", options: sizes, start: sizes[0], when: ({ n }) => n > 0 },
    },
    update({ J, n, r, size: words }) {
      const cells = icc.map((_, i) => cell(sizes.indexOf(words), J, n, i));
      const chosen = cells[r];
      const at = icc.map((v) => weight(observations[n], v));
      const unit = 1 / Math.sqrt(observations[n]); // of an own mean's standard error, in noise SDs
      const noise = (v) => number(v * unit, unit);
      const each = (mark) => MODELS.map((colour, k) => ({ colour, ...mark(k) }));
      const points = MODELS.map((_, k) => cells.map((c, i) => [at[i] + 0.007 * (k - 1), c[k].error])); // stay apart
      const bars = points.map((all, k) => all.map(([x, y], i) => [-1, 1].map((side) => [x, y + side * cells[i][k].error2se])));
      const against = ({ more, more2se }) => (Math.abs(more) > more2se
        ? `${noise(Math.abs(more))} ± ${noise(more2se)} ${more > 0 ? "more" : "less"}` : "no clear difference");
      return {
        marks: [
          { type: "lines", colour: "data", data: [[[at[r], 0], [at[r], 2]]], size: 1 },
          ...each((k) => ({ type: "lines", data: lines[J][k], dashed: true, size: 1.6 })),
          ...each((k) => ({ type: "lines", data: bars[k], size: 1.6 })),
          ...each((k) => ({ type: "points", data: points[k], size: 5 })),
          ...each((k) => ({ type: "points", data: [points[k][r]], size: 11 })),
        ],
        said: { J: tick(groups[J]), n: tick(observations[n]), r: tick(icc[r]) },
        readout: `Weight ${number(at[r], 1)}. Error of partial pooling: ${noise(chosen[2].error)} ± ${noise(chosen[2].error2se)} noise SDs. ` +
          `Pooled: ${against(chosen[0])}; unpooled: ${against(chosen[1])}.`,
        table: [{
          head: ["noise SDs", "error", "±", "more", "±", "covered"],
          rows: chosen.map((c, k) => [c.model, noise(c.error), noise(c.error2se), ...(k < 2 ? [c.more, c.more2se].map(noise) : ["", ""]),
            `${c.coverage} %`]),
        }, {
          head: ["own SEs at ICC", "weight", ...MODELS],
          rows: cells.map((c, i) => [tick(icc[i]), number(at[i], 1), ...c.map(({ error }) => number(error, 1))]),
        }],
        chosen,
        cells,
        weights: at,
        lines: lines[J],
      };
    },
  });
});
