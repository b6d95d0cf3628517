"""The lesson's models: what they compute, their gradients by finite differences, and their form at the waist."""

import numpy as np
import pytest
import torch
from torch import nn

from dotbias import losses, steps
from dotbias.errors import SettingError
from dotbias.features import encode
from dotbias.models import DotProduct, EmbeddingDot, EmbeddingDotBias, EmbeddingNet, Range
from dotbias.module_scorer import ModuleScorer
from dotbias.objective import Objective
from dotbias.scorer import Stored, offers

U, I, K = 7, 5, 3
USERS, ITEMS = torch.tensor([0, 3, 6, 3]), torch.tensor([4, 0, 2, 2])
VALUES = torch.tensor([3.0, 0.5, 5.0, 4.0], dtype=torch.float64)
TIMES = torch.tensor([10, 20, 30, 40])


@pytest.fixture
def item_features():
    import polars as pl

    return encode(
        pl.DataFrame({"genres": ["a|b", "b", "c", None, "a"], "year": [1, 2, 3, 4, None]}), ["genres", "year"]
    )


def models(item_features):
    """Every model and every option that has a gradient of its own."""
    y_range = (0.5, 5.0)
    return {
        "dot": EmbeddingDot(U, I, n_factors=K, init="he", rng=0),
        "dot_bias": EmbeddingDotBias(U, I, n_factors=K, init="he", rng=0),
        "dot_bias squashed": EmbeddingDotBias(U, I, n_factors=K, y_range=y_range, padding=0.2, mean=0.3, rng=0),
        "dot_bias learned padding": EmbeddingDotBias(U, I, n_factors=K, y_range=y_range, learn_padding=True, rng=0),
        "net": EmbeddingNet(U, I, n_factors=K, dropout=0, hidden_dropout=0, y_range=y_range, init="he", rng=0),
        "net deep": EmbeddingNet(
            *(U, I),
            n_factors=(2, 4),
            hidden=(6, 5),
            dropout=0,
            hidden_dropout=(0, 0),
            item_features=item_features,
            times=(25.0, 10.0),
            init="he",
            rng=1,
        ),
        "net linear": EmbeddingNet(U, I, n_factors=K, hidden=(), dropout=0, hidden_dropout=0, init="he", rng=0),
    }


def test_every_gradient_by_finite_differences(item_features):
    """For every parameter of every model: what backward says is what moving one number does."""
    for name, model in models(item_features).items():
        model.double()
        for buffer in model.buffers():
            assert buffer.dtype in (torch.float64, torch.int64)

        def loss(model=model):
            return losses.mse(model(USERS, ITEMS, TIMES), VALUES)

        loss().backward()
        for parameter_name, p in model.named_parameters():

            def at(x, p=p, loss=loss):
                with torch.no_grad():
                    p.copy_(torch.as_tensor(x).reshape(p.shape))
                    return float(loss())

            x, gradient = p.detach().numpy().copy(), p.grad.numpy()
            assert steps.gradient_error(at, gradient, x, h=1e-6) < 1e-6, (name, parameter_name)
            at(x)


def test_dot_product_is_the_notebooks():
    a, b = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[2.0, 2], [10, 10]])
    assert DotProduct()(a, b).tolist() == [6, 70]


def test_bilinear_models_equal_their_factors():
    for model in (
        EmbeddingDot(U, I, n_factors=K, mean=2.0, rng=0),
        EmbeddingDotBias(U, I, n_factors=K, mean=0.4, y_range=(1, 5), padding=0.3, rng=0),
        EmbeddingDotBias(U, I, n_factors=K, mean=3.0, rng=0),
    ):
        expected = model(USERS, ITEMS).detach().numpy()
        factors = model.factors(Objective(y_range=(-100.0, 100.0)))
        np.testing.assert_allclose(factors.score(USERS.numpy(), ITEMS.numpy()), expected, rtol=1e-5)


def test_range_reaches_beyond_the_ends_by_its_padding():
    z = torch.tensor([-50.0, 0, 50])
    assert Range((1, 5), padding=0.5)(z).tolist() == pytest.approx([0.5, 3, 5.5])
    assert Range((1, 5))(z).tolist() == pytest.approx([1, 3, 5])
    assert Range(None)(z) is z


def test_learned_padding_moves():
    """The forum's k: a parameter that gets gradients, not a number the optimizer never sees."""
    model = EmbeddingDotBias(U, I, n_factors=K, y_range=(1, 5), padding=0.5, learn_padding=True, init="he", rng=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        losses.mse(model(USERS, ITEMS), VALUES.float()).backward()
        optimizer.step()
    k = model.range.padding.item()
    assert abs(k - 0.5) > 1e-3
    assert model.range.asymptotes() == pytest.approx((1 - k, 5 + k))


@pytest.mark.parametrize(("init", "low", "high"), [("dot", 0, 0.05), ("hand", -0.01, 0.01), ("library", -0.05, 0.05)])
def test_the_courses_initial_scales(init, low, high):
    w = EmbeddingDot(2000, 3, n_factors=20, init=init, rng=0).u.weight
    assert low <= w.min() < low + 0.001
    assert high - 0.001 < w.max() <= high


def test_hes_rule_gives_dot_products_of_about_unit_size():
    for k in (4, 64):
        model = EmbeddingDot(3000, 3000, n_factors=k, init="he", rng=0)
        dots = model(torch.arange(3000), torch.arange(3000)).detach()
        assert float(dots.std()) == pytest.approx(2 / k**0.5, rel=0.1)  # K terms of variance (2/K)²
        assert float(model.u.weight.detach().std()) == pytest.approx((2 / k) ** 0.5, rel=0.05)


def test_same_rng_same_weights():
    a, b, c = (EmbeddingNet(U, I, rng=r).state_dict() for r in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["u.weight"], c["u.weight"])


def test_side_features_change_the_net_and_missing_time_is_the_mean(item_features):
    net = EmbeddingNet(U, I, item_features=item_features, times=(25.0, 10.0), init="he", rng=0).eval()
    assert torch.allclose(net(USERS, ITEMS), net(USERS, ITEMS, torch.full((4,), 25)))
    assert not torch.allclose(net(USERS, ITEMS), net(USERS, ITEMS, TIMES))
    with torch.no_grad():
        before = net(USERS, ITEMS)
        net.item_side.weight += 1
        assert not torch.allclose(before, net(USERS, ITEMS))


def test_bad_shapes_and_settings_are_named():
    with pytest.raises(SettingError, match="init is 'hee'"):
        EmbeddingDot(U, I, init="hee")
    with pytest.raises(SettingError, match="hidden_dropout"):
        EmbeddingNet(U, I, hidden=(3,), hidden_dropout=(0.1, 0.2))
    with pytest.raises(SettingError, match="n_factors is 0"):
        EmbeddingDot(U, I, n_factors=0)


def test_a_net_scores_cold_rows_with_zero_embeddings(item_features):
    net = EmbeddingNet(U, I, n_factors=K, y_range=(1, 5), item_features=item_features, init="he", rng=0)
    seen_users, seen_items = np.arange(U) != 3, np.ones(I, bool)
    scorer = ModuleScorer(net, seen_users, seen_items, objective=Objective(y_range=(1.0, 5.0)), mean=3.0)
    inside, cold, outside = scorer.score(np.array([0, 3, U]), np.array([1, 1, 1]))
    assert cold == outside != inside
    every = scorer.score_all(np.array([0, 3]))
    assert every.shape == (2, I)
    np.testing.assert_allclose(every[1, 1], cold, rtol=1e-6)
    state = scorer.state()
    again = ModuleScorer.from_state(state.arrays, state.settings)
    np.testing.assert_array_equal(again.score_all(np.array([0, 3, 50])), scorer.score_all(np.array([0, 3, 50])))


def test_any_module_is_a_scorer_but_only_ours_can_be_kept():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, users, items):
            return self.w * (users + items)

    scorer = ModuleScorer(
        Mine(), np.ones(U, bool), np.arange(I) != 2, objective=Objective(y_range=(0.0, 3.0)), mean=1.5
    )
    assert scorer.score(np.array([0, 6]), np.array([1, 4])).tolist() == [1, 3]
    assert scorer.rank(np.array([6]), np.array([4])).tolist() == [10]
    assert scorer.score(np.array([99, -1, 0]), np.array([0, 0, 2])).tolist() == [1.5] * 3  # cold: the mean
    assert not offers(scorer, Stored)
    with pytest.raises(OSError, match="Mine"):
        scorer.state()


def test_log_odds_are_ranked_by_and_probabilities_scored():
    """The loss' link is the scorer's, kept and loaded too; cold pairs get train's mean."""
    objective = Objective("logistic", "sigmoid", (0.0, 1.0))
    net = EmbeddingNet(U, I, n_factors=K, y_range=None, init="he", rng=0)
    scorer = ModuleScorer(net, np.ones(U, bool), np.ones(I, bool), objective=objective, mean=0.3)
    users, items = USERS.numpy(), ITEMS.numpy()
    with torch.no_grad():
        odds = net.eval()(USERS, ITEMS).numpy()
    np.testing.assert_allclose(scorer.rank(users, items), odds, rtol=1e-5)
    np.testing.assert_allclose(scorer.score(users, items), 1 / (1 + np.exp(-odds)), rtol=1e-5)
    state = scorer.state()
    again = ModuleScorer.from_state(state.arrays, state.settings)
    assert again.score(users, items).tobytes() == scorer.score(users, items).tobytes()

    class Odds(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(U))

        def forward(self, users, items):
            return self.w[users]

    mine = ModuleScorer(Odds(), np.arange(U) > 0, np.ones(I, bool), objective=objective, mean=0.3)
    assert mine.score(np.array([0, 1]), np.array([1, 1])) == pytest.approx([0.3, 0.5])
