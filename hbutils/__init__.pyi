# The public names: lazy_loader reads this file at run time, type checkers before it.
from . import checks as checks, dials as dials, plots as plots, study as study
from .data import (
    GroupedData as GroupedData,
    HbutilsError as HbutilsError,
    InputError as InputError,
    load_drivers as load_drivers,
    load_drivers_truth as load_drivers_truth,
    load_hospitals as load_hospitals,
    load_schools as load_schools,
    load_sleepstudy as load_sleepstudy,
    read_csv as read_csv,
)
from .exact import (
    ConditionalPosterior as ConditionalPosterior,
    ExactLines as ExactLines,
    ExactPosterior as ExactPosterior,
    GroupArrays as GroupArrays,
    conditional_posterior as conditional_posterior,
    exact_pooled as exact_pooled,
    exact_posterior as exact_posterior,
    exact_unpooled as exact_unpooled,
)
from .models import partial_pooling as partial_pooling, pooled as pooled, unpooled as unpooled
from .prediction import compare as compare, cross_validate as cross_validate
from .priors import (
    LKJ as LKJ,
    Exponential as Exponential,
    Gamma as Gamma,
    GammaPrecision as GammaPrecision,
    HalfNormal as HalfNormal,
    HalfStudentT as HalfStudentT,
    Normal as Normal,
    Priors as Priors,
    Uniform as Uniform,
)
from .sampling import (
    NotConverged as NotConverged,
    agreement as agreement,
    diagnostics as diagnostics,
    sample as sample,
)
from .shrinkage import (
    least_squares as least_squares,
    shrinkage_matrix as shrinkage_matrix,
    shrinkage_table as shrinkage_table,
    shrinkage_weight as shrinkage_weight,
)
from .simulate import Simulated as Simulated, seed_from as seed_from, simulate as simulate
from .study import Advice as Advice, advise as advise
from .style import (
    DARK_DATA as DARK_DATA,
    DARK_PALETTE as DARK_PALETTE,
    DATA as DATA,
    PALETTE as PALETTE,
    line_style as line_style,
    marker_style as marker_style,
    use_style as use_style,
)
from .sums import (
    GroupSums as GroupSums,
    SpreadSums as SpreadSums,
    group_sums as group_sums,
    read_group_sums as read_group_sums,
)
