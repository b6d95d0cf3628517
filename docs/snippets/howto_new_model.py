"""How to fit a model of your own."""

# --8<-- [start:data]
from dotbias import Ratings, evaluate, split

train, valid, test = split.random(Ratings.from_csv("ratings.csv"), valid=0.1, test=0.1, rng=0)
# --8<-- [end:data]

# --8<-- [start:model]
import torch
from torch import nn


class Distance(nn.Module):
    """A user likes what lies near: bias - ‖p_u - q_i‖²."""

    def __init__(self, n_users, n_items, *, n_factors=10, mean=0.0):
        super().__init__()
        self.u = nn.Embedding(n_users, n_factors)
        self.i = nn.Embedding(n_items, n_factors)
        self.ib = nn.Embedding(n_items, 1)
        self.mean = mean
        for e in (self.u, self.i, self.ib):
            nn.init.normal_(e.weight, std=0.1)

    def forward(self, users, items):
        """Rows (B,), (B,) -> predictions (B,)."""
        far = (self.u(users) - self.i(items)).square().sum(1)  # (B, K) -> (B,)
        return self.mean + self.ib(items).squeeze(1) - far


# --8<-- [end:model]


# --8<-- [start:fit]
from dotbias import Learner

torch.manual_seed(0)  # nn.Embedding draws from torch's own generator
model = Distance(train.n_users, train.n_items, mean=float(train.values.mean()))
learner = Learner(model, train, valid, bs=256, rng=0)
learner.fit(3, 0.01)
for row in learner.history:
    print(f"epoch {row['epoch']}  train {row['train']:.3f}  valid {row['valid']:.3f}")
print(evaluate(learner.scorer(), test))
# --8<-- [end:fit]


# --8<-- [start:shape]
from dotbias import DotbiasError


class Column(Distance):
    """The same, but forward ends in a column."""

    def forward(self, users, items):
        """Rows (B,), (B,) -> predictions (B, 1)."""
        return super().forward(users, items).unsqueeze(1)


try:
    Learner(Column(train.n_users, train.n_items), train).fit(1, 0.01)
except DotbiasError as e:
    print(e)
# --8<-- [end:shape]


# --8<-- [start:fitter]
from dotbias import cross_validate, schedules


def fit_distance(train, *, n_factors=10, rng=0):
    """A fitter: Ratings in, Scorer out."""
    torch.manual_seed(rng)
    model = Distance(
        train.n_users, train.n_items, n_factors=n_factors, mean=float(train.values.mean())
    )
    learner = Learner(model, train, bs=256, rng=rng)
    learner.fit(3, schedules.one_cycle(0.02))
    return learner.scorer()


print(cross_validate(fit_distance, train, k=3).pooled)
# --8<-- [end:fitter]


# --8<-- [start:times]
class Drifting(Distance):
    """The same, and a line in time: a third argument of forward gets each rating's seconds."""

    def __init__(self, n_users, n_items, **settings):
        super().__init__(n_users, n_items, **settings)
        self.slope = nn.Parameter(torch.zeros(()))

    def forward(self, users, items, times=None):
        """Rows (B,), (B,), seconds (B,) or None -> predictions (B,)."""
        years = 0.0 if times is None else (times - 1_000_000_000) / 31_557_600
        return super().forward(users, items) + self.slope * years


# --8<-- [end:times]


torch.manual_seed(0)
drifting = Learner(
    Drifting(train.n_users, train.n_items, mean=3.5), train, valid, bs=256, rng=0
)
drifting.fit(1, 0.001)
assert float(drifting.model.slope.detach()) != 0
