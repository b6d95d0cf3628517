"""Any fitted ``nn.Module`` as a Scorer: Factors where it is bilinear, else its forward pass, streamed in blocks."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from ..errors import DataError, ModelFileError, SettingError
from ..factors import Factors, clicked_pairs, implied_ridge
from ..ids import Tables
from ..losses import Loss
from ..models import BilinearModule, EmbeddingDotBias, EmbeddingNet, SideFeatures
from ..objective import Objective, Side
from ..ratings import Ratings
from ..scorer import FoldsIn, Keeps, Ranks, Scorer, State, Stored, Timed, grown, told
from ..times import NOW, UNKNOWN
from .newcomers import Frozen, Looked, Prior, fitted_row, looked_up, prior_of

BLOCK = 1 << 18  # pairs scored at once


def takes_times(model: nn.Module) -> bool:
    """Whether ``model.forward`` has a third argument, for the time of the rating."""
    parameters = inspect.signature(model.forward).parameters.values()
    return len([p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]) > 2


class Examples(NamedTuple):
    """What a fit learned from: user rows, item rows and values, (N,) each; of clicks, negatives and all."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray


def scorer_of(model: nn.Module, train: Ratings, loss: Loss, examples: Examples) -> Scorer:
    """A module fitted to train, as a Scorer: Factors where it is a ``BilinearModule``, else a ModuleScorer.

    Rows that train never rated are cold: zero bias and factors; for a module of the user's own, the examples' mean.
    So are users without an example: those who clicked everything. Of clicks, a cold user is the mean user, who gets
    what is popular, and a cold item has the mean item's bias.
    """
    learned = np.bincount(examples.users, minlength=train.n_users) > 0
    seen, objective = (learned, train.item_counts > 0), objective_of(loss, train, examples.values)
    if not isinstance(model, BilinearModule):
        mean = float(examples.values.mean(dtype=np.float64))
        scorer = ModuleScorer(model, *seen, objective=objective, mean=mean, tables=train.tables)
        scorer.noise = 0.5 if objective.loss != "squared" else _mean_square(scorer, examples)
        return scorer
    raw = model.factors(objective)
    raw = _around_the_mean(raw, *seen) if objective.negatives else raw
    biases = raw.user_bias * seen[0], raw.item_bias * seen[1]
    factors = raw.users * seen[0][:, None], raw.items * seen[1][:, None]
    warm = Factors(raw.mean, *biases, *factors, raw.objective, train.tables)
    return implied_ridge(warm, *examples)


def _mean_square(scorer: ModuleScorer, examples: Examples) -> float:
    error = examples.values - scorer.score(examples.users, examples.items)
    return max(float(np.mean(np.square(error, dtype=np.float64))), 1e-6)


def _around_the_mean(raw: Factors, users: np.ndarray, items: np.ndarray) -> Factors:
    """The same scores, with the mean user's part of them in the items' biases, and the mean biases in the mean.

    Zeros are then the mean user's factors, and the mean item's bias; the means are over the rows that are marked.
    """
    if not users.any() or not items.any():
        return raw
    factors, bias = raw.users[users].mean(axis=0, dtype=np.float64), raw.user_bias[users].mean(dtype=np.float64)
    item_bias = raw.item_bias + raw.items @ factors
    level = item_bias[items].mean()
    own = {"users": raw.users - factors, "user_bias": raw.user_bias - bias, "item_bias": item_bias - level}
    return dataclasses.replace(raw, mean=raw.mean + bias + level, **own)


def objective_of(loss: Loss, train: Ratings, values: np.ndarray) -> Objective:
    """What a loss says of the model's output: its link, where scores lie, and what share of ``values`` (N,) is 0."""
    clicks = train.feedback == "clicks"
    low, high = loss.y_range or ((0.0, 1.0) if clicks else train.scale())
    negatives = float((values == 0).sum() / (values == 1).sum()) if clicks else 0.0
    objective = Objective(loss.kind, loss.link, (low, high) if low < high else (-np.inf, np.inf))
    return dataclasses.replace(objective, negatives=negatives)


def check_link(loss: Loss, model: nn.Module) -> Loss:
    """The loss, if the model's output is what it takes.

    Raises:
        SettingError: for log-odds of a model that squashes its output itself.
    """
    if loss.link == "sigmoid" and isinstance(model, (EmbeddingDotBias, EmbeddingNet)) and model.range.y_range:
        raise SettingError(
            f"{loss.name} takes log-odds, but this model squashes its output into {model.range.y_range}.",
            hint="make the model with y_range=None.",
        )
    return loss


class ModuleScorer:
    """Scores by a module's forward pass, in evaluation mode.

    Args:
        model: called as ``model(users, items[, times])`` with rows (B,).
        user_seen: (U,) bool: rows that the fit has seen. Unseen rows of an EmbeddingNet get zero embeddings.
        item_seen: (I,) bool.
        objective: what the fit's loss says of the model's output: its link, and where scores lie.
        mean: train's mean rating: the guess for pairs with a cold row, where the model is of the user's own, since its
            embedding of a row that was never trained means nothing.
        tables: fingerprint of the id tables.
        noise: what a newcomer's row is held at the fitted rows by: the mean squared error in train, or ½ of log loss.
    """

    def __init__(
        self,
        model: nn.Module,
        user_seen: np.ndarray,
        item_seen: np.ndarray,
        *,
        objective: Objective,
        mean: float,
        tables: Tables | None = None,
        noise: float = 1.0,
    ):
        self.noise = noise
        self.model = with_cold_rows(model, user_seen, item_seen) if isinstance(model, EmbeddingNet) else model.eval()
        self.user_seen, self.item_seen, self.objective = user_seen, item_seen, objective
        self.n_users, self.n_items, self.mean, self.tables = len(user_seen), len(item_seen), mean, tables

    def __repr__(self) -> str:
        return f"ModuleScorer({type(self.model).__name__}, {self.n_users:,} users, {self.n_items:,} items)"

    @property
    def offers(self) -> tuple[type, ...]:
        """See ``scorer``: stored if it is an EmbeddingNet of ours; timed if the model takes times and uses them.

        Newcomers are folded in where rows do nothing but look up embeddings.
        """
        ours = isinstance(self.model, EmbeddingNet)
        timed = self.model.times is not None if isinstance(self.model, EmbeddingNet) else takes_times(self.model)
        newcomers = (FoldsIn, Keeps) if self._looked is not None else ()
        return (Scorer, Ranks, *((Stored,) if ours else ()), *((Timed,) if timed else ()), *newcomers)

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows (B,), (B,), seconds (B,) or None -> (B,) float32."""
        return self.objective.squash(self.rank(users, items, times))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """What the model says of pairs of rows (B,), (B,), before the loss' link and any clip -> (B,) float32."""
        if times is not None and not (given := (times != UNKNOWN) & (times != NOW)).all():
            return self._rank_some(users, items, times, given)
        out = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = self._block(users[part], items[part], None if times is None else times[part])
        return out

    def _rank_some(self, users: np.ndarray, items: np.ndarray, times: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Ranks (B,) where some times are unknown, or now: a net knows no sessions, so it is told of no time."""
        out = np.empty(len(users), np.float32)
        out[given] = self.rank(users[given], items[given], times[given])
        out[~given] = self.rank(users[~given], items[~given])
        return out

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each user row (B,) -> (B, I) float32."""
        return self.objective.squash(self.rank_all(users, times))

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        items = np.arange(self.n_items)
        rows = [
            self.rank(np.full(self.n_items, u), items, None if times is None else np.full(self.n_items, times[k]))
            for k, u in enumerate(users)
        ]
        return np.stack(rows) if rows else np.empty((0, self.n_items), np.float32)

    @torch.no_grad()
    def _block(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        device = next(self.model.parameters()).device
        u, i = _known(users, self.user_seen), _known(items, self.item_seen)
        if not isinstance(self.model, EmbeddingNet):  # ours has a zero row for the cold at the end of its tables
            cold, u, i = (u < 0) | (i < 0), u.clip(0), i.clip(0)
        else:
            cold, u, i = np.zeros(len(u), bool), np.where(u < 0, self.n_users, u), np.where(i < 0, self.n_items, i)
        arguments: list[Any] = [torch.as_tensor(rows, device=device) for rows in (u, i)]
        if takes_times(self.model):
            arguments.append(None if times is None else torch.as_tensor(times, device=device))
        scores = self.model(*arguments).cpu().numpy()
        return np.where(cold, np.float32(self.unlink(self.mean)), scores)

    def unlink(self, score: float) -> float:
        """What the model would have to say for a score."""
        if self.objective.link == "identity":
            return score
        low, high = self.objective.y_range
        share = min(max((score - low) / (high - low), 1e-3), 1 - 1e-3)
        return math.log(share / (1 - share))

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> ModulePart:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,): a short fit of one row, the rest frozen.

        Nothing is random. With no ratings: the mean of the fitted rows. Features and times are ignored.
        """
        return ModulePart(self, "user", self._fitted("user", items, values))

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> ModulePart:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,)."""
        return ModulePart(self, "item", self._fitted("item", users, values))

    def keeping(self, train: Ratings, side: Side, rows: np.ndarray) -> ModuleScorer:
        """With the rows (n,) of one side folded in by all their ratings in train: see ``scorer.Keeps``."""
        looked, spare = self.looked(), int(isinstance(self.model, EmbeddingNet))
        model = copy.deepcopy(self.model)
        sizes = {"user": train.n_users + spare, "item": train.n_items + spare}
        for which in ("user", "item"):
            for name in looked.of(which):
                embedding = cast("nn.Embedding", model.get_submodule(name))
                embedding.weight = nn.Parameter(_longer(embedding.weight.detach(), sizes[which], spare))
                embedding.num_embeddings = sizes[which]
        for name, which in looked.tables.items():
            table = cast("SideFeatures", model.get_submodule(name.removesuffix(".table")))
            table.table = _longer(table.table, sizes[which], spare)
        seen = {"user": grown(self.user_seen, train.n_users), "item": grown(self.item_seen, train.n_items)}
        for row, others, values, _ in told(train, side, rows):
            vectors = self._fitted(side, others, values)
            for name, part in zip(
                looked.of(side), np.split(vectors, np.cumsum(self.frozen[side].sizes)[:-1]), strict=True
            ):
                weight = cast("nn.Embedding", model.get_submodule(name)).weight.data
                weight[row] = torch.as_tensor(part, dtype=weight.dtype, device=weight.device)
            seen[side][row] = bool(len(others)) or bool(spare)
        return _made(model, seen["user"], seen["item"], self.objective, self.mean, train.tables, self.noise)

    def looked(self) -> Looked:
        """Which embeddings rows look up.

        Raises:
            SettingError: where a row of the model is more than its embeddings.
        """
        if self._looked is None:
            raise SettingError(f"a {type(self.model).__name__} does not support fold-in.", hint="refit it.")
        return self._looked

    @cached_property
    def _looked(self) -> Looked | None:
        names = {"user_side": "user", "item_side": "item"}
        ours = isinstance(self.model, EmbeddingNet)
        tables = {f"{n}.table": side for n, side in names.items() if ours and getattr(self.model, n) is not None}
        found = looked_up(self.model, tables, (None,) if takes_times(self.model) else ())
        if found is None:
            return None
        known = {f"{name}.weight" for name in (*found.user, *found.item)} | set(tables)
        lengths = {self.n_users, self.n_items}
        rest = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}.items()
        return None if not ours and any(n not in known and x.ndim and len(x) in lengths for n, x in rest) else found

    @cached_property
    def frozen(self) -> dict[Side, Frozen]:
        """Of each side: the module around one of its rows."""
        return {side: Frozen(self.model, self.looked(), side) for side in SIDES}

    @cached_property
    def _priors(self) -> dict[Side, Prior]:
        found: dict[Side, Prior] = {}
        for side in SIDES:
            seen = self.user_seen if side == "user" else self.item_seen
            rows = self.frozen[side].vectors(np.flatnonzero(seen))
            found[side] = prior_of(rows[rows.any(1)], self.noise)  # of a loaded net, zeros are those that are cold
        return found

    def _fitted(self, side: Side, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The vectors (A,) of a newcomer; ratings of rows that are cold say nothing."""
        rows, values = np.asarray(rows, np.int64), np.asarray(values, np.float64)
        if rows.shape != values.shape or rows.ndim != 1:
            raise DataError(f"rows of shape {rows.shape} and values of shape {values.shape}: both must be (n,).")
        seen = self.item_seen if side == "user" else self.user_seen
        weights = None
        if self.objective.negatives and len(rows):
            rows, values, more = clicked_pairs(rows, len(seen), self.objective.negatives)
            weights = more["weights"]
        known = _known(rows, seen) >= 0
        weights = None if weights is None else weights[known]
        return fitted_row(self.frozen[side], self.objective, self._priors[side], rows[known], values[known], weights)

    def state(self) -> State:
        """What ``storage`` keeps: the weights and how to build the net again."""
        if not isinstance(self.model, EmbeddingNet):
            raise ModelFileError(
                f"a {type(self.model).__name__} of your own cannot be kept: its code is not ours to store.",
                hint="save its state_dict with safetensors beside your code.",
            )
        arrays = {k: v.cpu().numpy() for k, v in self.model.state_dict().items()}
        settings = {"config": self.model.config, "mean": self.mean, "noise": self.noise, **self.objective.to_json()}
        return State("net", arrays, settings)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> ModuleScorer:
        """The scorer that ``state`` described."""
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}
        net = EmbeddingNet.from_config(settings["config"], tensors)
        low, high = settings["y_range"]  # None: no limit; version 0.1 kept this alone
        y_range = (-np.inf if low is None else low, np.inf if high is None else high)
        objective = Objective(settings.get("loss", "squared"), settings.get("link", "identity"), y_range)
        objective = dataclasses.replace(objective, negatives=settings.get("negatives", 0.0))
        users, items = (tensors[f"{k}.weight"][:-1].any(1).numpy() for k in ("u", "i"))  # others' rows are zero
        noise = settings.get("noise", (np.ptp(y_range) / 4) ** 2 if np.isfinite(y_range).all() else 1.0)
        return _made(net.eval(), users, items, objective, settings.get("mean", float(np.mean(y_range))), tables, noise)


SIDES: tuple[Side, Side] = ("user", "item")


@dataclasses.dataclass(frozen=True, eq=False)
class ModulePart:
    """A newcomer to a module: the vectors (A,) of its row."""

    of: ModuleScorer
    side: Side
    vectors: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses for rows of the other side (n,), all by default -> (n,) float32."""
        return self.of.objective.squash(self.rank(others))

    @torch.no_grad()
    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """The same before the link and any clip (n,) float32."""
        of = self.of
        n, seen = (of.n_items, of.item_seen) if self.side == "user" else (of.n_users, of.user_seen)
        rows = _known(np.arange(n) if others is None else others, seen)
        ours, frozen = isinstance(of.model, EmbeddingNet), of.frozen[self.side]
        at, out = np.where(rows < 0, n if ours else 0, rows), np.empty(len(rows), np.float32)
        for k in range(0, len(at), BLOCK):
            part = at[k : k + BLOCK]
            own = torch.from_numpy(self.vectors).expand(len(part), -1)
            out[k : k + BLOCK] = frozen.outputs(own, frozen.given(part)).numpy()
        return out if ours else np.where(rows < 0, np.float32(of.unlink(of.mean)), out)


def _made(
    model: nn.Module,
    user_seen: np.ndarray,
    item_seen: np.ndarray,
    objective: Objective,
    mean: float,
    tables: Tables | None,
    noise: float,
) -> ModuleScorer:
    """A ModuleScorer of a model that has its cold rows."""
    scorer = ModuleScorer.__new__(ModuleScorer)
    scorer.model, scorer.user_seen, scorer.item_seen = model, user_seen, item_seen
    scorer.n_users, scorer.n_items, scorer.objective = len(user_seen), len(item_seen), objective
    scorer.mean, scorer.tables, scorer.noise = mean, tables, noise
    return scorer


def _longer(table: torch.Tensor, n: int, spare: int) -> torch.Tensor:
    """A table (R, A) with zeros for rows that came later, before the ``spare`` ones at its end: (n, A)."""
    rows, last = table[: len(table) - spare], table[len(table) - spare :]
    return torch.cat([rows, table.new_zeros(n - len(table), table.shape[1]), last])


def _known(rows: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rows (B,), -1 for those that are negative, past the end of ``seen`` (R,), or not seen -> (B,) int64."""
    rows = np.asarray(rows, np.int64)
    inside = (rows >= 0) & (rows < len(seen))
    inside[inside] = seen[rows[inside]]
    return np.where(inside, rows, -1)


def with_cold_rows(net: EmbeddingNet, user_seen: np.ndarray, item_seen: np.ndarray) -> EmbeddingNet:
    """A copy in which unseen rows are zero, and one more zero row stands for rows outside the table."""
    tensors = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
    for name, seen in (("u", user_seen), ("i", item_seen)):
        weight = tensors[f"{name}.weight"]
        weight[~torch.from_numpy(seen)] = 0
        tensors[f"{name}.weight"] = torch.cat([weight, weight.new_zeros(1, weight.shape[1])])
    for side in ("user_side", "item_side"):
        if isinstance(getattr(net, side), SideFeatures):
            table = tensors[f"{side}.table"]
            tensors[f"{side}.table"] = torch.cat([table, table.new_zeros(1, table.shape[1])])
    return EmbeddingNet.from_config(net.config, tensors).to(next(net.parameters()).device).eval()
