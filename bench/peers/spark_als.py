"""Spark's ALS on Parquet parts: seconds a sweep (a longer fit less a short one), error, settings chosen on a slice.

``python spark_als.py FOLDER JSON`` prints a line of JSON. Knows no dotbias. Pairs whose user or item train never saw
are guessed by train's mean.
"""

import json
import sys
import time
from pathlib import Path

from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession, functions

folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", settings["memory"])
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "8")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
columns = [functions.col("user").cast("int"), functions.col("item").cast("int"), functions.col("rating").cast("float")]
train, held = (spark.read.parquet(str(folder / name)).select(*columns).cache() for name in ("train", "held"))
mean = train.agg(functions.avg("rating")).first()[0]
low, high = settings.get("scale") or (None, None)


def fit(ratings, n, reg):
    als = ALS(rank=settings["n_factors"], maxIter=n, regParam=reg, seed=0, userCol="user", itemCol="item")
    began = time.perf_counter()
    model = als.setRatingCol("rating").fit(ratings)
    model.userFactors.count(), model.itemFactors.count()
    return model, time.perf_counter() - began


def rmse(model, ratings):
    guess = functions.coalesce(functions.nanvl("prediction", functions.lit(None)), functions.lit(mean))
    if low is not None:
        guess = functions.greatest(functions.lit(low), functions.least(functions.lit(high), guess))
    squares = functions.pow(guess - functions.col("rating"), 2)
    return model.transform(ratings).agg(functions.sqrt(functions.avg(squares))).first()[0]


inside, slice_ = (part.cache() for part in train.randomSplit([0.9, 0.1], seed=0))
tried = {reg: rmse(fit(inside, settings["n_epochs"], reg)[0], slice_) for reg in settings["regs"]}
reg = min(tried, key=tried.get)
inside.unpersist()
slice_.unpersist()
train.count(), held.count()
short, few = 2, settings["n_epochs"]
seconds = [fit(train, n, reg)[1] for n in (short, few)]
model, _ = fit(train, few, reg)
found = {"pass": (seconds[1] - seconds[0]) / (few - short), "rmse": rmse(model, held), "reg": reg, "tried": tried}
print(json.dumps({**found, "n_users": train.select("user").distinct().count()}), flush=True)
spark.stop()
