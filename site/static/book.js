// A link of the contents that cover a phone's page closes them; the theme's script opens them.
addEventListener("DOMContentLoaded", () => {
  const contents = document.getElementById("pst-secondary-sidebar-modal");
  contents?.addEventListener("click", (event) => {
    if (event.target.closest("a")) contents.close();
  });
});

// The search shows the lines around a match, which it reads from the pages. From disk, a browser refuses that.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
