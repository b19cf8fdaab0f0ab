// A term's meaning appears on pointing at its link, on focus and on a first tap; a second tap follows the link.
// Esc, leaving and a tap elsewhere put it away. It stays while the pointer is on it.
(() => {
  let link, box, timer, touch, shown; // link: whose meaning is in the box

  const on = (type, act) => document.addEventListener(type, act, true);
  const termAt = (event) => event.target.closest("a.term");

  const place = () => {
    if (!link) return;
    const { left, top, bottom } = link.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const fits = bottom + box.offsetHeight + 4 < clientHeight;
    box.style.left = Math.max(8, Math.min(left, clientWidth - box.offsetWidth - 8)) + "px";
    box.style.top = (fits ? bottom + 4 : Math.max(8, top - box.offsetHeight - 4)) + "px";
  };

  const hide = () => {
    clearTimeout(timer);
    if (link) box.hidden = true;
    link = null;
  };

  const show = (term) => {
    hide();
    link = term;
    box = document.getElementById(term.getAttribute("aria-describedby"));
    box.hidden = false;
    place();
  };

  on("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    clearTimeout(timer);
    const term = termAt(event);
    if (term) timer = term !== link && setTimeout(show, 150, term);
    else if (link !== document.activeElement && !event.target.closest(".term-meaning")) timer = setTimeout(hide, 300);
  });
  on("focusin", (event) => event.target.matches("a.term:focus-visible") && show(event.target));
  on("focusout", (event) => event.target === link && hide());
  on("keydown", (event) => {
    touch = false;
    if (event.key === "Escape") hide();
  });
  on("pointerdown", (event) => {
    touch = event.pointerType === "touch";
    shown = link && termAt(event) === link;
    if (touch && !shown && !event.target.closest(".term-meaning")) hide();
  });
  on("click", (event) => {
    if (!touch || shown || !termAt(event)) return;
    event.preventDefault();
    show(termAt(event));
  });
  on("scroll", place);
  addEventListener("resize", place);
})();
