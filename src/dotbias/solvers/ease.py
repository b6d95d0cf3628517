"""EASE: each item's clicks regressed on those of all others at once, in closed form (Steck 2019).

    minimise ‖X - X B‖² + reg ‖B‖²,  diag(B) = 0        X: (U, I), 1 for a click

so B = -P / diag(P) off the diagonal, with P = (XᵀX + reg I)⁻¹. One setting, no passes, no chance; but a matrix of items
× items, made in place in float32. This module knows Ratings; what scores is ``item_weights.ItemWeights``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DivergedError, SettingError
from ..item_weights import ItemWeights
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng
from ..settings import Count, Positive, checked
from ._clicks import check_clicks, check_valid
from .choice import BYTES, amount

BLOCK = 1 << 22  # item × item cells that are handled at once, beside the matrix itself


@checked
def ease(
    train: Ratings,
    *,
    reg: Positive = 400.0,
    n_items: Count | None = None,
    memory: Positive | str = "2GB",
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> ItemWeights:
    """Fit item-to-item weights to clicks in closed form (Steck 2019, "Embarrassingly shallow autoencoders", eq. 8).

    It takes 4 · items² bytes (329 MB for 9,066 items) and some items³ / 2 multiplications, however many clicks there
    are. Counts are ignored: a click is a click.

    Args:
        train: clicks. Of ratings: ``train.as_clicks()``.
        reg: ridge on each weight, in users: the fewer clicks an item has, the more it holds it down.
        n_items: weigh only so many items, the most clicked ones (of equals, those that train named first); the others
            score 0. None: every item with a click.
        memory: what the weights may take: "500MB", "4GB", or bytes.
        valid: not used.
        rng: not used: there is no chance in it. The bits are the same for any number of threads of dotbias; numpy's
            linear algebra may have threads of its own.
        progress: not used.
        checkpoint: not used.

    Raises:
        DataError: no clicks, or ratings with values.
        SettingError: a setting that makes no sense; more items than the memory allows.
        DivergedError: if reg is so small that the inverse cannot be found in float32.
    """
    check_clicks(train)
    check_valid(valid, keep_best=False)
    rows = _most_clicked(train, n_items)
    _check_memory(len(rows), memory)
    starts, items = _clicks_of(train, rows)
    weights = _gram(starts, items, len(rows))
    weights[np.diag_indices(len(rows))] += np.float32(reg)
    precision = _invert(weights)
    _regress(weights, precision)
    return ItemWeights(rows, weights, precision, starts, items, train.n_items, train.tables, float(reg))


def nbytes(n_items: int) -> int:
    """What the weights of so many items take."""
    return 4 * n_items**2


def _check_memory(n_items: int, memory: float | str) -> None:
    limit = amount(memory, BYTES, "memory", "'500MB', '4GB', or bytes.")
    if nbytes(n_items) > limit:
        needed, most = f"{nbytes(n_items) / 1e9:.2g} GB", int((limit / 4) ** 0.5)
        raise SettingError(
            f"ease needs {needed} for {n_items:,} × {n_items:,} items; memory is {memory!r}.",
            hint=f"n_items={most} weighs the most clicked only, memory= allows more; or fit implicit_als.",
        )


def _most_clicked(train: Ratings, n_items: int | None) -> np.ndarray:
    """Rows (M,) int32, rising, of the items with the most clicks, each at least one."""
    counts = train.item_counts
    order = np.argsort(-counts, kind="stable")[:n_items]
    return np.sort(order[counts[order] > 0]).astype(np.int32)


def _clicks_of(train: Ratings, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clicks on these items by user, once each: starts (U + 1,) int64, positions (N,) int32 into ``rows``."""
    position = np.full(train.n_items, -1, np.int32)
    position[rows] = np.arange(len(rows), dtype=np.int32)
    at = position[train.items]
    pairs = np.unique(train.users[at >= 0].astype(np.int64) * max(len(rows), 1) + at[at >= 0])
    users, items = np.divmod(pairs, max(len(rows), 1))
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=train.n_users))])
    return starts.astype(np.int64), items.astype(np.int32)


def _gram(starts: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """XᵀX (M, M) float32: how many users clicked both. By blocks, so that no sparse product is held whole."""
    from scipy.sparse import csr_matrix

    clicks = csr_matrix((np.ones(len(items), np.float32), items, starts), (len(starts) - 1, n_items))
    by_item, out = clicks.T.tocsr(), np.empty((n_items, n_items), np.float32)
    step = max(1, BLOCK // max(n_items, 1))
    for k in range(0, n_items, step):
        (by_item[k : k + step] @ clicks).toarray(out=out[k : k + step])
    return out


def _invert(matrix: np.ndarray) -> np.ndarray:
    """Replace a symmetric positive matrix (M, M) float32 by its inverse, by Cholesky, in place; the diagonal (M,).

    Raises:
        DivergedError: where rounding leaves it no longer positive.
    """
    from scipy.linalg import get_lapack_funcs

    potrf, potri = get_lapack_funcs(("potrf", "potri"), (matrix,))
    upside = matrix.T  # the same numbers in the order of columns, which LAPACK overwrites
    lower, failed = potrf(upside, lower=1, clean=0, overwrite_a=1)
    inverse, failed_too = potri(lower, lower=1, overwrite_c=1) if not failed else (lower, failed)
    if failed or failed_too or not np.isfinite(np.diag(inverse)).all():
        raise DivergedError("the clicks' matrix cannot be inverted in float32.", hint="raise reg=.")
    assert np.shares_memory(inverse, matrix)
    step = max(1, BLOCK // len(matrix))
    for k in range(0, len(matrix), step):  # the lower triangle in columns is the upper one here: mirror it
        block = slice(k, k + step)
        whole = np.triu(matrix[block, block]) + np.triu(matrix[block, block], 1).T
        matrix[block, block] = whole
        matrix[k + step :, block] = matrix[block, k + step :].T
    return np.diag(matrix).copy()


def _regress(matrix: np.ndarray, precision: np.ndarray) -> None:
    """From P (M, M) to B = -P / diag(P), column by column, with a diagonal of zeros; in place."""
    matrix /= -precision
    matrix[np.diag_indices(len(matrix))] = 0
