// A term's meaning shows on hover, focus and a first tap; a second tap follows the link.
// Esc, leaving and a tap elsewhere hide it.
(() => {
  let link, box, wait, touch, shown; // link: the one shown

  const on = (type, act) => addEventListener(type, act, true);
  const term = ({ target }) => target.closest("a.term");
  const inBox = ({ target }) => target.closest("[role=tooltip]");

  const place = () => {
    if (!link) return;
    const at = link.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const below = at.bottom + 4;
    const above = Math.max(8, at.top - box.offsetHeight - 4);
    box.style.left = Math.max(8, Math.min(at.left, clientWidth - box.offsetWidth - 8)) + "px";
    box.style.top = (below + box.offsetHeight < clientHeight ? below : above) + "px";
  };

  const hide = () => {
    clearTimeout(wait);
    if (link) box.hidden = true;
    link = null;
  };

  const show = (to) => {
    hide();
    link = to;
    box = document.getElementById(to.getAttribute("aria-describedby"));
    box.hidden = false;
    place();
  };

  on("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    clearTimeout(wait);
    const to = term(event);
    if (to) wait = to !== link && setTimeout(show, 150, to);
    else if (link !== document.activeElement && !inBox(event)) wait = setTimeout(hide, 300);
  });
  on("focusin", ({ target }) => target.matches("a.term:focus-visible") && show(target));
  on("focusout", ({ target }) => target === link && !box.matches(":hover") && hide());
  on("keydown", ({ key }) => {
    touch = false;
    if (key === "Escape") hide();
  });
  on("pointerdown", (event) => {
    touch = event.pointerType === "touch";
    shown = link && term(event) === link;
    if (!shown && !inBox(event)) hide();
  });
  on("click", (event) => {
    const to = term(event);
    if (!to) return;
    if (!touch || shown) return hide();
    event.preventDefault();
    show(to);
  });
  on("scroll", place);
  on("resize", place);
})();
