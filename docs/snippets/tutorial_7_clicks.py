"""Chapter 7: clicks in the place of stars; negatives, a classifier, lists, a newcomer."""

# --8<-- [start:clicks]
from dotbias import Ratings, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
clicks = ratings.as_clicks()  # who rated what; the stars are thrown away
print(clicks)

parts = split.per_user(clicks, test=0.2, valid=0.1, rng=0)
train, valid, test = parts.train, parts.valid, parts.test
# --8<-- [end:clicks]

# --8<-- [start:batch]
from dotbias.negatives import ClickBatches

batch = next(ClickBatches(train, bs=3, negatives=2).shuffled(0))
columns = (c.tolist() for c in (batch.users, batch.items, batch.values))
for user, item, value in zip(*columns, strict=True):
    print(f"user {user:3}  item {item:4}  {value:.0f}")
# --8<-- [end:batch]

# --8<-- [start:fit]
from dotbias import EmbeddingDotBias, Learner, losses, schedules

model = EmbeddingDotBias(
    train.n_users, train.n_items, n_factors=32, rng=0
)  # no range: log-odds
learner = Learner(model, train, loss=losses.bce, bs=512, rng=0)
learner.fit(10, schedules.one_cycle(0.02), l2=1e-5, progress=False)
# --8<-- [end:fit]

# --8<-- [start:measure]
from dotbias.evaluation import evaluate

print(evaluate(learner.scorer(), valid, train=train))
# --8<-- [end:measure]

# --8<-- [start:other]
from dotbias import EmbeddingDot, EmbeddingNet


def fitted(model, loss):
    """A scorer of the model, fitted to train with that loss."""
    learner = Learner(model, train, loss=loss, bs=512, rng=0)
    learner.fit(10, schedules.one_cycle(0.02), l2=1e-5, progress=False)
    return learner.scorer()


def model_of(kind, **settings):
    """A model of that kind, for the users and items of train."""
    return kind(train.n_users, train.n_items, rng=0, **settings)


scorers = {
    "dot product, bce": fitted(
        model_of(EmbeddingDot, n_factors=32, init="library"), losses.bce
    ),
    "with biases, bce": learner.scorer(),
    "with biases, bpr": fitted(model_of(EmbeddingDotBias, n_factors=32), losses.bpr),
    "the net, bce": fitted(
        model_of(EmbeddingNet, n_factors=32, hidden=(32,), hidden_dropout=0.2), losses.bce
    ),
}
for name, scorer in scorers.items():
    print(f"{name:18} NDCG@10 {evaluate(scorer, valid, train=train).values['ndcg@10']:.3f}")
# --8<-- [end:other]

# --8<-- [start:solvers]
from dotbias.baselines import knn, popular
from dotbias.solvers import implicit_als

scorers = {"popular": popular(train), "knn": knn(train)}
scorers["implicit_als"] = implicit_als(train, n_factors=32, rng=0)
for name, scorer in scorers.items():
    print(f"{name:18} NDCG@10 {evaluate(scorer, valid, train=train).values['ndcg@10']:.3f}")
# --8<-- [end:solvers]

# --8<-- [start:sampled]
import numpy as np

from dotbias.evaluation import evaluate_sampled

rng = np.random.default_rng(0)
users, first = np.unique(valid.users, return_index=True)
held = valid.items[first]  # one held-out click of each user
known = set(clicks.pairs().tolist())
negatives = np.empty((len(users), 99), int)
for row, user in enumerate(users):
    free = [i for i in range(clicks.n_items) if user * clicks.n_items + i not in known]
    negatives[row] = rng.choice(free, 99, replace=False)

for name, scorer in scorers.items():
    report = evaluate_sampled(scorer, users, held, negatives)
    print(f"{name:18} sampled NDCG@10 {report.values['sampled_ndcg@10']:.3f}")
# --8<-- [end:sampled]

# --8<-- [start:test]
whole = train.joined(valid)
print(evaluate(implicit_als(whole, n_factors=32, rng=0), test, train=whole))
# --8<-- [end:test]

# --8<-- [start:newcomer]
from dotbias import Recommender

door = Recommender(learner.scorer(), train)
for answer in door.recommend_for({door.find_item("GoldenEye"): 1}, n=5):
    print(f"{answer.score:.2f}  {answer.title}")
# --8<-- [end:newcomer]

# --8<-- [start:counts]
import polars as pl

plays = pl.DataFrame(
    {"user": ["ann", "ann", "bob"], "song": ["Heroes", "Hurt", "Hurt"], "plays": [12, 1, 3]}
)
listened = Ratings.from_frame(plays, item="song")
print(listened, listened.counts)
print(listened.notes[0])
# --8<-- [end:counts]
