"""The course's notebook, cell by cell, on the names of dotbias.lesson5; and what each of these names promises."""

import sys
from functools import partial

import numpy as np
import pytest

from dotbias.datasets import World

pytest.importorskip("torch")
pytest.importorskip("seaborn")
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas
import seaborn
import torch
import torch.nn.functional as F

from dotbias import lesson5, losses
from dotbias.callbacks import Callback, Checkpoint, EarlyStop, GradientStats, OverfitWarning, RunningLoss
from dotbias.errors import DataError, DivergedError, ModelFileError, SettingError
from dotbias.lesson5 import CollabFilterDataset, ColumnarModelData, T, V, fit, get_cv_idxs, nn, optim, pd, set_lrs, sns
from dotbias.lesson5.learner import CollabFilterLearner

NAMES = {
    *("pd", "np", "plt", "math", "itemgetter", "torch", "nn", "optim", "F", "T", "V", "to_np", "get_cv_idxs", "fit"),
    *("set_lrs", "CollabFilterDataset", "ColumnarModelData", "sns", "PCA", "Path"),
}

# The cells as a reader would type them, for 2018's libraries.
NOTEBOOK = """
from dotbias.lesson5 import *
# %% the data
ratings = pd.read_csv(path+'ratings.csv')
movies = pd.read_csv(path+'movies.csv')
ratings.head(), movies.head()
# %% the crosstab for the spreadsheet
g=ratings.groupby('userId')['rating'].count()
topUsers=g.sort_values(ascending=False)[:15]
g=ratings.groupby('movieId')['rating'].count()
topMovies=g.sort_values(ascending=False)[:15]
top_r = ratings.join(topUsers, rsuffix='_r', how='inner', on='userId')
top_r = top_r.join(topMovies, rsuffix='_r', how='inner', on='movieId')
crosstab = pd.crosstab(top_r.userId, top_r.movieId, top_r.rating, aggfunc=np.sum)
# %% the library's learner
val_idxs = get_cv_idxs(len(ratings))
wd=2e-4
n_factors = 50
cf = CollabFilterDataset.from_csv(path, 'ratings.csv', 'userId', 'movieId', 'rating')
learn = cf.get_learner(n_factors, val_idxs, 64, opt_fn=optim.Adam)
learn.fit(1e-2, 2, wds=wd, cycle_len=1, cycle_mult=2)
math.sqrt(0.776)
# %% its predictions
preds = learn.predict()
y=learn.data.val_y
sns.jointplot(preds, y, kind='hex', stat_func=None);
# %% biases
movie_names = movies.set_index('movieId')['title'].to_dict()
g=ratings.groupby('movieId')['rating'].count()
topMovies=g.sort_values(ascending=False).index.values[:3000]
topMovieIdx = np.array([cf.item2idx[o] for o in topMovies])
m=learn.model; m.cuda()
movie_bias = to_np(m.ib(V(topMovieIdx)))
movie_ratings = [(b[0], movie_names[i]) for i,b in zip(topMovies,movie_bias)]
worst = sorted(movie_ratings, key=itemgetter(0))[:15]
best = sorted(movie_ratings, key=lambda o: o[0], reverse=True)[:15]
# %% embeddings
movie_emb = to_np(m.i(V(topMovieIdx)))
from sklearn.decomposition import PCA
pca = PCA(n_components=3)
movie_pca = pca.fit(movie_emb.T).components_
fac0 = movie_pca[0]
fac1 = movie_pca[1]
movie_comp = [(f, movie_names[i]) for f,i in zip(fac0, topMovies)]
sorted(movie_comp, key=itemgetter(0), reverse=True)[:10]
idxs = np.random.choice(len(topMovies), 50, replace=False)
X = fac0[idxs]
Y = fac1[idxs]
plt.figure(figsize=(15,15))
plt.scatter(X, Y)
for i, x, y in zip(topMovies[idxs], X, Y):
    plt.text(x,y,movie_names[i], color=np.random.rand(3)*0.7, fontsize=11)
plt.show()
# %% from scratch: a dot product
a = T([[1.,2],[3,4]])
b = T([[2.,2],[10,10]])
(a*b).sum(1)
class DotProduct(nn.Module):
    def forward(self, u, m): return (u*m).sum(1)
model=DotProduct()
dots = model(a,b)
# %% contiguous ids
u_uniq = ratings.userId.unique()
user2idx = {o:i for i,o in enumerate(u_uniq)}
ratings.userId = ratings.userId.apply(lambda x: user2idx[x])
m_uniq = ratings.movieId.unique()
movie2idx = {o:i for i,o in enumerate(m_uniq)}
ratings.movieId = ratings.movieId.apply(lambda x: movie2idx[x])
n_users=int(ratings.userId.nunique())
n_movies=int(ratings.movieId.nunique())
# %% EmbeddingDot
class EmbeddingDot(nn.Module):
    def __init__(self, n_users, n_movies):
        super().__init__()
        self.u = nn.Embedding(n_users, n_factors)
        self.m = nn.Embedding(n_movies, n_factors)
        self.u.weight.data.uniform_(0,0.05)
        self.m.weight.data.uniform_(0,0.05)
    def forward(self, cats, conts):
        users,movies = cats[:,0],cats[:,1]
        u,m = self.u(users),self.m(movies)
        return (u*m).sum(1).view(-1, 1)
x = ratings.drop(['rating', 'timestamp'],axis=1)
y = ratings['rating'].astype(np.float32)
data = ColumnarModelData.from_data_frame(path, val_idxs, x, y, ['userId', 'movieId'], 64)
wd=1e-5
model = EmbeddingDot(n_users, n_movies).cuda()
opt = optim.SGD(model.parameters(), 1e-1, weight_decay=wd, momentum=0.9)
fit(model, data, 3, opt, F.mse_loss)
set_lrs(opt, 0.01)
mse_dot = fit(model, data, 3, opt, F.mse_loss)
# %% EmbeddingDotBias
min_rating,max_rating = ratings.rating.min(),ratings.rating.max()
def get_emb(ni,nf):
    e = nn.Embedding(ni, nf)
    e.weight.data.uniform_(-0.01,0.01)
    return e
class EmbeddingDotBias(nn.Module):
    def __init__(self, n_users, n_movies):
        super().__init__()
        (self.u, self.m, self.ub, self.mb) = [get_emb(*o) for o in [
            (n_users, n_factors), (n_movies, n_factors), (n_users,1), (n_movies,1)
        ]]
    def forward(self, cats, conts):
        users,movies = cats[:,0],cats[:,1]
        um = (self.u(users)* self.m(movies)).sum(1)
        res = um + self.ub(users).squeeze() + self.mb(movies).squeeze()
        res = F.sigmoid(res) * (max_rating-min_rating) + min_rating
        return res.view(-1, 1)
wd=2e-4
model = EmbeddingDotBias(cf.n_users, cf.n_items).cuda()
opt = optim.SGD(model.parameters(), 1e-1, weight_decay=wd, momentum=0.9)
fit(model, data, 3, opt, F.mse_loss)
set_lrs(opt, 1e-2)
mse_bias = fit(model, data, 3, opt, F.mse_loss)
# %% EmbeddingNet
class EmbeddingNet(nn.Module):
    def __init__(self, n_users, n_movies, nh=10, p1=0.05, p2=0.5):
        super().__init__()
        (self.u, self.m) = [get_emb(*o) for o in [(n_users, n_factors), (n_movies, n_factors)]]
        self.lin1 = nn.Linear(n_factors*2, nh)
        self.lin2 = nn.Linear(nh, 1)
        self.drop1 = nn.Dropout(p1)
        self.drop2 = nn.Dropout(p2)
    def forward(self, cats, conts):
        users,movies = cats[:,0],cats[:,1]
        x = self.drop1(torch.cat([self.u(users),self.m(movies)], dim=1))
        x = self.drop2(F.relu(self.lin1(x)))
        return F.sigmoid(self.lin2(x)) * (max_rating-min_rating+1) + min_rating-0.5
wd=1e-5
model = EmbeddingNet(n_users, n_movies).cuda()
opt = optim.Adam(model.parameters(), 1e-3, weight_decay=wd)
fit(model, data, 3, opt, F.mse_loss)
set_lrs(opt, 1e-3)
mse_net = fit(model, data, 3, opt, F.mse_loss)
"""


def run_notebook(folder) -> dict:
    """All cells in one namespace, as a notebook has it."""
    names: dict = {"path": f"{folder}/"}
    torch.manual_seed(0)
    np.random.seed(0)
    for cell in NOTEBOOK.split("# %%"):
        exec(compile(f"#{cell}", f"<{cell.strip().splitlines()[0]}>", "exec"), names)
    plt.close("all")
    return names


@pytest.fixture(autouse=True)
def one_thread_and_no_pictures():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    plt.close("all")


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory):
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
def cf(folder) -> CollabFilterDataset:
    return CollabFilterDataset.from_csv(folder, "ratings.csv", "userId", "movieId", "rating")


@pytest.fixture
def learn(cf) -> CollabFilterLearner:
    return cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, rng=0)


@pytest.fixture
def columnar(folder, cf) -> ColumnarModelData:
    df = pandas.DataFrame({"userId": cf.table.users, "movieId": cf.table.items})
    return ColumnarModelData.from_data_frame(folder, get_cv_idxs(len(df)), df, cf.ratings, ["userId", "movieId"], 64)


class Dot(nn.Module):
    def __init__(self, n_users: int, n_items: int, *, column: bool = True):
        super().__init__()
        self.u, self.i, self.column = nn.Embedding(n_users, 3), nn.Embedding(n_items, 3), column

    def forward(self, cats, conts):
        dot = (self.u(cats[:, 0]) * self.i(cats[:, 1])).sum(1)
        return dot.view(-1, 1) if self.column else dot


def dot(cf, **settings) -> Dot:
    torch.manual_seed(0)
    return Dot(cf.n_users, cf.n_items, **settings)


# The notebook --------------------------------------------------------------------------------------------------


def test_the_notebook_runs(folder, capsys):
    names = run_notebook(folder)
    assert names["crosstab"].shape == (15, 15)
    assert names["dots"].tolist() == [6, 70]
    assert len(names["worst"]) == len(names["best"]) == 15 and names["worst"][0][0] < 0 < names["best"][0][0]
    assert names["movie_pca"].shape == (3, len(names["topMovies"]))
    assert names["preds"].shape == names["learn"].data.val_y.shape == (600,)
    rows = capsys.readouterr().out.splitlines()
    assert [r.split() for r in rows].count(["epoch", "trn_loss", "val_loss"]) == 7
    assert len(rows) == 7 + 3 + 6 * 3
    epoch, train, valid = rows[1].split()
    assert epoch == "0" and 0 < float(valid) < 5 and 0 < float(train) < 5


@pytest.mark.slow
def test_the_notebook_ends_where_the_course_ended(data):
    """One seed; bench/lesson.py has the medians of five."""
    names = run_notebook(data / "ml-latest-small-2016")
    assert names["mse_dot"][0] < 1.16
    assert names["mse_bias"][0] < 0.81
    assert names["mse_net"][0] < 0.81
    mse = float(np.mean((names["preds"] - names["learn"].data.val_y) ** 2))
    assert mse < 0.79
    assert (names["n_users"], names["n_movies"], len(names["preds"])) == (671, 9066, 20_000)


def test_star_import_brings_the_names_and_no_others():
    names: dict = {}
    exec("from dotbias.lesson5 import *", names)
    assert set(names) - {"__builtins__"} == NAMES
    assert names["optim"] is torch.optim and names["F"] is F


def test_the_real_libraries_stay_unpatched():
    assert torch.nn.Module.cuda.__module__ == "torch.nn.modules.module" and torch.nn.Module is not nn.Module
    assert pandas.DataFrame.join.__module__.startswith("pandas") and pandas.read_csv.__module__.startswith("pandas")
    assert seaborn.jointplot.__module__ == "seaborn.axisgrid"


# The libraries of 2018 -----------------------------------------------------------------------------------------


def test_nn_is_torchs_own_but_for_module():
    assert nn.Embedding is torch.nn.Embedding and nn.functional is F and "Linear" in dir(nn)
    assert issubclass(nn.Module, torch.nn.Module) and nn.Module is not torch.nn.Module
    assert isinstance(nn.Embedding(3, 2), nn.Module) and issubclass(torch.nn.Linear, nn.Module)
    assert not isinstance(3, nn.Module) and not issubclass(int, nn.Module)
    assert isinstance(Dot(3, 4), nn.Module) and not isinstance(nn.Linear(1, 1), Dot)
    with pytest.raises(AttributeError):
        nn.Embeding  # noqa: B018


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_has_no_effect_without_cuda(learn):
    model = Dot(3, 4)
    assert model.cuda() is model and learn.model.cuda() is learn.model
    with pytest.raises((AssertionError, RuntimeError)):
        torch.nn.Linear(1, 1).cuda()


def test_T_makes_tensors_of_anything():
    assert T([[1.0, 2], [3, 4]]).dtype == torch.float32
    assert T(np.arange(3, dtype=np.int32)).dtype == torch.int64
    assert T(torch.ones(2, dtype=torch.float64)).dtype == torch.float32
    assert T(pandas.Series([1.5, 2.5])).tolist() == [1.5, 2.5]
    assert T([True, False]).dtype == torch.bool and T(3).shape == ()
    for wrong in (["a"], [[1, 2], [3]]):
        with pytest.raises(DataError, match="T cannot make a tensor"):
            T(wrong)


def test_V_and_to_np():
    a, b = V([np.zeros(2), torch.ones(3)])
    assert a.dtype == torch.float32 and len(b) == 3
    x = V([1.0, 2.0], requires_grad=True)
    assert x.requires_grad and lesson5.to_np(x * 2).tolist() == [2, 4]
    assert [v.tolist() for v in lesson5.to_np([x, a])] == [[1, 2], [0, 0]]


def test_join_doubles_a_name_as_in_2018(folder):
    table = pd.read_csv(folder / "ratings.csv")
    counts = table.groupby("userId")["rating"].count()
    once = table.join(counts, rsuffix="_r", how="inner", on="userId")
    assert list(once.columns) == [*table.columns, "rating_r"]
    assert (once.rating_r == once.userId.map(counts)).all()
    twice = once.join(counts, rsuffix="_r", on="userId")
    assert list(twice.columns) == [*once.columns, "rating_r"]
    plain = pandas.DataFrame(table).set_index("userId")[["movieId"]]
    assert list(pd.DataFrame({"a": [1]}).join(pandas.DataFrame({"b": [2]})).columns) == ["a", "b"]
    assert list(lesson5.libraries.Frame(plain).join(counts).columns) == ["movieId", "rating"]


def test_jointplot_takes_positions():
    rng = np.random.default_rng(0)
    grid = sns.jointplot(rng.random(50), rng.random(50), kind="hex", stat_func=None)
    assert isinstance(grid, seaborn.JointGrid) and sns.heatmap is seaborn.heatmap
    with pytest.raises(SettingError, match="statistic"):
        sns.jointplot([1.0, 2], [1.0, 2], stat_func=max)


def test_set_lrs():
    a, b = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    opt = optim.SGD([{"params": [a]}, {"params": [b]}], lr=1.0)
    set_lrs(opt, 0.01)
    assert [g["lr"] for g in opt.param_groups] == [0.01, 0.01]
    set_lrs(opt, [0.1, 0.2])
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.2]
    with pytest.raises(SettingError, match="3 rates for 2 groups"):
        set_lrs(opt, [1, 2, 3])


def test_get_cv_idxs_is_the_courses_and_leaves_numpys_generator_alone():
    np.random.seed(42)
    shuffled = np.random.permutation(101)
    np.random.seed(5)
    assert (get_cv_idxs(101) == shuffled[:20]).all()
    assert (get_cv_idxs(101, cv_idx=2, val_pct=0.1) == shuffled[20:30]).all()
    after = np.random.rand()
    np.random.seed(5)
    assert np.random.rand() == after


# Data ----------------------------------------------------------------------------------------------------------


def test_rows_are_numbered_by_first_appearance(cf, folder):
    table = pd.read_csv(folder / "ratings.csv")
    assert list(cf.users) == list(table.userId.unique()) and list(cf.items) == list(table.movieId.unique())
    assert cf.n_users == len(cf.users) == len(cf.user2idx) and cf.n_items == len(cf.items)
    assert cf.item2idx[table.movieId[0]] == 0 and cf.users[cf.user2idx[table.userId[100]]] == table.userId[100]
    assert cf.ratings.dtype == np.float32 and (cf.ratings == table.rating).all() and len(cf) == len(table)
    assert (cf.min_score, cf.max_score) == (table.rating.min(), table.rating.max())
    same = CollabFilterDataset.from_data_frame(folder, table, "userId", "movieId", "rating")
    assert same.item2idx == cf.item2idx


def test_a_misnamed_column_is_an_error_that_suggests(folder):
    with pytest.raises(DataError, match="did you mean 'movieId'"):
        CollabFilterDataset.from_csv(folder, "ratings.csv", "userId", "movieid_", "rating")
    table = pandas.read_csv(folder / "ratings.csv")
    with pytest.raises(DataError, match="did you mean 'movieId'"):
        ColumnarModelData.from_data_frame(folder, [0], table, table.rating, ["userId", "movie_id"])


def test_held_out_rows_are_in_the_files_order(cf, learn):
    rows = np.sort(get_cv_idxs(len(cf)))
    assert (learn.data.val_y == cf.ratings[rows]).all() and len(learn.data.trn_y) == len(cf) - len(rows)
    with pytest.raises(DataError, match="the row 3000 of a table of 3000"):
        cf.get_data([3000], 64)
    with pytest.raises(DataError, match="every row"):
        cf.get_data(np.arange(3000), 64)


def test_columnar_batches(cf, columnar):
    cats, conts, y = next(iter(columnar.trn_dl))
    assert cats.dtype == torch.int64 and cats.shape == (64, 2)
    assert conts.dtype == torch.float32 and conts.shape == (64, 1) and not conts.any()
    assert y.dtype == torch.float32 and y.shape == (64, 1)
    assert sum(len(b.y) for b in columnar.trn_dl) == 2400 and len(columnar.trn_dl) == 38
    assert (torch.cat([b.y for b in columnar.val_dl]).numpy() == columnar.val_y).all() and columnar.val_y.shape == (
        600,
        1,
    )
    torch.manual_seed(1)
    first = [b.y for b in columnar.trn_dl]
    torch.manual_seed(1)
    assert all(torch.equal(a, b.y) for a, b in zip(first, columnar.trn_dl, strict=True))


def test_other_columns_are_numbers_and_tests_have_no_target(folder):
    df = pandas.DataFrame({"a": [0, 1, 2, 3], "n": [0.5, 1.5, 2.5, 3.5], "b": [3, 2, 1, 0]})
    data = ColumnarModelData.from_data_frame(folder, [1], df, np.ones(4), ["b", "a"], 2, test_df=df)
    assert data.val_ds.cats.tolist() == [[2, 1]] and data.val_ds.conts.tolist() == [[1.5]]
    assert [len(b.y) for b in data.test_dl] == [4]
    only = ColumnarModelData.from_data_frame(folder, [], df[["n"]], np.ones(4), [], 2)
    assert only.trn_ds.cats.shape == (4, 1) and only.val_dl is None
    for bad, what in (("x", "not numbers"), (np.nan, "NaN"), (-1, "no row numbers"), (0.5, "no row numbers")):
        with pytest.raises(DataError, match=what):
            ColumnarModelData.from_data_frame(folder, [0], pandas.DataFrame({"a": [bad, 1]}), [1, 2], ["a"])
    with pytest.raises(DataError, match="y has 3 values for a table of 4 rows"):
        ColumnarModelData.from_data_frame(folder, [0], df, [1, 2, 3], ["a"])


# The plain loop ------------------------------------------------------------------------------------------------


def by_hand(model, data, n_epochs, opt) -> tuple[float, float]:
    """The loop with nothing around it: (running train loss, validation loss)."""
    mean, t = 0.0, 0
    for _ in range(n_epochs):
        for cats, conts, y in data.trn_dl:
            loss = F.mse_loss(model(cats, conts), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            mean, t = 0.98 * mean + 0.02 * loss.item(), t + 1
    errors = (model(data.val_ds.cats, data.val_ds.conts) - data.val_ds.y) ** 2
    return mean / (1 - 0.98**t), errors.mean().item()


def test_fit_is_the_plain_loop(cf, columnar, capsys):
    ours, theirs = dot(cf), dot(cf)
    torch.manual_seed(3)
    result = fit(ours, columnar, 2, optim.SGD(ours.parameters(), 0.1, momentum=0.9, weight_decay=1e-5), F.mse_loss)
    torch.manual_seed(3)
    expected = by_hand(theirs, columnar, 2, optim.SGD(theirs.parameters(), 0.1, momentum=0.9, weight_decay=1e-5))
    assert torch.equal(ours.u.weight, theirs.u.weight)
    assert result == pytest.approx([expected[1]], rel=1e-5)
    epoch, *numbers = capsys.readouterr().out.splitlines()[-1].split()
    assert epoch == "1" and list(map(float, numbers)) == pytest.approx(expected, rel=1e-4)


def test_metrics_see_the_whole_validation_set(cf, columnar, capsys):
    def rmse(guess, target):
        return ((guess - target) ** 2).mean().sqrt()

    model = dot(cf)
    loss, root = fit(model, columnar, 1, optim.Adam(model.parameters()), F.mse_loss, metrics=[rmse])
    assert root == pytest.approx(loss**0.5, rel=1e-5)
    assert capsys.readouterr().out.split()[:4] == ["epoch", "trn_loss", "val_loss", "rmse"]


@pytest.mark.parametrize("crit", [F.mse_loss, F.l1_loss, lambda p, y: ((p - y) ** 2).mean(), losses.mse])
def test_flat_prediction_against_column_target_is_an_error(cf, columnar, crit):
    model = dot(cf, column=False)
    with pytest.raises(DataError, match=r"shape \(64,\), the target \(64, 1\)[\s\S]*view\(-1, 1\)"):
        fit(model, columnar, 1, optim.Adam(model.parameters()), crit)


def test_callbacks_are_ours(cf, columnar, tmp_path):
    class Moments(Callback):
        def __init__(self):
            self.seen = []

        def after_epoch(self, learner):
            self.seen.append((learner.epoch, learner.history[-1]["valid"], learner.progress < 1))

    model, moments, gradients, running = dot(cf), Moments(), GradientStats(), RunningLoss()
    opt = optim.SGD(model.parameters(), 0.1)
    fit(model, columnar, 2, opt, F.mse_loss, callbacks=[moments, gradients, running, EarlyStop()])
    assert [m[0] for m in moments.seen] == [0, 1] and len(running.losses) == 76
    assert set(gradients.history[1]) == {"u.weight", "i.weight"}
    with pytest.raises(SettingError, match="checkpoint"):
        fit(model, columnar, 1, opt, F.mse_loss, callbacks=[Checkpoint(tmp_path)])


def test_a_diverging_loop_says_so(cf, columnar):
    model = dot(cf)
    with pytest.raises(DivergedError, match="lower the rate"):
        fit(model, columnar, 3, optim.SGD(model.parameters(), 1e4), F.mse_loss)


def test_a_bar_on_a_terminal(cf, columnar, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    model = dot(cf)
    fit(model, columnar, 2, optim.Adam(model.parameters()), F.mse_loss)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3 and "loss" in err


def test_dropout_is_off_in_validation(columnar):
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
    both = type("Both", (nn.Module,), {"forward": lambda self, cats, conts: model(conts + 1)})()
    both.inner = model
    fit(both, columnar, 1, optim.Adam(both.parameters()), F.mse_loss)
    assert not model.training


# The learner ---------------------------------------------------------------------------------------------------


def test_the_model_is_the_librarys(learn, cf):
    m = learn.model
    assert all(f"({name}): Embedding({n}, {k})" in repr(m) for name, n, k in (("u", 120, 5), ("i", 80, 5)))
    assert "(ub): Embedding(120, 1)" in repr(learn) and "(ib): Embedding(80, 1)" in repr(learn)
    assert abs(m.u.weight).max() <= 0.05 and not m.u.sparse
    u, i = torch.arange(5), torch.arange(5)
    z = (m.u(u) * m.i(i)).sum(1) + m.ub(u)[:, 0] + m.ib(i)[:, 0]
    low, high = cf.min_score, cf.max_score
    torch.testing.assert_close(m(u, i), torch.sigmoid(z) * (high - low) + low)


def test_cycles(learn):
    """cycle_len · (1 + mult) epochs; the rate falls along a cosine in each cycle and restarts."""
    learn.fit(1e-2, 2, wds=2e-4, cycle_len=1, cycle_mult=2)
    lrs, n = learn.sched.lrs, 38
    assert len(lrs) == len(learn.sched.losses) == 3 * n and lrs[0] == lrs[n] == 1e-2
    assert lrs[n - 1] < 1e-4 and lrs[n // 2] == pytest.approx(5e-3) and lrs[2 * n] == pytest.approx(5e-3)
    learn.fit(np.array([1e-3]), 2)
    assert (learn.sched.lrs == 1e-3).all() and len(learn.sched.lrs) == 2 * n


@pytest.mark.parametrize(
    "wrong", [{"lrs": -1.0}, {"lrs": [1e-2, 1e-3]}, {"wds": -1.0}, {"cycle_len": 1, "cycle_mult": 0}]
)
def test_settings_without_sense(learn, wrong):
    with pytest.raises(SettingError):
        learn.fit(**{"lrs": 1e-2, "n_cycle": 1, **wrong})


def one_fit(cf, opt_fn, **settings) -> torch.Tensor:
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=opt_fn, rng=0)
    learn.fit(1e-2, 1, **settings)
    return learn.model.u.weight.detach()


def test_wds_is_decay_in_the_loss_and_use_wd_sched_decouples_it(cf):
    """L2: what torch's weight_decay does. Decoupled: what AdamW does."""
    l2 = one_fit(cf, optim.Adam, wds=1e-2)
    assert torch.equal(l2, one_fit(cf, partial(optim.Adam, weight_decay=1e-2)))
    decoupled = one_fit(cf, optim.Adam, wds=1e-2, use_wd_sched=True)
    torch.testing.assert_close(decoupled, one_fit(cf, optim.AdamW, wds=1e-2), rtol=1e-5, atol=1e-7)
    assert l2.norm() < decoupled.norm() / 2
    sgd = one_fit(cf, None, wds=1e-2)
    assert torch.equal(sgd, one_fit(cf, partial(optim.SGD, momentum=0.9), wds=1e-2))


def test_an_optimizer_without_decay_says_so(cf):
    class Plain(optim.Optimizer):
        def __init__(self, groups):
            super().__init__(groups, {"lr": 1.0})

    with pytest.raises(SettingError, match="Plain knows no weight decay"):
        one_fit(cf, Plain, wds=1e-2)


def test_manual_seed_fixes_a_run(cf):
    def run():
        torch.manual_seed(4)
        learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam)
        learn.fit(1e-2, 1)
        return learn.predict()

    a = run()
    assert (a == run()).all()


def test_predictions_are_those_behind_the_printed_loss(learn, capsys):
    (loss,) = learn.fit(1e-2, 2)
    preds, y = learn.predict_with_targs()
    assert (preds == learn.predict()).all() and (y == learn.data.val_y).all()
    assert np.mean((preds - y) ** 2) == pytest.approx(loss, rel=1e-4)
    assert str(round(loss, 6)) in capsys.readouterr().out.splitlines()[-1]
    scores = learn.learner.scorer().score(learn.data.valid.users, learn.data.valid.items)
    assert np.abs(scores - preds).max() < 1e-4  # every row of this world is warm


def test_metrics_and_callbacks_of_the_learner(cf):
    def worst(guess, target):
        return (guess - target).abs().max()

    gradients = GradientStats()
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, metrics=[worst], rng=0)
    _, metric = learn.fit(1e-2, 1, callbacks=[gradients])
    preds, y = learn.predict_with_targs()
    assert metric == pytest.approx(np.abs(preds - y).max()) and len(gradients.history) == 1


def test_lr_find_puts_the_model_back(cf):
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 16, opt_fn=optim.Adam, rng=0)
    before = learn.model.u.weight.detach().clone()
    assert learn.lr_find() is None
    assert torch.equal(before, learn.model.u.weight)
    lrs = learn.sched.lrs
    assert lrs[0] == pytest.approx(1e-5) and (np.diff(lrs) > 0).all() and 1e-5 < learn.sched.suggestion < 10
    axes = learn.sched.plot()
    assert axes.get_xscale() == "log" and len(axes.lines[0].get_xdata()) == len(lrs) - 15
    assert len(learn.sched.plot_lr().lines[0].get_ydata()) == len(learn.sched.plot_loss().lines[0].get_ydata())


def test_save_and_load(learn, cf, folder):
    learn.fit(1e-2, 1)
    before = learn.predict()
    learn.save("dot_bias")
    assert (folder / "models" / "dot_bias.safetensors").exists()
    learn.fit(1e-1, 1)
    learn.load("dot_bias")
    assert (learn.predict() == before).all()
    with pytest.raises(ModelFileError, match="did you mean 'dot_bias'"):
        learn.load("dot_bia")
    with pytest.raises(ModelFileError, match="does not fit this model"):
        cf.get_learner(6, [0], 64).load("dot_bias")
    (folder / "models" / "cut.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelFileError, match="does not fit"):
        learn.load("cut")


def test_summary(learn):
    layers = learn.summary()
    assert layers["Embedding-1"] == {
        **{"input_shape": [-1], "output_shape": [-1, 5], "trainable": True, "nb_params": 600},
    }
    assert sum(layer["nb_params"] for layer in layers.values()) == (120 + 80) * 6


def test_without_validation(cf, capsys):
    learn = cf.get_learner(5, [], 64, opt_fn=optim.Adam, rng=0)
    assert learn.fit(1e-2, 1) == [] and len(learn.data.val_y) == 0
    assert capsys.readouterr().out.split()[:2] == ["epoch", "trn_loss"]
    with pytest.raises(SettingError, match="no validation set"):
        learn.predict()


def test_one_rating_for_all_is_an_error(folder):
    table = pandas.DataFrame({"u": [1, 2, 3], "i": [1, 2, 3], "r": [4.0, 4.0, 4.0]})
    with pytest.raises(DataError, match="every rating is 4"):
        CollabFilterDataset.from_data_frame(folder, table, "u", "i", "r").get_learner(2, [0], 2)


def test_overfitting_is_said(cf):
    learn = cf.get_learner(20, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, rng=0)
    with pytest.warns(OverfitWarning, match="overfitting"):
        learn.fit(3e-2, 12)
