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


@st.composite
def csv_files(draw) -> tuple[bytes, dict, list[tuple[str, str, str]] | None]:
    """(content, how to read it, the rows that it must give or None): user, item, rating in odd shapes."""
    separator = draw(st.sampled_from([",", "\t", ";", "|", "::", " ", "~", "·"]))
    ids = draw(id_lists(max_size=6)), draw(id_lists(max_size=6))
    n = draw(st.integers(1, 6))
    pairs = (
        draw(st.lists(st.tuples(*map(st.sampled_from, ids)), min_size=n, max_size=n, unique=True))
        if n <= min(map(len, ids))
        else [(ids[0][0], ids[1][0])]
    )
    rows = [(str(u), str(i), str(draw(st.integers(1, 10)) / 2)) for u, i in pairs]
    quote = draw(st.booleans()) and len(separator) == 1 and separator != "·"
    if any(separator in cell for row in rows for cell in row) and not quote:
        rows = [tuple(cell.replace(separator, "_") for cell in row) for row in rows]
    cells = [[f'"{c}"' if quote else c for c in row] for row in rows]
    header = draw(st.sampled_from([None, "user{s}item{s}rating", "a{s}a{s}a", "😀{s}🎬{s}⭐"]))
    lines = ([] if header is None else [header.format(s=separator)]) + [separator.join(row) for row in cells]
    oddity = draw(st.sampled_from(["none", "none", "none", "blank", "ragged", "NUL", "quote", "CR", "cut"]))
    if oddity == "blank":
        lines.insert(draw(st.integers(0, len(lines))), "")
    if oddity == "ragged":
        lines.append(separator.join("abcd") if draw(st.booleans()) else "1")
    if oddity == "NUL":
        lines.append(separator.join(["1", "\0", "3"]))
    if oddity == "quote":
        lines.append(separator.join(['a"b', "c", "3"]))
    end = "\r" if oddity == "CR" else draw(st.sampled_from(["\n", "\r\n"]))
    encodings = ["utf-8", "utf-8-sig", "utf-16", "latin-1"]
    text = end.join(lines) + draw(st.sampled_from(["", end]))
    encoding = draw(
        st.sampled_from(encodings if all(ord(c) < 256 for c in text) and separator != "·" else encodings[:3])
    )
    content = text.encode(encoding)
    if oddity == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    said = {"separator": separator, "header": header is not None}
    distinct = len({(u, i) for u, i, _ in rows}) == len(rows)
    return content, said, rows if oddity in ("none", "blank") and distinct else None


def odd_values() -> st.SearchStrategy:
    """What nobody should pass, and somebody does."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([2**63, -(2**63), 10**40, float("nan"), float("inf"), 1e300, -0.0, 2.5, 1j]),
        st.sampled_from(
            ["", " ", "\0", "\n", '"', "user", "item", "nan", "NULL", "1", "1.0", " 1", "x" * 300, "\ud800"]
        ),
        st.sampled_from([b"", b"x", (), (1,), (1, 5), (5, 1), ("a", "b"), [], [[]], {}, {"a": 1}, {1, 2}]),
        st.sampled_from([object(), type, len, np.array([1, 2]), np.array(3), np.datetime64("2020"), np.float32("nan")]),
        st.just(pl.DataFrame()),
        st.just(pl.DataFrame({"user": [], "item": []})),
    )
