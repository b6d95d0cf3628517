"""Chapter 4: the neural net; sizes, dropout, genres, time."""

# --8<-- [start:net]
from dotbias import EmbeddingNet, Ratings, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
whole, _, test = split.lesson(ratings)
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)

net = EmbeddingNet(train.n_users, train.n_items, hidden=(10,), y_range=train.scale())
print(net)
# --8<-- [end:net]

# --8<-- [start:parameters]
net = EmbeddingNet(train.n_users, train.n_items, n_factors=(20, 30), hidden=(10,))
for name, p in net.named_parameters():
    print(f"{name:16} {tuple(p.shape)}")
# --8<-- [end:parameters]

# --8<-- [start:try]
from dotbias import fit_net


rare = train.item_counts[valid.items] < 5  # of films with few ratings in train


def attempt(name, **settings):
    """Valid MSE of a net after five epochs: over all rows, and over the rare ones."""
    scorer = fit_net(train, n_epochs=5, rng=0, **settings)
    errors = (scorer.score(valid.users, valid.items, valid.times) - valid.values) ** 2
    print(f"{name:18}  all {errors.mean():.3f}  rare {errors[rare].mean():.3f}")


attempt("as in the lesson")
attempt("no dropout", dropout=0.0, hidden_dropout=0.0)
attempt("sizes 20 and 30", n_factors=(20, 30))
attempt("two hidden layers", hidden=(50, 10), hidden_dropout=(0.2, 0.5))
attempt("half the decay", wd=0.5)
attempt("genres", item_features=("genres",))
attempt("genres and time", item_features=("genres",), times=True)
# --8<-- [end:try]

# --8<-- [start:compare]
from dotbias import fit_dot_bias
from dotbias.evaluation import compare

scorers = {
    "dot_bias": fit_dot_bias(whole, rng=0),
    "net": fit_net(whole, rng=0),
    "net, genres, time": fit_net(whole, item_features=("genres",), times=True, rng=0),
}
result = compare(scorers, test)
for name, report in result.reports.items():
    print(f"{name:17}  MSE {report.mse:.3f}  RMSE {report.rmse:.3f}")
for name, gap in result.differences.items():
    d = gap["rmse"]
    print(f"{name}, beside dot_bias: {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})")
# --8<-- [end:compare]
