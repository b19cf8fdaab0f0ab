// The frame of every dial: controls, axes, marks, legend, readout and table. A dial says what to draw at a
// setting; this file draws it, in a page of the book as in JupyterLab. See CONTRIBUTING, "A dial of your own".
window.hbDials = (() => {
  "use strict";
  const makers = {};
  const SVG = "http://www.w3.org/2000/svg";
  const THUMB = 24; // px: the slider's knob, which keeps its whole width inside the track
  const MARGIN = { top: 10, right: 14, bottom: 42 };

  const style = (palette) => {
    const set = (colours) => Object.entries(colours).map(([k, v]) => `--hb-${k}:${v}`).join(";");
    return `
.hb-dial{${set(palette.light)};--line:#8a8a8a;--hb-ground:var(--pst-color-background,var(--jp-layout-color0,#fff));
color:var(--pst-color-text-base,var(--jp-content-font-color1,#222));font:.9375rem/1.45 var(--hb-font-ui,system-ui,sans-serif);
background:var(--hb-ground);position:relative;margin:.5rem 0;max-width:46rem;text-align:left;container-type:inline-size}
html[data-theme=dark] .hb-dial,[data-jp-theme-light=false] .hb-dial{${set(palette.dark)}}
.hb-dial svg{display:block;overflow:visible;width:100%}
.hb-dial svg text{fill:currentColor;font-size:13px}
.hb-dial .hb-panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.8rem 1rem}
.hb-dial [hidden]{display:none}
.hb-dial path{stroke-linejoin:round;stroke-linecap:round}
.hb-dial .hb-axis{fill:none;stroke:var(--line)}
.hb-dial ul.hb-legend.hb-legend{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:0 0 .4rem;padding:0;list-style:none}
.hb-dial .hb-legend li{display:flex;align-items:center;gap:.4rem;margin:0}
.hb-dial .hb-legend svg{flex:none;width:26px;height:12px}
.hb-control{display:block;margin:.4rem 0 0;font-weight:400}
.hb-control .hb-value{font-weight:600;font-variant-numeric:tabular-nums}
.hb-control select{font:inherit;color:inherit;background:var(--hb-ground);border:1px solid var(--line);border-radius:4px;
min-height:28px;margin-left:.3rem}
.hb-dial input[type=range]{appearance:none;-webkit-appearance:none;display:block;width:100%;height:32px;margin:0;
background:none;cursor:pointer}
.hb-dial input::-webkit-slider-runnable-track{height:6px;border-radius:3px;background:var(--line)}
.hb-dial input::-moz-range-track{height:6px;border-radius:3px;background:var(--line)}
.hb-dial input::-webkit-slider-thumb{-webkit-appearance:none;width:${THUMB}px;height:${THUMB}px;margin-top:-9px;
border-radius:50%;border:3px solid var(--hb-ground);background:var(--hb-partial);box-shadow:0 0 0 1px var(--line)}
.hb-dial input::-moz-range-thumb{box-sizing:border-box;width:${THUMB}px;height:${THUMB}px;border-radius:50%;
border:3px solid var(--hb-ground);background:var(--hb-partial);box-shadow:0 0 0 1px var(--line)}
.hb-dial :is(select,summary,.hb-table):focus-visible{outline:3px solid var(--hb-unpooled);outline-offset:-2px;border-radius:4px}
.hb-dial input:focus-visible{outline:3px solid var(--hb-unpooled);outline-offset:-3px;border-radius:16px}
.hb-dial .hb-readout{min-height:2.9em;margin-top:.8rem}
@container (max-width:30rem){.hb-dial .hb-readout{min-height:5.8em}}
.hb-dial output{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.hb-dial details{margin-top:.3rem}
.hb-dial details>summary{display:list-item;list-style:disclosure-closed inside;min-height:24px;cursor:pointer}
.hb-dial details[open]>summary{list-style-type:disclosure-open}
.hb-dial .hb-table{max-height:20rem;overflow:auto;margin-bottom:.8rem;border-bottom:1px solid var(--line)}
.hb-dial table{border-collapse:collapse;margin:.3rem 0;font-variant-numeric:tabular-nums}
.hb-dial :is(th,td){padding:.1rem .8rem .1rem 0;text-align:right;font-weight:400;background:none}
.hb-dial th{white-space:nowrap}
.hb-dial thead th{border-bottom:1px solid var(--line);font-weight:600}
.hb-dial :is(th,td):first-child{text-align:left}
@media screen{.hb-static{display:none!important}}
@media print{.hb-dial{display:none!important}}
@media (forced-colors:active){
.hb-dial input::-webkit-slider-runnable-track{forced-color-adjust:none;background:CanvasText}
.hb-dial input::-moz-range-track{forced-color-adjust:none;background:CanvasText}
.hb-dial input::-webkit-slider-thumb{forced-color-adjust:none}
.hb-dial input::-moz-range-thumb{forced-color-adjust:none}
}`;
  };

  // An element with attributes and children; SVG's have a namespace of their own.
  const make = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "g", "path", "text", "line", "rect"].includes(tag);
    const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // Round numbers to put ticks at, about `count` of them.
  const ticks = ([low, high], count) => {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
    const first = Math.ceil(low / step - 1e-9);
    const found = [];
    for (let i = first; i * step <= high + 1e-9 * step; i++) found.push(+(i * step).toPrecision(12));
    return found;
  };

  // Three significant digits of a number of the size `scale`, its own if left out; a true minus sign.
  const number = (value, scale = Math.abs(value)) => {
    if (value === 0 || !Number.isFinite(value)) return { Infinity: "∞", 0: "0" }[value] ?? "–";
    const places = Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(scale))));
    return value.toFixed(places).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
  };

  // A share between 0 and 1, which only looks certain where it is.
  const percent = (share) => {
    const rounded = Math.round(100 * share);
    if (rounded === 0 && share > 1e-9) return "under 1 %";
    if (rounded === 100 && share < 1 - 1e-9) return "over 99 %";
    return `${rounded} %`;
  };

  // A number as short as it is.
  const tick = (value) => String(value).replace("-", "−");

  const DASHES = { pooled: "9 4", unpooled: "9 3 2 3", population: "1.5 4" };

  const outline = (mark, x, y) => {
    const at = ([a, b]) => `${x(a).toFixed(2)} ${y(b).toFixed(2)}`;
    const ring = `m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0`;
    if (mark.type === "points") return mark.data.map((p) => `M${at(p)}${mark.hollow ? ring : "h0"}`).join("");
    const line = (points) => (points.length ? `M${points.map(at).join("L")}` : "");
    if (mark.type === "band") return line([...mark.data[0], ...[...mark.data[1]].reverse()]) + "Z";
    return mark.data.map(line).join("");
  };

  const paint = (mark) => {
    const colour = `var(--hb-${mark.colour})`;
    if (mark.type === "band") return { fill: colour, "fill-opacity": mark.opacity ?? 0.22, stroke: "none" };
    if (mark.hollow) return { fill: "var(--hb-ground)", stroke: colour, "stroke-width": 1.5, "stroke-opacity": 1 };
    const size = mark.size ?? (mark.type === "points" ? 6 : 2);
    const dash = mark.type === "lines" && mark.dashed ? DASHES[mark.colour] ?? "none" : "none";
    return { fill: "none", stroke: colour, "stroke-width": size, "stroke-opacity": mark.opacity ?? 1, "stroke-dasharray": dash };
  };

  const SAMPLES = { points: [[13, 6]], lines: [[[1, 6], [25, 6]]], band: [[[0, 0], [26, 0]], [[0, 12], [26, 12]]] };

  // An entry of the legend shows how one of the marks is painted, whatever that is just now.
  const entry = ([text, index]) => {
    const path = make("path");
    const swatch = make("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, path);
    let colour;
    const draw = (mark) => {
      if (mark.colour === colour) return;
      colour = mark.colour;
      const self = (v) => v;
      const look = { d: outline({ ...mark, data: SAMPLES[mark.type] }, self, self), ...paint(mark) };
      for (const [key, value] of Object.entries(look)) path.setAttribute(key, value);
    };
    return { element: make("li", {}, swatch, text), draw: (marks) => draw(marks[index]) };
  };

  // One pair of axes. Clips what leaves it, and is laid out anew when the width changes.
  const panel = (spec) => {
    const id = `hb-dial-${Math.random().toString(36).slice(2)}`; // a notebook loads this file with each dial
    const svg = make("svg", { role: "img", "aria-label": spec.title });
    let before = []; // what is drawn already need not be drawn again
    const frame = make("g", { class: "hb-axis" });
    const clip = make("rect");
    const clipPath = document.createElementNS(SVG, "clipPath");
    clipPath.id = `${id}-clip`;
    clipPath.append(clip);
    const marks = make("g", { "clip-path": `url(#${id}-clip)` });
    svg.append(clipPath, frame, marks);
    const scale = { x: null, y: null };

    const layout = (width) => {
      before = [];
      const height = Math.round(Math.min(spec.height ?? 340, Math.max(240, width * 0.75)));
      const right = width - MARGIN.right;
      const bottom = height - MARGIN.bottom;
      const linear = ([low, high], from, to) => (v) => from + ((v - low) / (high - low)) * (to - from);
      const up = ticks(spec.y.domain, height / 60);
      const left = 32 + 7.5 * Math.max(...up.map((v) => tick(v).length));
      scale.x = linear(spec.x.domain, left, right);
      scale.y = linear(spec.y.domain, bottom, MARGIN.top);
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("height", height);
      const box = { x: left, y: MARGIN.top, width: right - left, height: bottom - MARGIN.top };
      for (const [key, value] of Object.entries(box)) clip.setAttribute(key, value);
      frame.replaceChildren(
        make("path", { d: `M${left} ${MARGIN.top}V${bottom}H${right}` }),
        ...ticks(spec.x.domain, Math.min(10, width / 60)).flatMap((v) => [
          make("path", { d: `M${scale.x(v)} ${bottom}v5` }),
          make("text", { x: scale.x(v), y: bottom + 19, "text-anchor": "middle", stroke: "none" }, tick(v)),
        ]),
        ...up.flatMap((v) => [
          make("path", { d: `M${left} ${scale.y(v)}h-5` }),
          make("text", { x: left - 9, y: scale.y(v) + 4, "text-anchor": "end", stroke: "none" }, tick(v)),
        ]),
        make("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle", stroke: "none" },
          spec.x.label),
        make("text", { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`,
          "text-anchor": "middle", stroke: "none" }, spec.y.label),
      );
    };

    const draw = (list) => {
      while (marks.childElementCount < list.length) marks.append(make("path"));
      list.forEach((mark, i) => {
        const path = marks.children[i];
        if (mark.data !== before[i]?.data) path.setAttribute("d", outline(mark, scale.x, scale.y));
        if (mark.colour === before[i]?.colour) return;
        for (const [key, value] of Object.entries(paint(mark))) path.setAttribute(key, value);
      });
      before = list;
    };
    return { svg, layout, draw, scale };
  };

  // Beneath a slider: a scale, and the interval where something lies.
  const strip = (control) => {
    const svg = make("svg", { "aria-hidden": "true", height: control.mark ? 42 : 20 });
    const layout = (width) => {
      const at = (position) => THUMB / 2 + (position / control.last) * (width - THUMB);
      svg.setAttribute("viewBox", `0 0 ${width} ${svg.getAttribute("height")}`);
      // The two ends are labelled whatever happens; one in between that would touch a neighbour is left out.
      const half = (text) => 4 * text.length;
      const ends = [control.ticks[0], control.ticks.at(-1)];
      let free = 2 * half(ends[0][1]) + 8;
      const limit = width - 2 * half(ends[1][1]) - 8;
      const inner = control.ticks.slice(1, -1).filter(([position, text]) => {
        const fits = at(position) - half(text) > free && at(position) + half(text) < limit;
        if (fits) free = at(position) + half(text) + 8;
        return fits;
      });
      const label = (x, anchor, text) => make("text", { x, y: 13, "text-anchor": anchor }, text);
      const labels = [
        label(0, "start", ends[0][1]),
        ...inner.map(([position, text]) => label(at(position), "middle", text)),
        label(width, "end", ends[1][1]),
      ];
      svg.replaceChildren(...labels);
      if (!control.mark) return;
      const { low, value, high, text } = control.mark; // positions, not values
      const middle = Math.min(Math.max(at(value), 4 * text.length), width - 4 * text.length);
      svg.append(
        make("path", { d: `M${at(low)} 22H${at(high)}`, stroke: "var(--hb-partial)", "stroke-width": 5 }),
        make("path", { d: `M${at(value)} 22h0`, stroke: "currentColor", "stroke-width": 9 }),
        make("text", { x: middle, y: 40, "text-anchor": "middle" }, text),
      );
    };
    return { svg, layout };
  };

  // A control's element, how to read it, and how to say what it says.
  const control = (spec, changed) => {
    const value = make("span", { class: "hb-value" });
    if (spec.options) {
      const select = make("select", {}, ...spec.options.map((o) => make("option", { value: o }, o)));
      select.value = spec.start;
      select.addEventListener("change", changed);
      return { element: make("label", { class: "hb-control" }, spec.label, select), read: () => select.value, say() {},
        layout() {} };
    }
    const input = make("input", { type: "range", min: 0, max: spec.last, step: 1, value: spec.start,
      "aria-label": spec.label }); // without the value, which is said by itself
    input.addEventListener("input", changed);
    const below = strip(spec);
    const label = make("label", { class: "hb-control" }, `${spec.label}: `, value, input);
    const say = (text) => {
      value.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
    return { element: make("div", {}, label, below.svg), read: () => +input.value, say, layout: below.layout };
  };

  const fill = (box, tables) => {
    const cell = (text, i) => (i ? make("td", {}, text) : make("th", { scope: "row" }, text));
    box.replaceChildren(...[tables].flat().map(({ head, rows }) => make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))),
    )));
  };

  // Put a dial into `el`. `spec` names title, x, y (or `panels`, each with its own), legend, controls, and
  // update(settings), which returns {marks, said, readout, table}: what to draw, each control's value in words,
  // what it means, all numbers.
  const dial = (el, spec) => {
    const plots = (spec.panels ?? [spec]).map(panel);
    const several = plots.length > 1;
    const legend = spec.legend.map(entry);
    const names = Object.keys(spec.controls);
    const box = make("div", { class: "hb-table", tabindex: 0, role: "group", "aria-label": "Numbers of the figure" });
    const details = make("details", {}, make("summary", {}, "The numbers"), box);
    const readout = make("div", { class: "hb-readout" });
    const spoken = make("output", { "aria-live": "polite" });
    const state = {};

    const redraw = (moved) => {
      const settings = Object.fromEntries(names.map((name) => [name, controls[name].read()]));
      const scene = spec.update(settings);
      plots.forEach((plot, i) => plot.draw(several ? scene.marks.filter(({ panel = 0 }) => panel === i) : scene.marks));
      for (const one of legend) one.draw(scene.marks);
      for (const name of names) {
        controls[name].say(scene.said?.[name]);
        controls[name].element.hidden = !(spec.controls[name].when?.(settings) ?? true);
      }
      if (readout.textContent !== scene.readout) readout.textContent = scene.readout;
      Object.assign(state, { settings, scene });
      // The table follows when the hand rests, and so a drag keeps up; what is spoken, a little later.
      clearTimeout(state.pause);
      clearTimeout(state.silence);
      if (details.open) state.pause = setTimeout(() => fill(box, state.scene.table), 100);
      if (moved) state.silence = setTimeout(() => (spoken.textContent = scene.readout), 500);
    };
    const controls = Object.fromEntries(names.map((name) => [name, control(spec.controls[name], redraw)]));
    details.addEventListener("toggle", () => details.open && fill(box, state.scene.table));
    el.append(make("ul", { class: "hb-legend" }, ...legend.map(({ element }) => element)),
      several ? make("div", { class: "hb-panels" }, ...plots.map(({ svg }) => svg)) : plots[0].svg,
      ...names.map((name) => controls[name].element), readout, spoken, details);

    let width = 0;
    const layout = () => {
      if (!el.clientWidth || el.clientWidth === width) return; // hidden, or nothing has changed
      width = el.clientWidth;
      for (const { svg, layout } of plots) layout(several ? svg.getBoundingClientRect().width : width);
      for (const name of names) controls[name].layout(width);
      redraw(false);
    };
    layout();
    new ResizeObserver(layout).observe(el);
    el.hbDial = { state, scale: plots[0].scale, scales: plots.map(({ scale }) => scale) }; // for tests and the curious
  };

  // The still picture, for paper and for pages without scripts, gives way. It stands in the figure that the dial
  // is put into, or else in the cell before, whose caption then comes along.
  const replaceStill = (el) => {
    const around = el.closest("figure");
    const image = (around ?? el.closest(".cell, .jp-Cell")?.previousElementSibling)?.querySelector("img");
    if (!image) return;
    image.loading = "eager"; // a hidden picture that loads late would be missing on paper
    (image.closest(".jp-OutputArea-child, a") ?? image).classList.add("hb-static");
    const figure = image.closest("figure");
    if (!figure || around) return;
    el.replaceWith(figure);
    figure.prepend(el);
  };

  const render = ({ model, el, name = el.dataset.dial }) => {
    if (!document.getElementById("hb-dial-style"))
      document.head.append(make("style", { id: "hb-dial-style" }, style(model.palette)));
    makers[name]({ model, draw: (spec) => dial(el, spec) });
    replaceStill(el); // not before: should the dial fail, the picture stays
  };

  const start = () => {
    for (const el of document.querySelectorAll(".hb-dial:not([data-drawn])")) {
      if (!makers[el.dataset.dial]) continue; // its script is still to come
      el.dataset.drawn = "";
      render({ model: JSON.parse(el.querySelector("script").textContent), el });
    }
  };
  const define = (name, maker) => {
    makers[name] = maker;
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
  };
  return { define, render, number, percent, tick };
})();
