"""What the tests of dotbias.lesson5 share: a planted world as the course's two files."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("seaborn")
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas
import torch

from dotbias.lesson5 import CollabFilterDataset, ColumnarModelData, get_cv_idxs, nn, optim


@pytest.fixture(autouse=True)
def one_thread_and_no_pictures():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    plt.close("all")


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    """ratings.csv and movies.csv of a planted world, its ids neither contiguous nor in order."""
    path = tmp_path_factory.mktemp("ml")
    r = world.ratings
    table = pandas.DataFrame({"userId": 7 * r.users + 3, "movieId": 9000 - 11 * r.items, "rating": r.values})
    table["timestamp"] = 1_260_759_144
    table.to_csv(path / "ratings.csv", index=False)
    ids = table.movieId.unique()
    movies = pandas.DataFrame({"movieId": ids, "title": [f"Film {i} (1999)" for i in ids], "genres": "Drama"})
    movies.to_csv(path / "movies.csv", index=False)
    return path


@pytest.fixture
def cf(folder):
    return CollabFilterDataset.from_csv(folder, "ratings.csv", "userId", "movieId", "rating")


@pytest.fixture
def learn(cf):
    return cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, rng=0)


@pytest.fixture
def columnar(folder, cf):
    df = pandas.DataFrame({"userId": cf.table.users, "movieId": cf.table.items})
    return ColumnarModelData.from_data_frame(folder, get_cv_idxs(len(df)), df, cf.ratings, ["userId", "movieId"], 64)


class Dot(nn.Module):
    def __init__(self, n_users: int, n_items: int, *, column: bool = True):
        super().__init__()
        self.u, self.i, self.column = nn.Embedding(n_users, 3), nn.Embedding(n_items, 3), column

    def forward(self, cats, conts):
        dot = (self.u(cats[:, 0]) * self.i(cats[:, 1])).sum(1)
        return dot.view(-1, 1) if self.column else dot


@pytest.fixture
def dot(cf):
    """Makes a Dot of the world, always with the same weights."""

    def make(**settings):
        torch.manual_seed(0)
        return Dot(cf.n_users, cf.n_items, **settings)

    return make
