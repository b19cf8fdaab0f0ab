"""Priors that the models and the exact solution both take, so that they answer the same question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special, stats

from hbutils.data import GroupedData, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from hbutils.sums import GroupSums, SpreadSums

__all__ = [
    "LKJ",
    "Exponential",
    "Gamma",
    "GammaPrecision",
    "HalfNormal",
    "HalfStudentT",
    "Normal",
    "Priors",
    "ScalePrior",
    "Uniform",
]


def _positive(owner: object, **values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{type(owner).__name__}: {name} must be a positive number, not {value}")


def _on_positive(sd: ArrayLike, log_density: Callable[[NDArray], NDArray]) -> NDArray[np.float64]:
    """The log density where an SD may be, minus infinity elsewhere.

    Written out rather than taken from scipy.stats, whose checks cost more than all else in a small model.
    """
    sd = np.asarray(sd, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = log_density(sd)
    return np.where((sd >= 0) & ~np.isnan(value), value, -np.inf)


@dataclass(frozen=True)
class Normal:
    """N(mean, sd), the second argument being a standard deviation. ``sd=np.inf`` is flat."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and self.sd > 0):
            raise InputError(f"Normal: mean must be finite and sd positive, not {self.mean}, {self.sd}")

    @property
    def flat(self) -> bool:
        """Whether the prior is the same everywhere."""
        return bool(np.isinf(self.sd))

    @property
    def precision(self) -> float:
        """1 / sd**2; zero for a flat prior."""
        return float(self.sd) ** -2


@dataclass(frozen=True)
class HalfNormal:
    """Half-normal prior on a standard deviation; `scale` in that SD's units."""

    scale: float

    def __post_init__(self) -> None:
        _positive(self, scale=self.scale)

    def logpdf(self, sd: ArrayLike) -> NDArray[np.float64]:
        """Log density on the SD scale."""
        return _on_positive(
            sd, lambda s: 0.5 * np.log(2 / np.pi) - np.log(self.scale) - 0.5 * (s / self.scale) ** 2
        )

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the SD scale."""
        return stats.halfnorm.ppf(q, scale=self.scale)


@dataclass(frozen=True)
class HalfStudentT:
    """Half-Student-t prior on a standard deviation (Gelman 2006); ``nu=1`` is half-Cauchy."""

    nu: float
    scale: float

    def __post_init__(self) -> None:
        _positive(self, nu=self.nu, scale=self.scale)

    def logpdf(self, sd: ArrayLike) -> NDArray[np.float64]:
        """Log density on the SD scale."""
        nu = self.nu
        constant = np.log(2) - 0.5 * np.log(nu) - special.betaln(0.5, nu / 2) - np.log(self.scale)
        return _on_positive(sd, lambda s: constant - 0.5 * (nu + 1) * np.log1p((s / self.scale) ** 2 / nu))

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the SD scale."""
        return stats.t.ppf((1 + np.asarray(q)) / 2, self.nu, scale=self.scale)


@dataclass(frozen=True)
class Exponential:
    """Exponential prior on a standard deviation; `scale` is its mean."""

    scale: float

    def __post_init__(self) -> None:
        _positive(self, scale=self.scale)

    def logpdf(self, sd: ArrayLike) -> NDArray[np.float64]:
        """Log density on the SD scale."""
        return _on_positive(sd, lambda s: -np.log(self.scale) - s / self.scale)

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the SD scale."""
        return stats.expon.ppf(q, scale=self.scale)


@dataclass(frozen=True)
class GammaPrecision:
    """Gamma(shape, rate) on the precision ``tau = sd**-2``: inverse-gamma on the variance."""

    shape: float
    rate: float

    def __post_init__(self) -> None:
        _positive(self, shape=self.shape, rate=self.rate)

    def logpdf(self, sd: ArrayLike) -> NDArray[np.float64]:
        """Log density on the SD scale, the factor ``2 / sd**3`` of the change of variable included."""
        constant = np.log(2) + self.shape * np.log(self.rate) - special.gammaln(self.shape)
        return _on_positive(sd, lambda s: constant - (2 * self.shape + 1) * np.log(s) - self.rate / s**2)

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the SD scale."""
        return stats.gamma.isf(q, self.shape, scale=1 / self.rate) ** -0.5


@dataclass(frozen=True)
class Uniform:
    """Uniform prior on a standard deviation, from zero to `upper`, in that SD's units."""

    upper: float

    def __post_init__(self) -> None:
        _positive(self, upper=self.upper)

    def logpdf(self, sd: ArrayLike) -> NDArray[np.float64]:
        """Log density on the SD scale; minus infinity above `upper`."""
        return _on_positive(sd, lambda s: np.where(s <= self.upper, -np.log(self.upper), -np.inf))

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the SD scale."""
        return stats.uniform.ppf(q, scale=self.upper)


ScalePrior = HalfNormal | HalfStudentT | Exponential | GammaPrecision | Uniform


@dataclass(frozen=True)
class Gamma:
    """Gamma(shape, rate) prior on a positive number that is no SD: the degrees of freedom `nu`."""

    shape: float
    rate: float

    def __post_init__(self) -> None:
        _positive(self, shape=self.shape, rate=self.rate)


@dataclass(frozen=True)
class LKJ:
    """LKJ prior on a correlation: density proportional to ``(1 - rho**2)**(eta - 1)``.

    In two dimensions this is ``rho = 2 Beta(eta, eta) - 1``; ``eta=1`` is uniform.
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, eta=self.eta)

    def logpdf(self, rho: ArrayLike) -> NDArray[np.float64]:
        """Log density; minus infinity outside (-1, 1)."""
        rho = np.asarray(rho, dtype=float)
        constant = special.betaln(self.eta, self.eta) + (2 * self.eta - 1) * np.log(2)
        inside = np.abs(rho) < 1
        return np.where(
            inside, special.xlog1py(self.eta - 1, -(np.where(inside, rho, 0.0) ** 2)) - constant, -np.inf
        )

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles of rho."""
        return 2 * stats.beta.ppf(q, self.eta, self.eta) - 1


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Every prior that the three models need, under the names the models use.

    Parameters
    ----------
    mu_alpha, mu_beta : Normal
        Population mean of the intercepts and of the slopes. In the pooled model, where
        everybody is the population, they are the priors of the one intercept and slope.
    sigma_alpha, sigma_beta : scale prior
        Between-group SD of the intercepts and of the slopes.
    sigma : scale prior
        SD of an observation around its group's line.
    rho : LKJ
        Correlation of intercept and slope; used by correlated models only.
    nu : Gamma
        Degrees of freedom of the noise; used by models with Student-t noise only. Gamma(2, 0.1) is the
        proposal of Juarez and Steel (2010), Journal of Business and Economic Statistics 28:52-66.
    alpha, beta : Normal
        Prior of one group's intercept and slope when groups share nothing: the unpooled
        model's. Wide by design, since a narrow one would pool by the back door.
    """

    mu_alpha: Normal
    sigma_alpha: ScalePrior
    sigma: ScalePrior
    alpha: Normal
    mu_beta: Normal = Normal(0.0, 1.0)
    sigma_beta: ScalePrior = HalfNormal(1.0)
    beta: Normal = Normal(0.0, 1.0)
    rho: LKJ = LKJ(1.0)
    nu: Gamma = Gamma(2.0, 0.1)

    @classmethod
    def weakly_informative(cls, data: GroupedData | GroupSums | SpreadSums) -> Priors:
        """Priors that only rule out the absurd, from the scale of the data.

        With s_y the SD of the outcome and s_x that of the predictor: population means are centred on
        the pooled least-squares line, with SDs of 2.5 s_y (intercept) and 2.5 s_y / s_x (slope);
        between-group SDs are half-normal with scales s_y and s_y / s_x, the noise with s_y; a group
        that stands alone has 10 for the 2.5. Whatever belongs to an intercept is widened by
        ``sqrt(1 + (mean of x / s_x)**2)``, since x = 0 may lie far from the data. The multiple 2.5 is
        the convention of rstanarm's default priors.

        Raises
        ------
        InputError
            If the outcome is the same in every row.
        """
        n, centre_x, centre_y, sxx, sxy, syy = data.totals
        if data.constant:
            raise InputError(f"column '{data.y_name}' is the same in every row: there is nothing to explain")
        spread = float(np.sqrt(syy / n))
        slope, spread_x = (sxy / sxx, float(np.sqrt(sxx / n))) if data.has_predictor else (0.0, 1.0)
        # The intercept belongs to x = 0, which may lie far outside the data: widen it by what
        # the slope's own prior adds on the way there.
        intercept = centre_y - slope * centre_x
        reach = np.hypot(1.0, centre_x / spread_x)
        return cls(
            mu_alpha=Normal(intercept, 2.5 * spread * reach),
            mu_beta=Normal(slope, 2.5 * spread / spread_x),
            sigma_alpha=HalfNormal(spread * reach),
            sigma_beta=HalfNormal(spread / spread_x),
            sigma=HalfNormal(spread),
            alpha=Normal(intercept, 10 * spread * reach),
            beta=Normal(slope, 10 * spread / spread_x),
        )

    @classmethod
    def from_documents(cls, *, second_argument: Literal["sd", "variance"] = "sd") -> Priors:
        """The source documents' hyperpriors: N(0, 1000) on means, Gamma(0.1, 0.1) on precisions.

        The documents do not say whether 1000 is an SD or a variance; both readings are in use,
        and chapter 7 shows what each of them does.

        Parameters
        ----------
        second_argument : {"sd", "variance"}
            How to read the 1000.

        Raises
        ------
        InputError
            If `second_argument` is anything else.
        """
        if second_argument not in ("sd", "variance"):
            raise InputError(f"second_argument must be 'sd' or 'variance', not {second_argument!r}")
        mean = Normal(0.0, 1000.0 if second_argument == "sd" else 1000.0**0.5)
        spread = GammaPrecision(0.1, 0.1)
        return cls(
            mu_alpha=mean,
            mu_beta=mean,
            sigma_alpha=spread,
            sigma_beta=spread,
            sigma=spread,
            alpha=mean,
            beta=mean,
        )

    @classmethod
    def for_sleepstudy(cls) -> Priors:
        """The priors of the sleep-study chapters, chosen from what is known of reaction times.

        A rested adult reacts in about a quarter of a second; losing a night costs of the order
        of ten milliseconds. Chapter 3 draws what they imply before any data are seen.
        """
        return cls(
            mu_alpha=Normal(250.0, 50.0),
            mu_beta=Normal(10.0, 10.0),
            sigma_alpha=HalfNormal(50.0),
            sigma_beta=HalfNormal(10.0),
            sigma=HalfNormal(50.0),
            alpha=Normal(250.0, 250.0),
            beta=Normal(10.0, 50.0),
        )
