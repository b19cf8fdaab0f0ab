# The public names: lazy_loader reads this file at run time, type checkers before it.
from . import plots as plots
from .data import (
    GroupedData as GroupedData,
)
from .data import (
    HbutilsError as HbutilsError,
)
from .data import (
    InputError as InputError,
)
from .data import (
    load_drivers as load_drivers,
)
from .data import (
    load_hospitals as load_hospitals,
)
from .data import (
    load_schools as load_schools,
)
from .data import (
    load_sleepstudy as load_sleepstudy,
)
from .exact import (
    ConditionalPosterior as ConditionalPosterior,
)
from .exact import (
    ExactLines as ExactLines,
)
from .exact import (
    ExactPosterior as ExactPosterior,
)
from .exact import (
    conditional_posterior as conditional_posterior,
)
from .exact import (
    exact_pooled as exact_pooled,
)
from .exact import (
    exact_posterior as exact_posterior,
)
from .exact import (
    exact_unpooled as exact_unpooled,
)
from .models import partial_pooling as partial_pooling
from .models import pooled as pooled
from .models import unpooled as unpooled
from .priors import (
    LKJ as LKJ,
)
from .priors import (
    Exponential as Exponential,
)
from .priors import (
    GammaPrecision as GammaPrecision,
)
from .priors import (
    HalfNormal as HalfNormal,
)
from .priors import (
    HalfStudentT as HalfStudentT,
)
from .priors import (
    Normal as Normal,
)
from .priors import (
    Priors as Priors,
)
from .sampling import (
    NotConverged as NotConverged,
)
from .sampling import (
    agreement as agreement,
)
from .sampling import (
    diagnostics as diagnostics,
)
from .sampling import (
    sample as sample,
)
from .shrinkage import (
    least_squares as least_squares,
)
from .shrinkage import (
    shrinkage_matrix as shrinkage_matrix,
)
from .shrinkage import (
    shrinkage_table as shrinkage_table,
)
from .shrinkage import (
    shrinkage_weight as shrinkage_weight,
)
from .simulate import Simulated as Simulated
from .simulate import simulate as simulate
from .style import (
    DATA as DATA,
)
from .style import (
    PALETTE as PALETTE,
)
from .style import (
    line_style as line_style,
)
from .style import (
    marker_style as marker_style,
)
from .style import (
    use_style as use_style,
)
