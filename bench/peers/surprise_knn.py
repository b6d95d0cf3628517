"""Surprise's KNNBaseline over items, with the similarity its own benchmark page uses."""

import surprise_common
from surprise import KNNBaseline

OPTIONS = {"name": "pearson_baseline", "user_based": False}
surprise_common.run(lambda settings: KNNBaseline(sim_options=OPTIONS, verbose=False), seeded=False)
