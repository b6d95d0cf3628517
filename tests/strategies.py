"""Hypothesis strategies: ids, tables of ratings, ways to write a file."""

import numpy as np
import polars as pl
from hypothesis import strategies as st

from dotbias.ratings import Ids, Ratings

whole_ids = st.integers(-(10**17), 10**17)
# Text that survives a file in every separator and encoding used below, and never prints as a whole number.
text_ids = st.text("abcdefgÄéñß _.-#'/!?", min_size=1, max_size=8).map(lambda s: f"x{s}x")
any_ids = st.one_of(whole_ids, text_ids)


def id_lists(min_size: int = 1, max_size: int = 12) -> st.SearchStrategy[list]:
    """Distinct ids of one kind."""
    return st.one_of(
        *(st.lists(ids, min_size=min_size, max_size=max_size, unique=True) for ids in (whole_ids, text_ids))
    )


@st.composite
def frames(draw, min_size: int = 1, max_size: int = 40, times: bool | None = None) -> pl.DataFrame:
    """Columns user, item, rating[, time] of distinct pairs; ids of any kind, ratings in halves."""
    users, items = draw(id_lists()), draw(id_lists())
    pairs = [(u, i) for u in users for i in items]
    n = min(len(pairs), draw(st.integers(min_size, max_size)))
    chosen = draw(st.permutations(pairs))[:n]
    columns = {
        "user": [u for u, _ in chosen],
        "item": [i for _, i in chosen],
        "rating": [x / 2 for x in draw(st.lists(st.integers(1, 10), min_size=n, max_size=n))],
    }
    if draw(st.booleans()) if times is None else times:
        columns["time"] = draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    return pl.DataFrame(columns)


@st.composite
def ratings(draw, min_size: int = 2, max_size: int = 60, times: bool | None = None) -> Ratings:
    """Ratings of up to 8 users and 8 items, distinct pairs, some users and items without any."""
    n_users, n_items = draw(st.integers(2, 8)), draw(st.integers(2, 8))
    n = min(draw(st.integers(min_size, max_size)), n_users * n_items)
    pairs = np.array(draw(st.permutations(range(n_users * n_items)))[:n])
    has_times = draw(st.booleans()) if times is None else times
    seconds = np.array(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))) if has_times else None
    values = np.array(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), np.float32)
    ids = Ids(range(100, 100 + n_users)), Ids([f"item {k}" for k in range(n_items)])
    return Ratings(pairs // n_items, pairs % n_items, values, seconds, *ids)
