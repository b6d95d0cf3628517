"""The lesson's pictures: each function takes results (of interpret, evaluate, a fit) and returns a matplotlib Figure.

``figure.savefig("x.png")`` writes it; no window opens and pyplot's state is not touched. Each picture names its axes
with their units, how many ratings, users or items it shows, and the data set (``data=``). Needs ``dotbias[plot]``.
"""

from .learning import factors_error, histograms, kept_histograms, losses, lr_sweep
from .reading import bias_ranking, crosstab, item_map
from .scores import calibration, predictions

__all__ = [
    "bias_ranking",
    "calibration",
    "crosstab",
    "factors_error",
    "histograms",
    "item_map",
    "kept_histograms",
    "losses",
    "lr_sweep",
    "predictions",
]
