"""Every picture that a saved model has the data for, by name; and why the others are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError, SettingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..ratings import Ratings
    from ..recommender import Recommender

Maker = Callable[[], "Figure"]


def gallery(
    recommender: Recommender, *, test: Ratings | None = None, sweep: bool = False, seed: int = 0
) -> Iterator[tuple[str, Figure | str]]:
    """Each picture's name, and its Figure, or the reason why there is none.

        for name, picture in plots.gallery(recommender, test=test):
            if not isinstance(picture, str):
                picture.savefig(f"{name}.png")

    Args:
        recommender: with the training log and metrics that it was saved with, if any.
        test: held-out ratings of the same rows, for the picture of predictions.
        sweep: also a learning-rate sweep, which fits a little (needs torch).
        seed: of the sweep.

    Raises:
        MissingExtraError: without matplotlib.
        DataError: for test ratings that the model was fitted on.
    """
    for name, make in _makers(recommender, test, sweep, seed).items():
        if isinstance(make, str):
            yield name, make
            continue
        try:
            yield name, make()
        except (SettingError, DataError) as e:
            yield name, e.what


def _makers(door: Recommender, test: Ratings | None, sweep: bool, seed: int) -> dict[str, Maker | str]:
    """Name -> what draws it, or why it cannot be drawn."""
    from .. import interpret
    from . import bias_ranking, component_ends, crosstab, item_map

    scorer, train = door.scorer, door.train
    name = str(door.metrics.get("data", ""))
    learned = f"{name}, {len(train):,} ratings".lstrip(", ")
    noise = door.metrics.get("rmse")
    return {
        "predictions": "it needs held-out ratings (test=)." if test is None else _predictions(door, test, name),
        **_of_log(door, learned),
        "sweep": _sweep(door, seed, learned) if sweep else "it fits a little, and is drawn when asked for (sweep).",
        "biases": lambda: bias_ranking(interpret.item_biases(scorer, train, noise=noise), data=name),
        "map": lambda: item_map(interpret.components(scorer, train), data=name),
        "components": lambda: component_ends(interpret.course_components(scorer, train), data=name),
        "crosstab": lambda: crosstab(train, data=learned),
    }


def _of_log(door: Recommender, learned: str) -> dict[str, Maker | str]:
    """The pictures of how it learned: of a fit by sampling its traces, of a fit by gradient gradients, activations."""
    from . import histograms, kept_histograms, losses, traces

    log: Sequence[Mapping[str, Any]] = door.log or ()
    none = "the model keeps no training log of it."
    if any("noise" in row for row in log):
        return {"traces": lambda: traces(log, data=learned)}
    split = str(door.metrics.get("split", ""))
    watched = f"valid ({split}, watched only)" if split else "valid"
    makers: dict[str, Maker | str] = {
        "losses": (lambda: losses(log, data=learned, valid=watched)) if log else "the model keeps no training log."
    }
    for kind in ("gradient", "activation"):
        kept = kept_histograms(log, kind)
        draw = lambda kind=kind, kept=kept: histograms(kept, kind=kind, data=learned)  # noqa: E731
        makers[f"{kind}s"] = draw if kept else none
    return makers


def _predictions(door: Recommender, test: Ratings, name: str) -> Maker:
    from ..evaluation import evaluate
    from . import predictions

    evaluate(door.scorer, test, train=door.train, metrics=("rmse",), n_resamples=20)  # refuses what train holds
    scores = door.scorer.score(test.users, test.items, test.times)
    return lambda: predictions(scores, test.explicit(), data=name)


def _sweep(door: Recommender, seed: int, learned: str) -> Maker:
    from ..fitters import find
    from . import lr_sweep

    find("dot_bias").fit  # noqa: B018  says which extra is missing
    from ..gradient import collab_learner

    n_factors = int(door.settings.get("n_factors", 64))
    return lambda: lr_sweep(collab_learner(door.train, n_factors=n_factors, rng=seed).lr_find(), data=learned)
