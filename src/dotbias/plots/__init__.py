"""The lesson's pictures: each function takes results (of interpret, evaluate, a fit) and returns a matplotlib Figure.

``figure.savefig("x.png")`` writes it; no window opens and pyplot's state is not touched. Each picture names its axes
with their units, how many ratings, users or items it shows, and the data set (``data=``). Needs ``dotbias[plot]``.
"""

from ._gallery import gallery
from .learning import factors_error, losses, lr_sweep
from .reading import bias_ranking, component_ends, crosstab, item_map
from .sampling import traces
from .scores import calibration, predictions
from .searching import trials
from .sizes import histograms, kept_histograms

__all__ = [
    "bias_ranking",
    "calibration",
    "component_ends",
    "crosstab",
    "factors_error",
    "gallery",
    "histograms",
    "item_map",
    "kept_histograms",
    "losses",
    "lr_sweep",
    "predictions",
    "traces",
    "trials",
]
