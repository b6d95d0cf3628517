"""What public data sets there are: name -> address, hash, counts, licence; and where each lies on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, did_you_mean
from ..files import as_path, exists
from ..ratings import Feedback

GROUPLENS = "files.grouplens.org/datasets/movielens"
LICENCE = "GroupLens: research use, not commercial; acknowledge it in publications; conditions in the README beside it"
OWN = "own"  # the name of a split that is the data set's only one
RATINGS_FILES = ("ratings.csv", "u.data", "ratings.dat", "ratings.parquet", "ratings.csv.gz", "ratings.tsv")


@dataclass(frozen=True)
class Entry:
    """A public data set.

    Attributes:
        name: what it is called, here and in the path of its folder.
        title: a line about it.
        n_ratings: N.
        n_users: U.
        n_items: I, those with a rating.
        y_range: the scale of its ratings; None for clicks.
        md5: of the zip, in hex, where two independent sources agree; None where none is known (then the publisher's
            ``.md5`` beside the zip is asked for). Either way the counts of ratings and users are checked when read.
        url: the zip; None where it is published no longer.
        mirrors: tried after ``url``. Plain http is no risk where ``md5`` is known, and survives an expired certificate.
        splits: names of the predefined splits in its folder.
        licence: in short.
        files: a split's two files, with {} for its name.
        candidates: the file of candidates for the sampled protocol, or None.
        source: where a person gets it, where there is no url.
    """

    name: str
    title: str
    n_ratings: int
    n_users: int
    n_items: int
    y_range: tuple[float, float] | None
    md5: str | None = None
    url: str | None = None
    mirrors: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    licence: str = LICENCE
    files: tuple[str, str] = ("{}.base", "{}.test")
    candidates: str | None = None
    source: str = "it is published no longer; ml-latest-small is today's edition"

    @property
    def feedback(self) -> Feedback:
        """Whether it has ratings ("stars") or not ("clicks")."""
        return "clicks" if self.y_range is None else "stars"


def _movielens(
    name: str,
    title: str,
    counts: tuple[int, int, int],
    y_range: tuple[float, float],
    *,
    md5: str | None = None,
    splits: tuple[str, ...] = (),
) -> Entry:
    mirrors = (f"http://{GROUPLENS}/{name}.zip",) if md5 else ()
    return Entry(name, title, *counts, y_range, md5, f"https://{GROUPLENS}/{name}.zip", mirrors, splits)


_UNIFORM = (0.5, 5.0)
CATALOGUE: dict[str, Entry] = {
    e.name: e
    for e in (
        _movielens("ml-latest-small", "MovieLens small, edition of 2018", (100_836, 610, 9_724), _UNIFORM),
        Entry(
            *("ml-latest-small-2016", "MovieLens small, the lesson's edition of October 2016"),
            *(100_004, 671, 9_066, _UNIFORM),
        ),
        _movielens(
            *("ml-100k", "MovieLens 100K, 1998, with five predefined splits", (100_000, 943, 1_682), (1.0, 5.0)),
            md5="0e33842e24a9c977be4e0107933c0723",
            splits=("u1", "u2", "u3", "u4", "u5", "ua", "ub"),
        ),
        _movielens(
            *("ml-1m", "MovieLens 1M, 2000", (1_000_209, 6_040, 3_706), (1.0, 5.0)),
            md5="c4d9eecfca2ab87c1945afe126590906",
        ),
        _movielens(
            *("ml-10m", "MovieLens 10M, 2009", (10_000_054, 69_878, 10_677), _UNIFORM),
            md5="ce571fd55effeba0271552578f2648bd",
        ),
        _movielens(
            *("ml-20m", "MovieLens 20M, 2015", (20_000_263, 138_493, 26_744), _UNIFORM),
            md5="cd245b17a1ae2cc31bb14903e1204af3",
        ),
        _movielens(
            *("ml-25m", "MovieLens 25M, 2019", (25_000_095, 162_541, 59_047), _UNIFORM),
            md5="6b51fb2759a8657d3bfcbfc42b592ada",
        ),
        _movielens("ml-32m", "MovieLens 32M, 2024", (32_000_204, 200_948, 84_432), _UNIFORM),
        Entry(
            *("gowalla", "Gowalla check-ins (clicks), ten and more of each, with the split of He et al. 2020"),
            *(1_027_370, 29_858, 40_981, None),
            splits=(OWN,),
            licence="of the Gowalla check-ins: SNAP; cite Cho, Myers & Leskovec 2011",
            files=("train.txt", "test.txt"),
            source="train.txt and test.txt lie beside the code of LightGCN and NGCF, in Data/gowalla",
        ),
        Entry(
            *("ncf-ml-1m", "MovieLens 1M as clicks, each user's last held out with 99 negatives (He et al. 2017)"),
            *(1_000_209, 6_040, 3_706, None),
            splits=(OWN,),
            files=("ml-1m.train.rating", "ml-1m.test.rating"),
            candidates="ml-1m.test.negative",
            source="its files lie beside the code of Neural Collaborative Filtering, in Data",
        ),
    )
}


class Status(NamedTuple):
    """A data set, and its folder on this machine (None: not here)."""

    entry: Entry
    folder: Path | None

    def __str__(self) -> str:
        if self.folder is not None:
            return f"here: {self.folder}"
        return f"not here; dotbias data fetch {self.entry.name}" if self.entry.url else f"not here; {self.entry.source}"


def catalogue() -> list[Status]:
    """Every known data set, and whether it is here."""
    return [Status(e, where(e.name)) for e in CATALOGUE.values()]


def entry(name: str) -> Entry:
    """A data set by name.

    Raises:
        DataError: for a name that is not in the catalogue, with a near miss.
    """
    if name not in CATALOGUE:
        raise DataError(f"there is no data set {name!r} in the catalogue.", hint=did_you_mean(name, CATALOGUE))
    return CATALOGUE[name]


def where(name: str, *, folder: str | Path | None = None) -> Path | None:
    """The folder that holds a data set: ``folder`` itself or its NAME, then $DOTBIAS_DATA/NAME, then the cache's."""
    entry(name)
    data = os.environ.get("DOTBIAS_DATA")
    if folder is not None:
        places = [as_path(folder), as_path(folder) / name]
    else:
        places = [*([Path(data) / name] if data else []), cache_folder() / name]
    return next((p for p in places if ratings_file(p) is not None), None)


def is_file(path: Path) -> bool:
    """Whether a plain file lies there; False where the system will not say."""
    return exists(path) and path.is_file()


def ratings_file(folder: Path) -> Path | None:
    """The file of ratings in a folder, of the names that publishers use."""
    found = next((folder / name for name in RATINGS_FILES if is_file(folder / name)), None)
    return (split_files(folder) or (None,))[0] if found is None else found


def split_files(folder: Path) -> tuple[Path, Path] | None:
    """The two files of a folder whose ratings come in train and test alone, of the names that publishers use."""
    pairs = [e.files for e in CATALOGUE.values() if OWN in e.splits]
    pairs += [(f"{train}.reconstructed", test) for train, test in pairs]
    found = ((folder / train, folder / test) for train, test in pairs)
    return next((pair for pair in found if all(map(is_file, pair))), None)


def cache_folder() -> Path:
    """Where downloads are kept: $DOTBIAS_CACHE, or the platform's cache folder."""
    chosen = os.environ.get("DOTBIAS_CACHE")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("dotbias", appauthor=False)
