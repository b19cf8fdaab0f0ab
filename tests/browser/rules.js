// What rules.py asks of a page: each function runs in the page and returns what it finds.
() => {
  const text = (element, length = 80) => element.outerHTML.replace(/\s+/g, " ").slice(0, length);

  /** Whether an element, or one that holds it, keeps what is too wide to itself. */
  const kept = (element, ways) =>
    element && element !== document.body &&
    (ways.includes(getComputedStyle(element).overflowX) || kept(element.parentElement, ways));

  /** Any CSS colour as red, green, blue and alpha, 0 to 255. */
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(colour);
  };

  /** The colour that an element stands on. */
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = rgba(getComputedStyle(element).backgroundColor);
      if (colour[3] === 255) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };

  /** All by which an element, or what is close around it, can show that it has the focus. */
  const looks = (element) => {
    const found = [];
    for (let up = 0; element && up < 3; element = element.parentElement, up++) {
      for (const part of [null, "::before", "::after"]) {
        const style = getComputedStyle(element, part);
        if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth)) found.push(style.outline);
        found.push(
          style.boxShadow, style.borderColor, style.borderWidth, style.backgroundColor,
          style.textDecorationLine, style.textDecorationThickness,
        );
      }
    }
    return found.join(";");
  };

  /** Whether some of an element can be seen: it is in the window, and not all of it is covered. */
  const inSight = (element) =>
    [element.getBoundingClientRect(), ...element.getClientRects()].some(
      (box) => box.width > 1 && box.height > 1 &&
        [[0.5, 0.5], [0.05, 0.5], [0.95, 0.5], [0.5, 0.1], [0.5, 0.9]].some(([x, y]) => {
          const top = document.elementFromPoint(box.left + x * box.width, box.top + y * box.height);
          return top && (element.contains(top) || top.contains(element));
        }),
    );

  /** Let the Tab key start at the top of the page, wherever it was. */
  const startAtTheTop = () => {
    const root = document.documentElement;
    root.tabIndex = -1;
    root.focus();
    root.removeAttribute("tabindex");
    root.blur();
    window.scrollTo(0, 0);
  };

  return {
    ground,
    startAtTheTop,

    /** Note every colour of the text; a second call returns what has had another since, old and new. */
    changedColours() {
      const then = window.colours;
      window.colours = new Map([...document.querySelectorAll("article, article *")].map((e) =>
        [e, { colour: rgba(getComputedStyle(e).color), ground: ground(e) }]));
      return [...then ?? []].flatMap(([e, before]) => {
        const now = window.colours.get(e) ?? before;
        return `${now.colour} ${now.ground}` === `${before.colour} ${before.ground}` ? []
          : [before, now].map((pair) => ({ ...pair, name: text(e) }));
      });
    },

    scrollsSideways() {
      const root = document.scrollingElement, width = root.clientWidth;
      if (Math.max(root.scrollWidth, document.body.scrollWidth) <= width) return [];
      const wide = [...document.body.querySelectorAll("*")].filter(
        (e) => e.getBoundingClientRect().right > width + 0.5 &&
          !kept(e.parentElement, ["auto", "scroll", "hidden", "clip"]),
      );
      return [`wider than ${width} px: ${wide.slice(0, 3).map((e) => text(e)).join(" | ")}`];
    },

    async missingImages() {
      const problems = [];
      for (const image of document.images) {
        image.loading = "eager";
        await image.decode().catch(() => null);
        if (!image.naturalWidth) problems.push(`no picture: ${text(image)}`);
      }
      return problems;
    },

    headings() {
      const all = document.querySelectorAll(":is(h1, h2, h3, h4, h5, h6)");
      return [...all].filter((e) => e.checkVisibility()).map((e) => Number(e.tagName[1]));
    },

    formulas() {
      return [...document.querySelectorAll("article math")].filter((e) => e.checkVisibility()).length;
    },

    unsetFormulas() {
      const problems = [], article = document.querySelector("article") ?? document.body;
      const edge = article.getBoundingClientRect();
      for (const formula of article.querySelectorAll("math")) {
        if (!formula.checkVisibility()) continue;
        const box = formula.getBoundingClientRect();
        const tex = formula.textContent.slice(0, 60);
        if (box.width < 2 || box.height < 2) problems.push(`formula has no size: ${tex}`);
        const out = box.right > edge.right + 1 || box.left < edge.left - 1;
        if (out && !kept(formula.parentElement, ["auto", "scroll"]))
          problems.push(`formula sticks out of the article: ${tex}`);
        if (formula.getAttribute("display") !== "block") continue;
        const next = formula.closest("div, p, dd, li")?.nextElementSibling;
        const below = next?.checkVisibility() && next.getBoundingClientRect();
        if (below && below.height && box.bottom > below.top + 1)
          problems.push(`formula runs into what follows: ${tex}`);
      }
      for (const error of article.querySelectorAll("merror, .katex-error"))
        problems.push(`formula could not be set: ${error.textContent.slice(0, 60)}`);
      const nodes = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
      while (nodes.nextNode()) {
        const { data, parentElement } = nodes.currentNode;
        if (parentElement.closest("code, pre, math, script, style, svg")) continue;
        const raw = data.match(/\\[([\])]|\\[a-zA-Z]{2,}|\$[^$\s][^$]*\$/);
        if (raw) problems.push(`TeX that was not set: ${data.slice(raw.index, raw.index + 60)}`);
      }
      return problems;
    },

    moving() {
      const seconds = (list) => Math.max(...list.split(",").map(parseFloat));
      const problems = new Set();
      for (const element of document.querySelectorAll("*")) {
        for (const part of [null, "::before", "::after"]) {
          const style = getComputedStyle(element, part);
          const name = `<${element.localName} class="${element.getAttribute("class") ?? ""}">${part ?? ""}`;
          if (seconds(style.transitionDuration) > 0.01 && style.transitionProperty !== "none")
            problems.add(`${name} changes slowly: ${style.transitionProperty} ${style.transitionDuration}`);
          if (seconds(style.animationDuration) > 0.01 && style.animationName !== "none")
            problems.add(`${name} moves: ${style.animationName} ${style.animationDuration}`);
          if (style.scrollBehavior === "smooth") problems.add(`${name} scrolls smoothly`);
        }
      }
      return [...problems];
    },

    shownOnPaper() {
      const gone = "nav, [role=navigation], [role=search], dialog, button, input, select, .headerlink";
      const shown = [...document.querySelectorAll(gone)].filter(
        (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
          e.getBoundingClientRect().height > 1 && e.getBoundingClientRect().width > 1,
      );
      const article = document.querySelector("article") ?? document.body;
      return {
        controls: shown.map((e) => text(e)),
        ground: ground(article),
        inks: [...article.querySelectorAll("p, li, h1, h2, td")].filter((e) => e.checkVisibility()).map(
          (e) => ({ colour: rgba(getComputedStyle(e).color), ground: ground(e), name: text(e) })),
      };
    },

    /** Remember how everything looks while nothing has the focus. */
    rememberLooks() {
      startAtTheTop();
      window.plainLooks = new Map([...document.querySelectorAll("*")].map((e) => [e, looks(e)]));
      window.firstStop = null;
    },

    /** What the Tab key has come to; null at the end of the page. */
    stop() {
      const here = document.activeElement;
      if (!here || here === document.body || here === window.firstStop) return null;
      window.firstStop ??= here;
      const style = getComputedStyle(here), drawn = style.outlineStyle !== "none" && style.outlineStyle !== "auto";
      const { plainLooks } = window;
      return {
        name: text(here, 100),
        inSight: inSight(here),
        marked: !plainLooks.has(here) || plainLooks.get(here) !== looks(here),
        // A browser's own ring, "auto", is drawn to stand out from anything.
        outline: drawn && parseFloat(style.outlineWidth) ? rgba(style.outlineColor) : null,
        ground: ground(here.parentElement),
      };
    },
  };
}
