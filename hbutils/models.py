"""The three models in PyMC.

Names are those of the book: `alpha` and `beta` are an intercept and a slope, `mu_alpha`, `mu_beta`
the population's means, `sigma_alpha`, `sigma_beta` the between-group SDs, `sigma` the noise.
Chapters 3 to 5 write each model out; a test holds theirs and these to the same log-probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm

from hbutils.data import InputError
from hbutils.priors import (
    LKJ,
    Exponential,
    GammaPrecision,
    HalfNormal,
    HalfStudentT,
    Normal,
    Priors,
    ScalePrior,
    Uniform,
)

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from hbutils.data import GroupedData

__all__ = ["partial_pooling", "pooled", "unpooled"]


def _normal(name: str, prior: Normal, dims: str | None = None) -> TensorVariable:
    if prior.flat:
        return pm.Flat(name, dims=dims)
    # As floats: PyTensor takes the logarithm of a small integer in single precision.
    return pm.Normal(name, float(prior.mean), float(prior.sd), dims=dims)


def _scale(name: str, prior: ScalePrior, dims: str | None = None) -> TensorVariable:
    """A standard deviation under its prior."""
    match prior:
        case HalfNormal(scale):
            return pm.HalfNormal(name, float(scale), dims=dims)
        case HalfStudentT(nu, scale):
            return pm.HalfStudentT(name, nu=float(nu), sigma=float(scale), dims=dims)
        case Exponential(scale):
            return pm.Exponential(name, scale=float(scale), dims=dims)
        case Uniform(upper):
            return pm.Uniform(name, 0.0, float(upper), dims=dims)
        case GammaPrecision(shape, rate):
            tau = pm.Gamma(name.replace("sigma", "tau"), alpha=float(shape), beta=float(rate), dims=dims)
            return pm.Deterministic(name, tau**-0.5, dims=dims)


def _correlation(name: str, prior: LKJ) -> TensorVariable:
    """LKJ in two dimensions: twice a Beta less one, which compiles in a fraction of the time."""
    half = pm.Beta(f"{name}_beta", float(prior.eta), float(prior.eta))
    return pm.Deterministic(name, 2 * half - 1)


TAKEN = {
    *("alpha", "beta", "mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma", "rho", "rho_beta", "nu"),
    *("tau", "tau_alpha", "tau_beta", "z_alpha", "z_beta", "observation", "chain", "draw"),
}


def _new_model(data: GroupedData) -> pm.Model:
    clash = TAKEN & {data.y_name, data.x_name, data.group_name}
    if clash:
        raise InputError(f"column '{min(clash)}' has the name of something in the model: rename the column")
    for name in (data.y_name, data.x_name):
        if "/" in name:
            raise InputError(f"column '{name}' has a '/' in its name, which PyMC refuses: rename the column")
    return pm.Model(coords={data.group_name: list(data.labels), "observation": range(data.n_observations)})


def _outcome(
    data: GroupedData,
    alpha: TensorVariable,
    beta: TensorVariable | None,
    sigma: TensorVariable,
    nu: TensorVariable | None = None,
) -> None:
    """The likelihood, given each observation's intercept and slope; Student-t if given `nu`."""
    mean = alpha if data.x is None else alpha + beta * pm.Data(data.x_name, data.x, dims="observation")
    if nu is None:
        pm.Normal(data.y_name, mean, sigma, observed=data.y, dims="observation")
    else:
        pm.StudentT(data.y_name, nu=nu, mu=mean, sigma=sigma, observed=data.y, dims="observation")


def pooled(data: GroupedData, priors: Priors | None = None) -> pm.Model:
    """One line for everybody.

    Parameters
    ----------
    data : GroupedData
        The groups are ignored.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out. Uses `mu_alpha`, `mu_beta` and `sigma`.

    Returns
    -------
    pymc.Model
        With `alpha`, `beta` (given a predictor) and `sigma`.
    """
    priors = priors or Priors.weakly_informative(data)
    with _new_model(data) as model:
        alpha = _normal("alpha", priors.mu_alpha)
        beta = None if data.x is None else _normal("beta", priors.mu_beta)
        _outcome(data, alpha, beta, _scale("sigma", priors.sigma))
    return model


def unpooled(data: GroupedData, priors: Priors | None = None) -> pm.Model:
    """A line and a noise SD for each group, learnt from its own data alone.

    Parameters
    ----------
    data : GroupedData
        Every group needs an observation more than its line has coefficients.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out. Uses `alpha`, `beta` and `sigma`.

    Returns
    -------
    pymc.Model
        With `alpha`, `beta` (given a predictor) and `sigma`, each along the group's dimension.

    Raises
    ------
    InputError
        If a group has too few observations or its predictor never changes.
    """
    data.check_unpooled()
    priors = priors or Priors.weakly_informative(data)
    dim, group = data.group_name, data.group
    with _new_model(data) as model:
        alpha = _normal("alpha", priors.alpha, dim)
        beta = None if data.x is None else _normal("beta", priors.beta, dim)
        sigma = _scale("sigma", priors.sigma, dim)
        _outcome(data, alpha[group], None if beta is None else beta[group], sigma[group])
    return model


def partial_pooling(
    data: GroupedData,
    priors: Priors | None = None,
    *,
    centred: bool = True,
    correlated: bool = False,
    student_t: bool = False,
) -> pm.Model:
    """A line for each group, drawn from a population that is learnt along with them.

    Parameters
    ----------
    data : GroupedData
        At least two groups.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out.
    centred : bool
        Sample the groups' lines themselves, which suits groups with much data of their own; or
        (False) their standardised distance from the population, which suits groups with little.
        Both are the same model.
    correlated : bool
        Give intercepts and slopes a correlation, `rho`. Not centred it is the safer: even on the sleep study
        a centred fit has a divergence or two now and then.
    student_t : bool
        Give the noise the heavier tails of a Student-t distribution with `nu` degrees of freedom, of which
        `sigma` is the scale. There is no exact solution for it.

    Returns
    -------
    pymc.Model
        With `mu_alpha`, `sigma_alpha`, `sigma`, `alpha` and, given a predictor, `mu_beta`,
        `sigma_beta`, `beta` and (correlated) `rho`; with Student-t noise, `nu`.

    Raises
    ------
    InputError
        If there is only one group, or `correlated` without a predictor.
    """
    data.check_hierarchical(correlated=correlated)
    priors = priors or Priors.weakly_informative(data)
    dim, group = data.group_name, data.group
    with _new_model(data) as model:
        mu_alpha = _normal("mu_alpha", priors.mu_alpha)
        sigma_alpha = _scale("sigma_alpha", priors.sigma_alpha)
        draw = _centred if centred else _non_centred
        alpha, z_alpha = draw("alpha", mu_alpha, sigma_alpha, dim)
        beta = None
        if data.x is not None:
            centre, spread = _normal("mu_beta", priors.mu_beta), _scale("sigma_beta", priors.sigma_beta)
            if correlated:
                # Slopes given intercepts: the second row of the Cholesky factor of the correlation
                rho = _correlation("rho", priors.rho)
                z = (alpha - mu_alpha) / sigma_alpha if centred else z_alpha
                centre, spread = centre + rho * spread * z, spread * (1 - rho**2) ** 0.5
            beta, _ = draw("beta", centre, spread, dim)
        sigma = _scale("sigma", priors.sigma)
        nu = pm.Gamma("nu", float(priors.nu.shape), float(priors.nu.rate)) if student_t else None
        _outcome(data, alpha[group], None if beta is None else beta[group], sigma, nu)
    return model


def _centred(
    name: str, centre: TensorVariable, spread: TensorVariable, dim: str
) -> tuple[TensorVariable, None]:
    return pm.Normal(name, centre, spread, dims=dim), None


def _non_centred(
    name: str, centre: TensorVariable, spread: TensorVariable, dim: str
) -> tuple[TensorVariable, TensorVariable]:
    z = pm.Normal(f"z_{name}", 0, 1, dims=dim)
    return pm.Deterministic(name, centre + spread * z, dims=dim), z
