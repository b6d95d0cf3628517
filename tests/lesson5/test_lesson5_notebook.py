"""The course's notebook, cell by cell, on the names of dotbias.lesson5."""

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
import seaborn
import torch
import torch.nn.functional as F

from dotbias.lesson5 import nn

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
