"""A small world for the tests of ``recommender``: films of genres and years, one title twice."""

from dataclasses import replace

import battery
import numpy as np
import polars as pl

from dotbias.baselines import bias
from dotbias.factors import Factors
from dotbias.objective import Objective, Ridge

GENRES = ("Comedy", "Drama", "Comedy|Drama", "Film-Noir")


def train():
    """Items a0 … a49; a0 has no rating; a7 and a8 share a title but for the year, a9 and a10 share it whole."""
    ratings, _ = battery.parts()
    titles = [f"Item {i} ({1950 + i})" for i in range(50)]
    titles[7], titles[8], titles[9], titles[10] = "Heat (1995)", "Heat (1986)", "Twin (1990)", "Twin (1990)"
    table = pl.DataFrame(
        {
            "id": list(ratings.item_ids),
            "title": titles,
            "genres": [GENRES[i % 4] for i in range(50)],
            "minutes": [None if i == 3 else 80 + i for i in range(50)],
            "cast": [["Ann", f"B{i % 2}"] for i in range(50)],
        }
    )
    return replace(ratings, item_table=None).with_item_table(table)


def factors(ratings, k=4, rng=0):
    """Biases that fit, factors that are drawn."""
    rng = np.random.default_rng(rng)
    base, reg = bias(ratings), Ridge(3, 5)
    tables = rng.normal(0, 0.3, (80, k)), rng.normal(0, 0.3, (50, k))
    objective = Objective(y_range=(1, 5), user_reg=reg, item_reg=reg)
    return Factors(base.mean, base.user_bias, base.item_bias, *tables, objective, ratings.tables)
