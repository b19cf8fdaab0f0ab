"""Checks that tell a student right from wrong without giving the answer away.

Most of them test a property that any right answer has: a residual that is orthogonal to the predictor, a
weight that grows with the group, two routes that meet. A check that holds says so in a line; one that does
not raises :class:`CheckFailed`, whose message says what was expected of the answer, not what the answer is.

The last part of the module, :func:`pack` and :func:`unpack`, turns answers into plain data, so that they can
be marked outside the kernel in which they were computed.
"""

from __future__ import annotations

import json
import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from hbutils.data import HbutilsError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CheckFailed",
    "agree",
    "array",
    "falling",
    "log_probability",
    "number",
    "one_of",
    "orthogonal",
    "pack",
    "rising",
    "self_check",
    "tends_to",
    "text",
    "unpack",
    "variables",
]

LARGEST = 1_000_000  # characters of an answer in plain form


class CheckFailed(HbutilsError, AssertionError):  # noqa: N818  # as NotConverged: what a reader meets
    """An answer lacks a property that a right one has."""


def _holds(what: str) -> None:
    print(f"✓ {what}")  # noqa: T201  # the student who runs the cell is who should see it


def _fail(name: str, why: str) -> CheckFailed:
    return CheckFailed(f"{name}: {why}")


def _is_number(value: object) -> bool:
    if isinstance(value, np.ndarray | xr.DataArray) and value.ndim == 0:
        value = value.item()
    return isinstance(value, numbers.Real | np.number) and not isinstance(value, bool | np.bool_)


def number(value: object, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Check that an answer is one finite number in a range.

    Parameters
    ----------
    value
        The answer: a Python or NumPy number, or an array without dimensions.
    name : str
        What the student calls it.
    low, high : float
        The smallest and the largest value that make sense.

    Returns
    -------
    float

    Raises
    ------
    CheckFailed
        If it is something else, is not finite, or lies outside the range.
    """
    if value is ...:
        raise _fail(name, "still has the dots of the question: put your answer in their place")
    if not _is_number(value):
        raise _fail(name, f"should be one number, but is {_described(value)}")
    found = float(value)  # type: ignore[arg-type]
    if not math.isfinite(found):
        raise _fail(name, f"should be finite, but is {found}")
    if not low <= found <= high:
        raise _fail(name, f"is {found:.4g}, which {_outside(low, high)}")
    _holds(f"{name} is a number{_within(low, high)}")
    return found


def _outside(low: float, high: float) -> str:
    if math.isinf(high):
        return f"is below {low:g}: it cannot be"
    if math.isinf(low):
        return f"is above {high:g}: it cannot be"
    return f"does not lie between {low:g} and {high:g}"


def _within(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f", at least {low:g}"
    return f", at most {high:g}" if math.isinf(low) else f" between {low:g} and {high:g}"


def _described(value: object) -> str:
    if value is None:
        return "None (does the function return its result?)"
    if value is ...:
        return "still the dots of the question"
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return f"{article} {kind}" + (f" of shape {shape}" if shape else "")


def array(
    value: object,
    name: str,
    *,
    shape: int | tuple[int, ...] | None = None,
    low: float = -math.inf,
    high: float = math.inf,
) -> NDArray[np.float64]:
    """Check that an answer is an array of finite numbers, of a shape and in a range.

    Parameters
    ----------
    value
        The answer: an array, a list, a Series or a DataArray of numbers.
    name : str
        What the student calls it.
    shape : int or tuple of int, optional
        What its shape must be.
    low, high : float
        The smallest and the largest value that make sense.

    Returns
    -------
    array
        The numbers.

    Raises
    ------
    CheckFailed
        If one of these does not hold.
    """
    if value is None or value is ... or isinstance(value, str | bytes | dict | set):
        raise _fail(name, f"should be an array of numbers, but is {_described(value)}")
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise _fail(name, f"should be an array of numbers, but is {_described(value)}") from None
    wanted = (shape,) if isinstance(shape, int) else shape
    if wanted is not None and found.shape != wanted:
        raise _fail(name, f"should have shape {wanted}, but has {found.shape}")
    if not np.isfinite(found).all():
        raise _fail(name, "holds values that are missing or infinite")
    if found.size and not (low <= found.min() and found.max() <= high):
        worst = found.min() if found.min() < low else found.max()
        raise _fail(name, f"holds {worst:.4g}, which {_outside(low, high)}")
    _holds(f"{name} holds {'x'.join(map(str, found.shape)) or 'one'} numbers{_within(low, high)}")
    return found


def text(value: object, name: str, *, words: int = 1) -> str:
    """Check that an answer is text of some length.

    Parameters
    ----------
    value
        The answer.
    name : str
        What the student calls it.
    words : int
        How many words there must be, at least.

    Raises
    ------
    CheckFailed
        If it is not text, or shorter.
    """
    if not isinstance(value, str):
        raise _fail(name, f"should be text in quotes, but is {_described(value)}")
    if len(value.split()) < words:
        raise _fail(name, f"should have {words} words or more, but has {len(value.split())}")
    _holds(f"{name} is text")
    return value


def one_of(value: object, name: str, options: Sequence[str]) -> str:
    """Check that an answer is one of several words; it does not say which is right.

    Parameters
    ----------
    value
        The answer.
    name : str
        What the student calls it.
    options : sequence of str
        The words to choose from.

    Raises
    ------
    CheckFailed
        If it is none of them.
    """
    if not isinstance(value, str) or value not in options:
        raise _fail(name, f"should be one of {', '.join(map(repr, options))}, but is {value!r:.60}")
    _holds(f"{name} is one of the choices")
    return value


def agree(one: ArrayLike, other: ArrayLike, what: str, *, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    """Check that two routes to one quantity meet.

    Parameters
    ----------
    one, other : array_like
        The same quantity, computed in two ways.
    what : str
        Names them: ``"the slope by hand and by NumPy"``.
    rtol, atol : float
        Relative and absolute tolerance.

    Raises
    ------
    CheckFailed
        If they differ by more, or in shape.
    """
    left, right = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if left.shape != right.shape:
        raise _fail(what, f"have different shapes, {left.shape} and {right.shape}")
    if not np.allclose(left, right, rtol=rtol, atol=atol):
        raise _fail(what, "do not agree")
    _holds(f"{what} agree")


def orthogonal(residuals: ArrayLike, against: ArrayLike, what: str, *, tolerance: float = 1e-6) -> None:
    """Check that residuals do not correlate with what has been fitted.

    Parameters
    ----------
    residuals, against : (N,) arrays
        Residuals, and a column of the design.
    what : str
        Names both: ``"residuals and day"``.
    tolerance : float
        The largest cosine of their angle that counts as none.

    Raises
    ------
    CheckFailed
        If lengths differ or the angle is not a right one.
    """
    r, x = np.asarray(residuals, dtype=float), np.asarray(against, dtype=float)
    if r.ndim != 1 or r.shape != x.shape:
        raise _fail(what, f"should be of one length, but have shapes {r.shape} and {x.shape}")
    size = np.linalg.norm(r) * np.linalg.norm(x)
    if not abs(r @ x) <= tolerance * size:
        raise _fail(what, "are not orthogonal: something is left that the line could still explain")
    _holds(f"{what} are orthogonal")


def rising(values: ArrayLike, what: str) -> None:
    """Check that each value is larger than the one before.

    Parameters
    ----------
    values : (M,) array
        The values, in order.
    what : str
        Names them: ``"the weight, as the group grows,"``.

    Raises
    ------
    CheckFailed
        If one is not.
    """
    _monotone(values, what, up=True)


def falling(values: ArrayLike, what: str) -> None:
    """Check that each value is smaller than the one before; see :func:`rising`."""
    _monotone(values, what, up=False)


def self_check(answer: object, check: Callable[[Any], object]) -> None:
    """Tell readers who try an exercise whether their answer can be right; nothing raises, nothing is marked.

    Parameters
    ----------
    answer
        What the reader found. While it is ``...``, the dots of the question, nothing is checked.
    check : callable
        What an answer must pass: one check of this module, or several.
    """
    if answer is ...:
        print("… no answer yet: put yours in the place of the dots, and run the cell")  # noqa: T201
        return
    try:
        check(answer)
    except CheckFailed as failed:
        print(f"✗ {failed}")  # noqa: T201
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        print(f"✗ this is not the kind of answer that was asked for ({type(error).__name__}: {error})")  # noqa: T201


def _monotone(values: ArrayLike, what: str, *, up: bool) -> None:
    steps = np.diff(np.asarray(values, dtype=float))
    if not np.all(steps > 0 if up else steps < 0):
        raise _fail(what, f"should {'rise' if up else 'fall'} at every step, and does not")
    _holds(f"{what} {'rises' if up else 'falls'}")


def tends_to(
    function: Callable[[float], ArrayLike],
    at: float,
    limit: ArrayLike,
    what: str,
    *,
    rtol: float = 1e-3,
    atol: float = 1e-6,
) -> None:
    """Check a limit: far out, or close in, a function is near a value that is known.

    Parameters
    ----------
    function : callable
        Of one number.
    at : float
        Where to look: very large or very small.
    limit : array_like
        What it must be near there.
    what : str
        Names the limit: ``"the weight of a very large group"``.
    rtol, atol : float
        Relative and absolute tolerance.

    Raises
    ------
    CheckFailed
        If it is not.
    """
    found = np.asarray(function(at), dtype=float)
    if not np.allclose(found, limit, rtol=rtol, atol=atol):
        raise _fail(what, "is not what it should be at this extreme: work out the limit by hand")
    _holds(f"{what} is as it should be")


def variables(model: pm.Model, wanted: Mapping[str, int | tuple[int, ...]]) -> None:
    """Check that a PyMC model has the unknowns that it should have, by name and shape.

    Parameters
    ----------
    model : pymc.Model
        The student's.
    wanted : mapping
        Name and shape of each unknown: ``{"mu": (), "alpha": 18}``.

    Raises
    ------
    CheckFailed
        If it is no model, or an unknown is missing, of another shape, or one too many.
    """
    free = getattr(model, "free_RVs", None)
    if free is None:
        raise _fail("model", f"should be a PyMC model, but is {_described(model)}")
    shapes = {rv.name: _shape(rv) for rv in free}
    for name, shape in wanted.items():
        full = (shape,) if isinstance(shape, int) else tuple(shape)
        if name not in shapes:
            raise _fail("model", f"has no unknown called {name!r}; it has {', '.join(shapes) or 'none'}")
        if shapes[name] != full:
            raise _fail("model", f"{name!r} should have shape {full}, but has {shapes[name]}")
    if extra := [name for name in shapes if name not in wanted]:
        raise _fail("model", f"has more unknowns than asked for: {', '.join(extra)}")
    if not model.observed_RVs:
        raise _fail("model", "has no observed variable: where do the data enter?")
    _holds(f"the model's unknowns are {', '.join(wanted)}")


def _plainly() -> Any:  # noqa: ANN401  # pytensor has no types here
    """A mode that evaluates without compiling, which is quicker for what is needed once or thrice."""
    from pytensor.compile.mode import Mode  # noqa: PLC0415  # slow to load, and most checks need no model

    return Mode(linker="py", optimizer="fast_compile")


def _shape(variable: Any) -> tuple[int, ...]:  # noqa: ANN401
    known = variable.type.shape
    return known if None not in known else tuple(int(n) for n in variable.shape.eval(mode=_plainly()))


def log_probability(model: pm.Model, points: Sequence[Mapping[str, ArrayLike]]) -> NDArray[np.float64]:
    """The model's log joint density at some values of its unknowns, up to nothing.

    Two models that say the same have the same values here, however they are written.

    Parameters
    ----------
    model : pymc.Model
        With the unknowns that `points` name.
    points : sequence of mappings
        Values of all unknowns, each on its natural scale: an SD is an SD, not its logarithm.

    Returns
    -------
    (M,) array
        In natural logarithms; the Jacobians of transformations are left out.

    Raises
    ------
    CheckFailed
        If the density cannot be evaluated.
    """
    density = model.compile_fn(
        model.logp(jacobian=False, sum=True),
        inputs=list(model.value_vars),
        mode=_plainly(),
        on_unused_input="ignore",
    )
    found = []
    for point in points:
        inside = {}
        for rv in model.free_RVs:
            if rv.name not in point:
                raise InputError(f"a point needs a value of {rv.name!r}")
            value = np.broadcast_to(np.asarray(point[rv.name], dtype=float), _shape(rv))
            transform = model.rvs_to_transforms[rv]
            if transform is not None:
                value = transform.forward(value, *rv.owner.inputs).eval(mode=_plainly())
            inside[model.rvs_to_values[rv].name] = value
        found.append(float(density(inside)))
    return np.array(found)


# --- answers as plain data ----------------------------------------------------------------------


def pack(value: object) -> str:
    """Turn an answer into JSON: numbers, text, arrays, tables, and lists and dictionaries of these.

    Parameters
    ----------
    value
        The answer.

    Returns
    -------
    str
        JSON text, which :func:`unpack` reads.

    Raises
    ------
    CheckFailed
        If it is anything else, or too large.
    """
    packed = json.dumps(_plain(value))
    if len(packed) > LARGEST:
        raise CheckFailed(f"an answer of {len(packed):,} characters is too large to be marked")
    return packed


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | np.bool_):
        return value.item() if isinstance(value, np.generic) else value
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]
    if isinstance(value, pd.DataFrame):
        columns = [[str(name), _plain(value[name].to_numpy())] for name in value.columns]
        return {"frame": columns, "index": [str(label) for label in value.index]}
    if isinstance(value, np.ndarray | xr.DataArray | pd.Series | pd.Index):
        return _plain_array(np.asarray(value))
    if isinstance(value, dict):
        return {"pairs": [[str(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise CheckFailed(
        f"an answer should be numbers, text, an array or a table, but this is {_described(value)}"
    )


def _plain_array(values: NDArray) -> dict[str, list]:
    if values.dtype.kind == "O":
        numeric = all(_is_number(item) for item in values.flat)
        if not numeric and not all(isinstance(item, str) or pd.isna(item) for item in values.flat):
            raise CheckFailed("an array to be marked should hold numbers or text")
        values = values.astype(float if numeric else str)
    if values.dtype.kind not in "biufU":
        raise CheckFailed(f"an array to be marked should hold numbers or text, not {values.dtype}")
    return (
        {"words": values.tolist()} if values.dtype.kind == "U" else {"numbers": values.astype(float).tolist()}
    )


def unpack(packed: str) -> Any:  # noqa: ANN401  # whatever was packed
    """Read what :func:`pack` wrote: floats, text, arrays, tables, lists and dictionaries.

    Parameters
    ----------
    packed : str
        JSON text. Nothing in it is run.

    Raises
    ------
    CheckFailed
        If it is not what :func:`pack` writes.
    """
    try:
        return _rich(json.loads(packed))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CheckFailed(f"this is no answer in plain form ({type(error).__name__})") from None


def _rich(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "frame" in value:
        return pd.DataFrame(
            {name: _rich(column) for name, column in value["frame"]}, index=pd.Index(value["index"])
        )
    if "numbers" in value:
        return np.array(value["numbers"], dtype=float)
    if "words" in value:
        return np.array(value["words"], dtype=str)
    return {key: _rich(item) for key, item in value["pairs"]}
