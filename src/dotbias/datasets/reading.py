"""Data sets read: ratings with their side tables, whichever of the publishers' formats the folder holds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from .. import split
from ..errors import DataError, SettingError, did_you_mean
from ..files import as_path, exists
from ..ratings import Ratings
from ..readers import is_url, neighbours, read_table
from .downloads import Progress, find
from .entries import CATALOGUE, OWN, Entry, entry, is_file, ratings_file, split_files

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
OCCUPATIONS_1M = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
    *("unemployed", "writer"),
)
NO_GENRE = ("(no genres listed)", "unknown")
YEAR = r"\((\d{4})\)\s*$"


def load(
    name: str,
    *,
    folder: str | Path | None = None,
    offline: bool = False,
    progress: bool | Progress | None = None,
) -> Ratings:
    """A data set of the catalogue, with its side tables.

    The item table has ``title``, ``year`` and ``genres`` (labels joined by ``|``, null where none is listed).

    Args:
        name: such as "ml-100k"; ``catalogue()`` lists them.
        folder: as in :func:`find`.
        offline: as in :func:`find`.
        progress: as in :func:`find`.

    Raises:
        DataError: for an unknown name, or a folder whose counts are not the data set's.
        DownloadError: if it is not here and cannot be had.
    """
    known = entry(name)
    place = find(name, folder=folder, offline=offline, progress=progress)
    ratings = read_folder(place, y_range=known.y_range)
    ratings = ratings if known.feedback == ratings.feedback else ratings.as_clicks()
    _check_counts(ratings, known, place)
    return ratings


def _check_counts(ratings: Ratings, known: Entry, place: Path) -> None:
    if (len(ratings), ratings.n_users) != (known.n_ratings, known.n_users):
        raise DataError(
            f"{place} has {len(ratings):,} ratings of {ratings.n_users:,} users; {known.name} has "
            f"{known.n_ratings:,} of {known.n_users:,}.",
            hint=f"it is another edition or was changed: remove it to fetch {known.name}, or load it by its path.",
        )


def split_of(
    name: str,
    which: str,
    *,
    folder: str | Path | None = None,
    offline: bool = False,
    progress: bool | Progress | None = None,
) -> split.Split:
    """A split that comes with a data set: ``split_of("ml-100k", "u1")`` -> train (u1.base) and test (u1.test).

    Row numbers and side tables are those of the whole data set.

    Raises:
        DataError: if the data set has no such split, or its folder lacks the files; else as :func:`load`.
    """
    known = entry(name)
    if which not in known.splits:
        hint = did_you_mean(which, known.splits) if known.splits else "ml-100k has u1 to u5, gowalla its own."
        raise DataError(f"{name} has no split {which!r}.", hint=hint)
    ratings = load(name, folder=folder, offline=offline, progress=progress)
    place = find(name, folder=folder, offline=True)
    if which == OWN:
        n = len(_read_file(split_files(place)[0]))  # type: ignore[index]
        train, test = ratings.take(np.arange(n)), ratings.take(np.arange(n, len(ratings)))
        return split.predefined(train, test, question=split.NEXT if known.candidates else split.HOLES)
    train, test = (_part(place / file.format(which), ratings) for file in known.files)
    return split.predefined(train, test, question=split.HOLES)  # all in the catalogue are drawn at random


def _part(path: Path, ratings: Ratings) -> Ratings:
    part = Ratings.from_csv(path, header=False, like=ratings)
    return dataclasses.replace(part, cold=None)


class Candidates(NamedTuple):
    """What the sampled protocol ranks, as rows: the arguments of ``evaluation.evaluate_sampled``.

    Attributes:
        users: (G,).
        items: (G,) the one that each user took.
        negatives: (G, n) those beside it.
    """

    users: np.ndarray
    items: np.ndarray
    negatives: np.ndarray


def candidates_of(name: str, *, folder: str | Path | None = None, offline: bool = False) -> Candidates:
    """The candidates that come with a data set, for a sampled metric: ``candidates_of("ncf-ml-1m")``.

    A line of the file is ``(user,item)`` and then the negatives, between tabs (He et al. 2017). Rows are those of
    ``load(name)`` and of its own split.

    Raises:
        DataError: if the data set has none, or its folder lacks the file; else as :func:`load`.
    """
    known = entry(name)
    if known.candidates is None:
        raise DataError(f"{name} has no candidates.", hint="ncf-ml-1m has; evaluate(…) ranks all items.")
    ratings = load(name, folder=folder, offline=offline)
    path = find(name, folder=folder, offline=True) / known.candidates
    if not is_file(path):
        raise DataError(f"there is no file {path}.", hint="it comes with the data set.")
    lines = path.read_text().splitlines()
    found = [[int(x) for x in re.findall(r"\d+", line)] for line in lines]
    if not found or len({len(row) for row in found}) > 1 or len(found[0]) < 3:
        raise DataError(f"{path.name} is no table of candidates.", hint="a line is (user,item), tab, negatives.")
    table = np.array(found)
    users, items = ratings.user_ids.find(pl.Series(table[:, 0])), ratings.item_ids.find(pl.Series(table[:, 1:].ravel()))
    rows = items.reshape(len(table), -1)
    return Candidates(users, rows[:, 0], rows[:, 1:])


TEXT_ONLY = ("separator", "header", "encoding")


def resolve(
    data: str | Path, *, offline: bool = False, progress: bool | Progress | None = None, **reading: Any
) -> Ratings:
    """Ratings from whatever a person types: a catalogue name, a folder that holds ratings, a file, a pipe.

    Args:
        data: such as "ml-100k", "my/folder", "ratings.csv.gz", "ratings.parquet", "-" (standard input),
            "sqlite:///ratings.db" or another URL of a database. A catalogue name is never read as a path: write
            "./ml-100k" for a folder of that name.
        offline: never download.
        progress: as in :func:`find`.
        reading: passed to ``Ratings.from_csv`` or ``from_parquet`` (files and folders only): columns, separator,
            header, encoding, duplicates, y_range, like, user_table, item_table.

    Raises:
        DataError: if it is none of these, with a near miss; else as the reader.
        SettingError: for reading settings beside a catalogue name, or that its file has no use for.
    """
    if is_url(str(data)):
        return _read_database(str(data), **reading)
    if (table := reading.pop("table", None)) is not None:
        raise SettingError(
            f"there is no table {table!r} in {data}.", hint="only a database has tables: sqlite:///FILE."
        )
    name, path = str(data), as_path(data)
    if name in CATALOGUE:
        if reading:
            raise SettingError(f"{min(reading)} cannot be set for {name}.", hint="its columns are known.")
        return load(name, offline=offline, progress=progress)
    if path.is_dir() if exists(path) else False:
        return read_folder(path, **reading)
    if name == "-" or exists(path):
        return _read_file(path, **reading)
    near = neighbours(path) if path.suffix else []
    raise DataError(
        f"{name!r} is no data set of the catalogue, no folder and no file.",
        hint=did_you_mean(path.name, [*CATALOGUE, *near]),
    )


def read_folder(folder: str | Path, **reading: Any) -> Ratings:
    """Ratings of a folder (ratings.csv, u.data, ratings.dat, …) with the side tables it holds (movies, users, …).

    ``user_table=`` and ``item_table=`` name other side tables than the folder's.

    Raises:
        DataError: if there are no ratings in it; else as the reader.
    """
    folder = as_path(folder)
    path = ratings_file(folder)
    if path is None:
        raise DataError(f"{folder} holds no ratings.", hint="expected: ratings.csv, u.data, ratings.dat or .parquet.")
    parts = split_files(folder)
    ratings = _read_file(path, **reading) if parts is None or path != parts[0] else _both(*parts, **reading)
    if reading.get("item_table") is None:
        name = next((n for n in ITEM_TABLES if is_file(folder / n)), None)
        ratings = ratings if name is None else _with_items(ratings, folder / name)
    if reading.get("user_table") is None:
        name = next((n for n in USER_TABLES if is_file(folder / n)), None)
        ratings = ratings if name is None else ratings.with_user_table(USER_TABLES[name](folder / name))
    return ratings


def _both(train: Path, test: Path, **reading: Any) -> Ratings:
    """Train's ratings and then test's."""
    first = _read_file(train, **reading)
    second = _read_file(test, **{**reading, "like": first})
    if first.times is None:
        second = dataclasses.replace(second, times=None)
    return first.joined(second)


def _read_file(path: Path, **reading: Any) -> Ratings:
    if path.suffix != ".parquet":
        return Ratings.from_csv(path, **reading)
    useless = [name for name in TEXT_ONLY if reading.pop(name, None) is not None]
    if useless:
        raise SettingError(f"{useless[0]} cannot be set for {path.name}.", hint="it is for text files.")
    return Ratings.from_parquet(path, **reading)


def _read_database(url: str, **reading: Any) -> Ratings:
    """A table of a database."""
    useless = [name for name in (*TEXT_ONLY, "lists") if reading.pop(name, None) is not None]
    if useless:
        raise SettingError(f"{useless[0]} cannot be set for a database.", hint="it is for text files.")
    return Ratings.from_sql(url, **reading)


def _with_items(ratings: Ratings, path: Path) -> Ratings:
    ratings = ratings.with_item_table(ITEM_TABLES[path.name](path))
    if ratings.item_table is None or path.suffix != ".csv":
        return ratings
    return dataclasses.replace(ratings, item_table=_tidied(ratings.item_table))


# Side tables ---------------------------------------------------------------------------------------------------


def _movies_dat(path: Path) -> pl.DataFrame:
    return _tidied(read_table(path, names=["movieId", "title", "genres"], separator="::"))


def _u_item(path: Path) -> pl.DataFrame:
    """ML-100K's items: flags to labels, dates to dates."""
    names = ["movieId", "title", "date", "video", "url", *GENRES_100K]
    table = read_table(path, names=names, separator="|", encoding="latin-1")
    flags = [pl.when(pl.col(g) == 1).then(pl.lit(g)) for g in GENRES_100K]
    tidy = table.select(
        "movieId",
        "title",
        pl.concat_str(flags, separator="|", ignore_nulls=True).alias("genres"),
        pl.col("date").str.to_date("%d-%b-%Y", strict=False),
    )
    return _tidied(tidy)


def _tidied(table: pl.DataFrame) -> pl.DataFrame:
    """With ``year`` from the title's end (or the date), and nulls for the publishers' words for "no genre"."""
    if "title" in table.columns and "year" not in table.columns:
        year = pl.col("title").cast(pl.String).str.extract(YEAR).cast(pl.Int32)
        year = pl.coalesce(year, pl.col("date").dt.year()) if table.schema.get("date") == pl.Date else year
        table = table.with_columns(year.alias("year"))
    if table.schema.get("genres") == pl.String:
        genres = pl.col("genres")
        table = table.with_columns(pl.when(~genres.is_in(["", *NO_GENRE])).then(genres).alias("genres"))
    return table


def _u_user(path: Path) -> pl.DataFrame:
    return _users(path, ["userId", "age", "gender", "occupation", "zip"], "|")


def _users_dat(path: Path) -> pl.DataFrame:
    """ML-1M's users; its occupations are codes, its ages the lower ends of seven bands."""
    table = _users(path, ["userId", "gender", "age", "occupation", "zip"], "::")
    codes = list(range(len(OCCUPATIONS_1M)))
    occupation = pl.col("occupation").replace_strict(codes, OCCUPATIONS_1M, default=None, return_dtype=pl.String)
    return table.with_columns(occupation)


def _users(path: Path, names: list[str], separator: str) -> pl.DataFrame:
    return read_table(path, names=names, separator=separator, text=lambda _: ["zip"])  # 02460 is no number


Reader = Callable[[Path], Path | pl.DataFrame]


def _as_it_is(path: Path) -> Path:
    return path


ITEM_TABLES: dict[str, Reader] = {
    "movies.csv": _as_it_is,
    "items.csv": _as_it_is,
    "movies.dat": _movies_dat,
    "u.item": _u_item,
}
USER_TABLES: dict[str, Reader] = {"users.csv": _as_it_is, "users.dat": _users_dat, "u.user": _u_user}
