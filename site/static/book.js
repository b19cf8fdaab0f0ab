// The contents of a page cover it on a phone. A link of theirs closes them, and the focus goes where it leads:
// the theme's script, which opens them, would send it back to the button.
addEventListener("DOMContentLoaded", () => {
  const contents = document.getElementById("pst-secondary-sidebar-modal");
  contents?.addEventListener("click", ({ target }) => {
    const link = target.closest("a");
    if (!link) return;
    const goThere = () => {
      const place = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      place?.setAttribute("tabindex", "-1");
      place?.focus();
    };
    contents.addEventListener("close", goThere, { once: true });
    contents.close();
  });

  // What a button has done is said to those who do not see it.
  const status = document.getElementById("hb-status");
  addEventListener("click", ({ target }) => {
    const button = target.closest(".copybtn, .theme-switch-button");
    if (!button) return;
    const words = () => button.matches(".copybtn")
      ? button.matches(".success") && "Copied"
      : [...button.querySelectorAll(".hb-mode")].find((mode) => mode.checkVisibility())?.textContent;
    setTimeout(() => (status.textContent = words() || ""), 100);
    setTimeout(() => (status.textContent = ""), 2000);
  });

  // Of a search, how much was found is said, and not all of it.
  const results = document.getElementById("search-results");
  if (results) {
    const name = () => results.querySelector(".search-summary")?.setAttribute("role", "status");
    new MutationObserver(name).observe(results, { childList: true });
  }
});

// The search shows the lines around a match, which it reads from the pages. From disk, a browser refuses that.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
