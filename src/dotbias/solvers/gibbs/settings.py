"""What the caller of ``gibbs`` chose, and what of it these ratings allow. This module knows no chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ...errors import DataError, SettingError
from ...ratings import Ratings
from ...settings import Positive
from ...times import Sessions

LARGEST = 4 << 30  # bytes of samples

History: TypeAlias = Literal["user", "item"]
Noise: TypeAlias = Positive | Literal["auto", "sampled", "valid"]


class GibbsSettings(NamedTuple):
    """What the caller chose, as documented at :func:`dotbias.solvers.gibbs`."""

    n_factors: int
    n_sweeps: int | None
    item_features: tuple[str, ...]
    user_features: tuple[str, ...]
    histories: tuple[str, ...]
    sessions: bool
    ordinal: bool
    noise: float | str
    keep: int
    chains: int


def which_histories(histories: bool | History | Sequence[History]) -> tuple[str, ...]:
    """True, False, "user" or ("user", "item") -> whose histories, by name."""
    if isinstance(histories, str):
        return (histories,)
    if isinstance(histories, Sequence):
        return tuple(histories)
    return ("user", "item") if histories else ()


def check(s: GibbsSettings, train: Ratings, valid: Ratings | None) -> None:
    """Refuse what cannot be fitted, before anything is computed; the settings fit their types.

    Raises:
        DataError: if ratings are not finite, or times are missing.
        SettingError: if settings and ratings do not go together, or samples would be too large.
    """
    if s.noise == "valid" and valid is None:
        raise SettingError("noise is 'valid', but there is no valid.", hint="give valid=, or noise='auto'.")
    if not np.isfinite(train.explicit()).all():
        raise DataError("some ratings are not finite numbers.", hint="drop them, or look at how they were read.")
    if s.sessions and train.times is None:
        raise DataError(
            "sessions=True, but these ratings have no times.", hint="name a time column, or sessions=False."
        )
    check_samples(s, train)


def check_samples(s: GibbsSettings, train: Ratings) -> None:
    """Refuse samples of the users and items of ``train`` that would be too large.

    Raises:
        SettingError: naming their size.
    """
    size = s.chains * samples_nbytes(
        train, n_factors=s.n_factors, keep=s.keep, histories=s.histories, sessions=s.sessions
    )
    if size > LARGEST:
        fits = max(1, int(s.keep * LARGEST / size))
        what = f"{s.keep} samples of {s.n_factors} factors would take {size / 2**30:.1f} GB."
        raise SettingError(what, hint=f"keep={fits}, or fewer factors.")


def posterior_nbytes(
    train: Ratings,
    *,
    n_factors: int = 24,
    keep: int = 100,
    histories: bool | History | Sequence[History] = False,
    sessions: bool = False,
) -> int:
    """An estimate of the bytes that the samples of one chain will take; side tables, being small, are not counted."""
    return samples_nbytes(
        train, n_factors=n_factors, keep=keep, histories=which_histories(histories), sessions=sessions
    )


def samples_nbytes(train: Ratings, *, n_factors: int, keep: int, histories: tuple[str, ...], sessions: bool) -> int:
    """An estimate of the bytes that ``keep`` samples take."""
    U, I = train.n_users, train.n_items
    D = len(Sessions.of(train.users, train.times).users) if sessions and train.times is not None else 0
    effective = (U + I) * (1 + n_factors + len(histories)) + D * (1 + n_factors)
    return 4 * keep * (effective + (1 + n_factors) * (I * ("user" in histories) + U * ("item" in histories)))


def describe(s: GibbsSettings, train: Ratings, valid: Ratings | None, key: int) -> dict[str, Any]:
    """What makes two fits the same."""
    of_valid = None if valid is None else valid.fingerprint()
    return {"solver": "gibbs", **s._asdict(), "train": train.fingerprint(), "valid": of_valid, "key": key}
