"""The dials where readers use them: in a page, by keyboard, mouse and touch, on paper, and in JupyterLab.

What they draw is held to NumPy and to hbutils. The drawn numbers are read off the picture, by its own axes.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import built_book
import harness
import nbformat
import notebook_rules
import numpy as np
import pytest
from playwright.sync_api import expect

import hbutils as hb
from hbutils import dials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

PLACES = [
    ("chapters/index", "pooling_dial"),
    ("chapters/05-partial-pooling", "pooling_dial"),
    ("chapters/05-partial-pooling", "sparse_subject"),
]
COST = 15 * 1024  # bytes that dials may add to a page, compressed
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
BEFORE = [
    "import matplotlib.pyplot as plt\nimport hbutils as hb",
    "posterior = hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())",
    "plt.plot([0, 1]);",
]
CELLS = {
    "pooling_dial": 'hb.dials.pooling_dial(posterior, highlight="335")',
    "sparse_subject": 'hb.dials.sparse_subject(posterior, highlight="335")',
}


@pytest.fixture(scope="module")
def data() -> hb.GroupedData:
    return hb.load_sleepstudy()


@pytest.fixture(scope="module")
def mean(data: hb.GroupedData) -> dict[str, float]:
    """Posterior means, at which the dials hold what they do not turn."""
    return hb.exact_posterior(data, hb.Priors.for_sleepstudy()).summary()["mean"].to_dict()


class Figure:
    """A dial that a browser shows."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.box: Locator = page.locator(f".hb-dial#dial-{name}")
        self.box.locator("path").first.wait_for(state="attached")
        self.slider = self.box.get_by_role("slider").first

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript in which `dial` is the handle that the dial leaves on its element."""
        return self.box.evaluate(f"el => {{ const dial = el.hbDial; return {expression}; }}")

    @property
    def readout(self) -> str:
        return self.box.locator(".hb-readout").inner_text()

    def table(self) -> list[list[str]]:
        """Rows of the table, which follows when the hand rests."""
        self.page.wait_for_timeout(300)
        return self.box.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(c => c.textContent.replace('−', '-')))"
        )

    @property
    def scene(self) -> dict[str, Any]:
        return self.ask("dial.state.scene")

    def turn(self, position: int) -> None:
        """Set the slider as an assistive technology does."""
        self.slider.fill(str(position))

    def drawn(self) -> list[list[tuple[float, float]]]:
        """Points of every mark in units of the axes, which are read off the ticks' labels."""
        texts = self.box.locator(".hb-axis text[text-anchor]").evaluate_all(
            "all => all.map(t => [t.getAttribute('text-anchor'), +t.getAttribute('x'), "
            "+t.getAttribute('y'), Number(t.textContent.replace('−', '-'))])"
        )
        across = [(x, value) for anchor, x, _, value in texts if anchor == "middle" and value is not None]
        up = [(y - 4, value) for anchor, _, y, value in texts if anchor == "end"]
        across = [(x, value) for x, value in across if not np.isnan(value)]
        to_x, to_y = (np.poly1d(np.polyfit(*zip(*ticks, strict=True), 1)) for ticks in (across, up))
        outlines = self.box.locator("g[clip-path] path").evaluate_all(
            "all => all.map(p => p.getAttribute('d'))"
        )
        found = [re.findall(r"[ML]([-\d.]+) ([-\d.]+)", outline) for outline in outlines]
        return [[(to_x(float(x)), to_y(float(y))) for x, y in points] for points in found]


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return request.param


def lines_by_least_squares(data: hb.GroupedData, sigma_alpha: float, sigma_beta: float, sigma: float) -> Any:
    """Posterior means of the population's and the groups' lines, as one weighted least-squares problem.

    Every group's distance from the population counts as an observation of zero. Pure NumPy.
    """
    design = np.zeros((data.n_observations, 2 + 2 * data.n_groups))
    rows = np.arange(data.n_observations)
    design[rows, 2 + 2 * data.group], design[rows, 3 + 2 * data.group] = 1, data.x
    tie = np.hstack([np.tile(-np.eye(2), (data.n_groups, 1)), np.eye(2 * data.n_groups)])
    scale = np.tile([sigma_alpha, sigma_beta], data.n_groups)[:, None]
    stacked = np.vstack([design / sigma, tie / scale])
    target = np.concatenate([data.y / sigma, np.zeros(2 * data.n_groups)])
    return np.linalg.lstsq(stacked, target)[0].reshape(-1, 2)


def check_pooling(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the pooling dial to NumPy and hbutils at 20 positions and at both ends."""
    last = int(figure.slider.get_attribute("max") or 0)
    model = figure.ask("JSON.parse(el.querySelector('script').textContent)")
    for position in [*np.linspace(1, last - 1, 18).round().astype(int).tolist(), 0, last]:
        figure.turn(position)
        scene = figure.scene
        lines = np.array([group["mean"] for group in scene["fit"]["groups"]])
        if position == 0:
            expected = np.tile(np.polyfit(data.x, data.y, 1)[::-1], (data.n_groups, 1))
            weight = 0.0
        elif position == last:
            expected = np.array(
                [np.polyfit(data.x[r], data.y[r], 1)[::-1] for r in map(data.rows, data.labels)]
            )
            weight = 1.0
        else:
            sd = model["positions"][position]
            sds = {"sigma_alpha": sd, "sigma_beta": sd * mean["sigma_beta"] / mean["sigma_alpha"]}
            exact = hb.conditional_posterior(data, **sds, sigma=mean["sigma"])
            expected = exact.groups()[["alpha_mean", "beta_mean"]].to_numpy()
            weight = exact.weights().mean()
            by_numpy = lines_by_least_squares(data, **sds, sigma=mean["sigma"])
            np.testing.assert_allclose(lines, by_numpy[1:], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(scene["fit"]["mean"], by_numpy[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(lines, expected, **CLOSE)
        np.testing.assert_allclose(scene["weight"], weight, atol=1e-6)
        check_drawn_lines(figure, 1, expected)
        bold = expected[[data.position("335")]]
        check_drawn_lines(figure, 3, bold)
        assert f"335: {signed(bold[0, 1], 2)} ms per day." in figure.readout
        if 0.01 < weight < 0.99:
            assert (
                f"own line weighs {weight:.0%}, the population’s {1 - weight:.0%}.".replace("%", " %")
                in figure.readout
            )
        assert figure.box.locator(".hb-value").inner_text() == figure.slider.get_attribute("aria-valuetext")


def signed(value: float, places: int) -> str:
    """A number as the dials write it, with a true minus."""
    return f"{value:z.{places}f}".replace("-", "−")


def check_drawn_lines(figure: Figure, mark: int, expected: np.ndarray) -> None:
    """Hold a mark, lines from day 0 to day 9, to those expected."""
    drawn = np.array(figure.drawn()[mark]).reshape(-1, 2, 2)
    days = np.array([0.0, 9.0])
    np.testing.assert_allclose(drawn[..., 0], np.tile(days, (len(expected), 1)), atol=0.02)
    np.testing.assert_allclose(drawn[..., 1], expected[:, :1] + expected[:, 1:] * days, atol=0.1)


def check_pooling_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to the fit, which is held to hbutils elsewhere."""
    figure.turn(30)
    scene = figure.scene
    weight = f"{scene['weight']:.0%}".replace("%", " %")
    expected = [
        [label, f"{group['mean'][0]:.1f}", f"{group['mean'][1]:.2f}", weight]
        for label, group in zip(data.labels, scene["fit"]["groups"], strict=True)
    ]
    assert figure.table() == expected


def check_sparse_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to the fit and the data."""
    figure.turn(4)
    scene, days = figure.scene, np.arange(10.0)
    design = np.column_stack([np.ones(10), days])
    middle = design @ scene["mean"]
    half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", design, np.reshape(scene["cov"], (2, 2)), design))
    times = data.y[data.rows("335")]
    columns = np.column_stack([times, middle, middle - half, middle + half, design @ scene["population"]])
    rows = figure.table()
    assert [row[:2] for row in rows] == [[f"{d:g}", "yes" if d < 4 else "no"] for d in days]
    np.testing.assert_allclose([[float(c) for c in row[2:]] for row in rows], columns, atol=0.051)


def check_sparse(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the sparse subject to hbutils: two subjects, every number of days."""
    sds = {name: mean[name] for name in ("sigma_alpha", "sigma_beta", "sigma")}
    days = np.arange(10.0)
    design = np.column_stack([np.ones(10), days])
    for label in ("335", "308"):
        figure.box.get_by_role("combobox").select_option(label)
        for known in range(11):
            figure.turn(known)
            scene = figure.scene
            kept = data.keep((data.group != data.position(label)) | (data.x < known))
            exact = hb.conditional_posterior(kept, **sds)
            cov = np.reshape(scene["cov"], (2, 2))
            if known:
                row = exact.groups().loc[label]
                line, sd = row[["alpha_mean", "beta_mean"]], row[["alpha_sd", "beta_sd"]]
            else:  # somebody new: the population's line, with its uncertainty and people's spread
                line = exact.summary()["mean"]
                sd = np.hypot(exact.summary()["sd"], [sds["sigma_alpha"], sds["sigma_beta"]])
            np.testing.assert_allclose(scene["mean"], line, **CLOSE)
            np.testing.assert_allclose(np.sqrt(np.diag(cov)), sd, **CLOSE)
            np.testing.assert_allclose(scene["population"], exact.summary()["mean"], **CLOSE)
            half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", design, cov, design))
            marks = figure.drawn()
            band = np.array(marks[0])
            below = np.interp(days, *band[:41].T)
            above = np.interp(days, *band[41:][::-1].T)
            middle = design @ np.asarray(line)
            np.testing.assert_allclose(below, middle - half, atol=0.3)
            np.testing.assert_allclose(above, middle + half, atol=0.3)
            times = data.y[data.rows(label)]
            observed = np.column_stack([days, times])
            np.testing.assert_allclose(np.reshape(marks[5], (-1, 2)), observed[:known], atol=0.1)
            np.testing.assert_allclose(np.reshape(marks[4], (-1, 2)), observed[known:], atol=0.1)
            if known > 1:
                own = np.polyfit(days[:known], times[:known], 1)
                np.testing.assert_allclose(
                    np.interp(days, *np.transpose(marks[2])), np.polyval(own, days), atol=0.3
                )
            else:
                assert marks[2] == []
            population = exact.summary()["mean"]
            assert f"Slope: {signed(line.iloc[1], 2)} ms per day" in figure.readout
            assert f"population’s: {signed(population.iloc[1], 2)}." in figure.readout
            width = float(re.search(r"band is ([\d.]+) ms wide", figure.readout)[1])
            assert width == pytest.approx(2 * half[-1], rel=0.005)


CHECKS = {"pooling_dial": check_pooling, "sparse_subject": check_sparse}
TABLES = {"pooling_dial": check_pooling_table, "sparse_subject": check_sparse_table}


# ------------------------------------------------------------------------------
# In a page


def test_places_are_those_of_the_book(html: Path) -> None:
    pages = [(page, html / f"{page}.html") for page in built_book.listed_pages(notebook_rules.ROOT)]
    names = [
        (page, name)
        for page, path in pages
        for name in re.findall(r'data-dial="(\w+)"', path.read_text(encoding="utf-8"))
    ]
    assert sorted(names) == sorted(PLACES)
    shared = {f"{name}.js" for name in dials.SHARED}
    scripts = {path.name for path in dials.SCRIPTS.glob("*.js")} - shared
    assert {f"{name}.js" for _, name in PLACES} == scripts


@pytest.mark.parametrize(("page", "name"), PLACES)
class TestInAPage:
    @pytest.fixture
    def figure(self, browser: Browser, site: str, page: str, name: str) -> Iterator[Figure]:
        with harness.visit(browser, f"{site}/{page}.html", has_touch=True) as visit:
            yield Figure(visit.page, name)

    def test_it_draws_what_hbutils_computes(self, figure, name, data, mean) -> None:
        CHECKS[name](figure, data, mean)

    def test_keys_move_it(self, figure, name) -> None:
        del name
        slider, last = figure.slider, figure.slider.get_attribute("max")
        said = []
        for key, value in [
            ("Home", "0"),
            ("ArrowRight", "1"),
            ("ArrowUp", "2"),
            ("ArrowLeft", "1"),
            ("End", last),
        ]:
            slider.press(key)
            assert slider.input_value() == value, key
            said.append(slider.get_attribute("aria-valuetext"))
        assert said[1] == said[3]
        assert len(set(said)) == 4

    def test_a_drag_moves_it_and_the_lines(self, figure, name) -> None:
        del name
        figure.slider.scroll_into_view_if_needed()
        figure.slider.press("Home")
        box = figure.slider.bounding_box()
        before, middle = figure.drawn(), box["y"] + box["height"] / 2
        figure.page.mouse.move(box["x"] + 12, middle)
        figure.page.mouse.down()
        figure.page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
        figure.page.mouse.up()
        last = int(figure.slider.get_attribute("max"))
        assert abs(int(figure.slider.input_value()) - last / 2) <= 1
        assert figure.drawn() != before

    def test_a_finger_moves_it(self, figure, name) -> None:
        del name
        figure.slider.scroll_into_view_if_needed()
        figure.slider.press("Home")
        box = figure.slider.bounding_box()
        figure.page.touchscreen.tap(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        last = int(figure.slider.get_attribute("max"))
        assert abs(int(figure.slider.input_value()) - 0.75 * last) <= 0.05 * last + 1

    def test_it_speaks(self, figure, name) -> None:
        """A name without the value, a value in words, and a read-out that is heard when the hand rests."""
        del name
        spoken = figure.box.locator("output")
        assert spoken.get_attribute("aria-live") == "polite"
        label = figure.slider.get_attribute("aria-label")
        assert (
            figure.box.locator("label")
            .filter(has=figure.page.locator("input"))
            .inner_text()
            .startswith(label)
        )
        figure.slider.press("Home")
        at_home, value = figure.readout, figure.slider.get_attribute("aria-valuetext")
        figure.slider.press("End")
        assert figure.readout != at_home
        assert figure.slider.get_attribute("aria-valuetext") != value
        assert spoken.inner_text() == ""  # not while it moves
        expect(spoken).to_have_text(figure.readout, timeout=3000)
        assert spoken.bounding_box()["width"] <= 1  # heard, not seen a second time

    def test_the_table_has_the_numbers(self, figure, name, data) -> None:
        figure.box.locator("summary").click()
        TABLES[name](figure, data)

    def test_it_fits_a_narrow_screen(self, browser, site, page, name) -> None:
        with harness.visit(browser, f"{site}/{page}.html", width=320) as visit:
            figure = Figure(visit.page, name)
            widths = figure.box.locator("svg, svg text, input, .hb-readout").evaluate_all(
                "all => all.map(e => { const r = e.getBoundingClientRect(); return [r.left, r.right]; })"
            )
            assert min(left for left, _ in widths) >= 0
            assert max(right for _, right in widths) <= 320
            sizes = figure.box.locator("svg text").evaluate_all(
                """all => all.map(text => {
                    const { a, b } = text.getScreenCTM();
                    return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
                })"""
            )
            assert min(sizes) >= 12

    def test_its_picture_stands_in_for_it(self, browser, site, page, name) -> None:
        """Without scripts and on paper there is the picture; with scripts there is the dial."""
        address, dial = f"{site}/{page}.html", f".hb-dial#dial-{name}"
        with harness.visit(browser, address) as visit:
            figure = visit.page.locator("figure").filter(has=visit.page.locator(dial))
            picture, caption = figure.locator("img"), figure.locator("figcaption")
            source = picture.get_attribute("src")
            assert (picture.is_visible(), figure.locator(dial).is_visible()) == (False, True)
            assert caption.is_visible()
            visit.page.emulate_media(media="print")
            assert (picture.is_visible(), figure.locator(dial).is_visible()) == (True, False)
        with harness.visit(browser, address, java_script_enabled=False) as visit:
            assert visit.page.locator(f"img[src='{source}']").is_visible()
            assert not visit.page.locator(f"{dial} svg").count()


def compressed(text: str) -> int:
    return len(gzip.compress(text.encode(), 9))


def test_the_mark_stands_where_the_data_put_the_dial(browser: Browser, site: str, mean) -> None:
    """A click on the slider above the mark's dot sets the posterior mean; the words beneath say the same."""
    with harness.visit(browser, f"{site}/chapters/index.html") as visit:
        figure = Figure(visit.page, "pooling_dial")
        strip = figure.box.locator(":scope > div > svg")
        bar, dot = (box.bounding_box() for box in strip.locator("path").all())
        figure.slider.press("Home")
        slider = figure.slider.bounding_box()
        assert slider["x"] < bar["x"] < dot["x"] < bar["x"] + bar["width"] < slider["x"] + slider["width"]
        visit.page.mouse.click(dot["x"] + dot["width"] / 2, slider["y"] + slider["height"] / 2)
        found = figure.ask("JSON.parse(el.querySelector('script').textContent).positions")
        sd = found[int(figure.slider.input_value())]
        step = found[51] / found[50]
        assert 1 / step < sd / mean["sigma_alpha"] < step
        summary = (
            hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy()).summary().loc["sigma_alpha"]
        )
        words = f"{summary['mean']:.1f} ms (95 %: {summary['q2.5']:.1f} to {summary['q97.5']:.1f})"
        assert words in strip.locator("text").last.text_content()


def test_a_dial_that_fails_leaves_its_picture(browser: Browser, html: Path) -> None:
    with harness.visit(browser, "about:blank") as visit:
        visit.page.route("**/lines.js*", lambda route: route.abort())
        visit.page.goto((html / "chapters/index.html").as_uri())
        assert visit.page.locator("figure img").first.is_visible()


def test_two_dials_of_a_kind_do_not_cut_each_other(browser: Browser, site: str) -> None:
    with harness.visit(browser, f"{site}/chapters/index.html") as visit:
        box = visit.page.locator(".hb-dial")
        box.evaluate(
            """el => {
                const twin = document.createElement("div");
                const model = JSON.parse(el.querySelector("script").textContent);
                el.after(twin);
                hbDials.render({ model, el: twin, name: "pooling_dial" });
            }"""
        )
        ids = visit.page.locator("clipPath").evaluate_all("all => all.map(c => c.id)")
        assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize("page", sorted({page for page, _ in PLACES}))
def test_dials_cost_a_page_little(html: Path, page: str) -> None:
    """What the page would be without: no elements, no script files."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    names = {f"{name}.js" for place, dial in PLACES if place == page for name in dials.Dial(dial, {}).scripts}
    loaded = {
        src
        for src in re.findall(r'<script[^>]*src="[^"]*_static/(\w+\.js)[^"]*"></script>', text)
        if src in names
    }
    assert loaded == names
    without = re.sub(r'<div class="hb-dial".*?</script></div>', "", text, flags=re.DOTALL)
    without = re.sub(rf"<script[^>]*_static/({'|'.join(names)})[^>]*></script>", "", without)
    scripts = sum(compressed((html / "_static" / name).read_text(encoding="utf-8")) for name in names)
    assert 0 < compressed(text) - compressed(without) + scripts <= COST


def test_a_page_has_the_scripts_as_files_only(html: Path) -> None:
    for page in built_book.listed_pages(notebook_rules.ROOT):
        assert "hbDials.define" not in (html / f"{page}.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------
# In JupyterLab


@pytest.fixture(scope="module")
def notebook(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A notebook with both dials, run in JupyterLab."""
    scratch = tmp_path_factory.mktemp("jupyter")
    folder = scratch / "notebooks"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(cell) for cell in [*BEFORE, *CELLS.values()]]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "dials.ipynb")
    with (
        harness.jupyterlab(folder, scratch) as address,
        harness.visit(browser, f"{address}/lab/tree/dials.ipynb?reset") as visit,
    ):
        page = visit.page
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(f"#dial-{[*CELLS][-1]} path").first.wait_for(state="attached", timeout=120_000)
        yield page
        assert visit.outside == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_notebook_s_dial_is_the_same(notebook, name, data, mean) -> None:
    CHECKS[name](Figure(notebook, name), data, mean)


def test_in_a_notebook_too_the_picture_gives_way(notebook) -> None:
    assert notebook.locator(".jp-OutputArea img").count() == 1
    assert not notebook.locator(".jp-OutputArea img").is_visible()
