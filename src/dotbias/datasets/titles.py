"""Made-up films for planted worlds: titles from word lists, and genres."""

from __future__ import annotations

import numpy as np

GENRES: dict[str, tuple[str, ...]] = {
    "Action": ("Convoy", "Gunship", "Pursuit", "Detonator", "Mercenary", "Avalanche"),
    "Adventure": ("Compass", "Caravan", "Galleon", "Summit", "Labyrinth", "Cartographer"),
    "Comedy": ("Wedding", "Landlord", "Umbrella", "Nephew", "Trombone", "Picnic"),
    "Crime": ("Alibi", "Ledger", "Informant", "Syndicate", "Locksmith", "Verdict"),
    "Documentary": ("Glacier", "Beekeeper", "Archive", "Orchestra", "Harvest", "Census"),
    "Drama": ("Daughter", "Inheritance", "Lighthouse", "Silence", "Orchard", "Letter"),
    "Fantasy": ("Dragon", "Sorcerer", "Moonstone", "Oracle", "Griffin", "Enchantress"),
    "Horror": ("Crypt", "Scarecrow", "Cellar", "Mannequin", "Whisper", "Asylum"),
    "Romance": ("Rendezvous", "Bouquet", "Waltz", "Balcony", "Postcard", "Honeymoon"),
    "Sci-Fi": ("Android", "Nebula", "Airlock", "Paradox", "Colony", "Satellite"),
    "Thriller": ("Witness", "Cipher", "Stranger", "Blackout", "Hostage", "Passenger"),
    "Western": ("Stagecoach", "Sheriff", "Canyon", "Tumbleweed", "Prospector", "Saloon"),
}
ADJECTIVES = (
    *(
        "Crimson",
        "Forgotten",
        "Electric",
        "Reluctant",
        "Midnight",
        "Hollow",
        "Velvet",
        "Stubborn",
        "Frozen",
        "Borrowed",
    ),
    *("Invisible", "Golden", "Crooked", "Last", "Quiet", "Burning", "Paper", "Distant", "Clockwork", "Bitter"),
    *("Secret", "Wandering", "Broken", "Scarlet", "Impossible", "Lonely", "Silver", "Restless", "Hungry", "Accidental"),
)
PLACES = (
    *("", " of Lisbon", " from Nowhere", " at Dawn", " of Marrakesh", " in Winter", " of Saturn", " by the Sea"),
    *(" of Ninth Street", " on Tuesday", " of Valparaiso", " in the Attic", " of Samarkand", " without a Name"),
    *(" of Bergen", " under Glass", " of the Delta", " after Midnight", " of Havana", " for Two"),
)
ODD = (
    "=SUM(A1:A9)",
    "+1 Regret",
    "-Minus Zero",
    "@Midnight",
    "=HYPERLINK(1)",
    '"Quoted", Comma',
)  # spreadsheets' traps


def make(n: int, rng: np.random.Generator, *, odd: bool = False) -> tuple[list[str], list[str], np.ndarray]:
    """n distinct titles with a year, their genres joined by ``|``, and the genres' flags (n, G) float32.

    One to three genres an item; the first gives the title its noun. With ``odd``, the first few titles are such as a
    spreadsheet would take for a formula.
    """
    names = list(GENRES)
    count = rng.choice([1, 2, 3], n, p=[0.4, 0.4, 0.2])
    order = rng.random((n, len(names))).argsort(axis=1)  # (n, G): each item's genres are the first `count`
    years = 2024 - np.floor(rng.exponential(14.0, n)).clip(0, 90).astype(int)
    flags = np.zeros((n, len(names)), np.float32)
    np.put_along_axis(flags, order, (np.arange(len(names)) < count[:, None]).astype(np.float32), axis=1)
    titles, genres = [], []
    used = {name: int(start) for name, start in zip(names, rng.integers(3600, size=len(names)), strict=True)}
    for row in range(n):
        first = names[order[row, 0]]
        titles.append(f"{_phrase(first, used[first])} ({years[row]})")
        used[first] += 1
        genres.append("|".join(sorted(names[g] for g in order[row, : count[row]])))
    for row in range(min(n, len(ODD)) if odd else 0):
        titles[row] = f"{ODD[row]} ({years[row]})"
    return titles, genres, flags


def _phrase(genre: str, k: int) -> str:
    """The k-th phrase of a genre: all differ, by a number in the end."""
    nouns = GENRES[genre]
    n_phrases = len(nouns) * len(ADJECTIVES) * len(PLACES)
    sequel, k = divmod(k, n_phrases)  # all genres have as many
    k = k * 2309 % n_phrases  # 2309 is prime to 3600: neighbours in k share little
    k, noun = divmod(k, len(nouns))
    place, adjective = divmod(k, len(ADJECTIVES))
    part = "" if not sequel else f" {sequel + 1}"
    return f"The {ADJECTIVES[adjective]} {nouns[noun]}{PLACES[place]}{part}"
