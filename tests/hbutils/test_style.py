"""The palette's promises, and that importing the package does nothing."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import hbutils as hb

PACKAGE = Path(hb.__file__).parent
ORDER = [
    "data", "simulate", "priors", "models", "sampling", "sums", "exact", "shrinkage", "prediction", "study",
    "style", "plots", "dials", "checks",
]  # fmt: skip

# sRGB to CIE XYZ (D65), and what a dichromat sees of linear sRGB (Machado, Oliveira and Fernandes 2009).
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
SIGHT = {
    "full": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    rgb = np.array(mpl.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


PAIRS = list(itertools.combinations(hb.PALETTE, 2))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_strategies_can_be_told_apart_by_every_eye(one, other, sight):
    """A distance of 15 in CIELAB, several times what is just noticeable."""
    matrix = np.array(SIGHT[sight])
    distance = np.linalg.norm(lab(matrix @ linear(hb.PALETTE[one])) - lab(matrix @ linear(hb.PALETTE[other])))
    assert distance > 15


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_strategies_can_be_told_apart_in_grey(one, other):
    lightness = [lab(linear(hb.PALETTE[name]))[0] for name in (one, other)]
    assert abs(lightness[0] - lightness[1]) > 10


@pytest.mark.parametrize("colour", [*hb.PALETTE.values(), hb.DATA])
def test_every_colour_stands_out_from_white(colour):
    """WCAG 2.2, 1.4.11: graphics at 3 to 1."""
    luminance = TO_XYZ[1] @ linear(colour)
    assert 1.05 / (luminance + 0.05) >= 3


CSS = (PACKAGE.parent / "site" / "static" / "book.css").read_text(encoding="utf-8")
DARK_PAGE = re.search(r'data-theme="dark"\] \{[^}]*--pst-color-background: (#\w+);', CSS)[1]
HUE_ROTATE_180 = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])


def test_dark_palette_is_what_the_pages_make_of_figures_in_the_dark():
    """Filter Effects 1: invert(1), then hue-rotate(180deg), whose matrix is above; then screened."""
    light, dark = {**hb.PALETTE, "data": hb.DATA}, {**hb.DARK_PALETTE, "data": hb.DARK_DATA}
    assert light.keys() == dark.keys()
    for name, colour in light.items():
        turned = np.clip(HUE_ROTATE_180 @ (1 - np.array(mpl.colors.to_rgb(colour))), 0, 1)
        seen = 1 - (1 - turned) * (1 - np.array(mpl.colors.to_rgb(DARK_PAGE)))
        np.testing.assert_allclose(mpl.colors.to_rgb(dark[name]), seen, atol=1.5 / 255, err_msg=name)


@pytest.mark.parametrize("colour", [*hb.DARK_PALETTE.values(), hb.DARK_DATA])
def test_every_dark_colour_stands_out_from_the_dark_page(colour):
    """WCAG 2.2, 1.4.11."""
    luminance, ground = TO_XYZ[1] @ linear(colour), TO_XYZ[1] @ linear(DARK_PAGE)
    assert (luminance + 0.05) / (ground + 0.05) >= 3


def test_strategies_differ_in_dashes_and_markers_as_well_as_in_colour():
    assert len({str(hb.line_style(name)["linestyle"]) for name in hb.PALETTE}) == len(hb.PALETTE)
    assert len({hb.marker_style(name)["marker"] for name in hb.PALETTE}) == len(hb.PALETTE)


def test_one_call_applies_the_house_style():
    with mpl.rc_context():
        mpl.rcdefaults()
        hb.use_style()
        assert not plt.rcParams["axes.spines.top"]
        assert plt.rcParams["figure.constrained_layout.use"]


def test_importing_changes_no_setting_and_loads_nothing_heavy():
    code = (
        "import sys, warnings, numpy as np, matplotlib as mpl\n"
        "def state(): return dict(mpl.rcParams), np.geterr(), list(warnings.filters)\n"
        "before = state()\n"
        "import hbutils as hb\n"
        "assert state() == before\n"
        "assert not {'pymc', 'arviz', 'nutpie', 'scipy', 'pandas'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_every_public_name_exists():
    for name in hb.__all__:
        assert getattr(hb, name) is not None


def imports(path: Path) -> set[str]:
    """Modules of the package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hbutils."):
            found.add(node.module.split(".")[1])
    return found


def type_only(path: Path) -> set[str]:
    """Those it imports for the sake of types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            found |= {
                n.module.split(".")[1]
                for n in node.body
                if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("hbutils.")
            }
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_from_those_above_it(path):
    below = set(ORDER[ORDER.index(path.stem) :])
    assert not (imports(path) - type_only(path)) & below


def test_the_exact_solution_s_parts_import_only_data_and_each_other():
    parts = {"_gaussian", "_quadrature", "_surrogate"}
    for part in parts:
        path = PACKAGE / f"{part}.py"
        assert imports(path) - type_only(path) <= {"data"} | parts
