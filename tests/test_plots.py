"""The pictures: each is drawn, says what it shows, and no title covers another; ``dotbias plot`` and the kept log."""

import io
import json
import subprocess
import sys

import battery
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from dotbias import Recommender, interpret, plots, split
from dotbias.callbacks import ActivationStats, GradientStats, Log, RateSweep, Sweep
from dotbias.callbacks.stats import describe
from dotbias.cli import main
from dotbias.errors import DataError, MissingExtraError, SettingError
from dotbias.gradient import collab_learner, fit_dot_bias, fit_net
from dotbias.plots import gallery as draw
from dotbias.plots._page import all_shortened, shortened
from dotbias.plots.sizes import part_name, quantiles

TRAIN, TEST = battery.parts()
LOG = Log(points=5)
GRADIENTS, ACTIVATIONS = GradientStats(), ActivationStats()
LEARNER = collab_learner(TRAIN, TEST, n_factors=4, bs=512, callbacks=[LOG, GRADIENTS, ACTIVATIONS], rng=0)
LEARNER.fit(3, 0.02, progress=False)
FITTED = fit_dot_bias(TRAIN, n_factors=4, n_epochs=3, rng=0, progress=False)


def words(figure):
    """All text of a figure, after it was drawn into a PNG of some size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=50)
    png = buffer.getvalue()
    assert png.startswith(b"\x89PNG") and len(png) > 5_000
    return written(figure)


def written(figure):
    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible())


def says(figure, *wanted):
    text = words(figure)
    for word in (*wanted, "a world"):
        assert word in text, (word, text)


# Each picture --------------------------------------------------------------------------------------------------


def test_predictions():
    scores = FITTED.score(TEST.users, TEST.items)
    rmse = np.sqrt(np.mean((scores - TEST.values) ** 2))
    counts = f"{len(TEST):,} held-out ratings"
    says(plots.predictions(scores, TEST.values, data="a world"), "predicted rating (stars)", "actual rating (stars)",
         "ratings per hexagon", counts, f"RMSE {rmse:.3f}", "mean actual")  # fmt: skip
    stars = np.round(TEST.values * 2) / 2
    assert plots.scores._step(stars) == (0.5, stars.min())
    hexagons = plots.predictions(scores, stars, data="a world")
    says(hexagons, "actual = predicted")
    drawn = next(c for ax in hexagons.axes for c in ax.collections if c.get_array() is not None)
    assert drawn.get_array().sum() == len(TEST)  # every rating is in a hexagon
    assert {round(float(y), 3) for _, y in drawn.get_offsets()} <= set(np.unique(stars))  # a row for each star
    for bad in ((scores[:0], stars[:0]), (scores[:3], stars[:4]), (scores * np.nan, stars)):
        with pytest.raises(DataError, match="finite numbers"):
            plots.predictions(*bad)


def test_losses():
    says(plots.losses(LOG.rows, data="a world", valid="watched"), "epoch", "loss (mean squared error, stars²)",
         "learning rate", "train, mean over the epoch", "valid is measured at its end", "watched", "3 epochs",
         "lowest: ")  # fmt: skip
    bare = [{k: row[k] for k in ("epoch", "train")} for row in LOG.rows]
    assert "learning rate" not in words(plots.losses(bare))
    with pytest.raises(DataError, match="no 'train'"):
        plots.losses([])


def test_sweep():
    rates = np.geomspace(1e-5, 1, 60)
    losses = 1 - 0.3 / (1 + np.exp(-3 * (np.log10(rates) + 2))) + 30 * np.maximum(rates - 0.3, 0)
    says(plots.lr_sweep(Sweep(rates, losses, losses, 0.01), data="a world"), "learning rate (log scale)",
         "suggestion: 0.01", "60 batches", "loss (")  # fmt: skip
    assert RateSweep  # the callback that makes one


@pytest.mark.parametrize(
    ("read", "word"), [(interpret.components, "PCA over items"), (interpret.course_components, "course")]
)
def test_map_of_items_without_a_title_on_another(read, word):
    some = read(FITTED, TRAIN, n=3, most_rated=20)
    assert some.about() == "the 20 most rated items"
    figure = plots.item_map(read(FITTED, TRAIN, n=3), y=3, n_labels=99, data="a world")
    says(figure, "component 1 (", "component 3 (", "of the variance", "all 49 rated items", word)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [a.get_window_extent(renderer) for a in figure.findobj(Annotation)]
    assert 10 < len(boxes) <= 49
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        inside = figure.axes[0].get_window_extent(renderer)
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    with pytest.raises(SettingError, match="no two of 3 components"):
        plots.item_map(read(FITTED, TRAIN, n=3), x=1, y=4)


def test_bias_ranking():
    biases = interpret.item_biases(FITTED, TRAIN)
    says(plots.bias_ranking(biases, n=5, data="a world"), "what the average user would give (stars)",
         "10 of 49 items", "raw mean", "95 % interval", f"{biases[0].title}  ({biases[0].count})",
         biases[-1].title)  # fmt: skip
    says(plots.bias_ranking(biases[:1], data="a world"), biases[0].title)
    with pytest.raises(DataError):
        plots.bias_ranking([])


def test_crosstab():
    figure = plots.crosstab(TRAIN, n=6, data="a world")
    users, items = np.argsort(-TRAIN.user_counts, kind="stable")[:6], np.argsort(-TRAIN.item_counts, kind="stable")[:6]
    known = int((np.isin(TRAIN.users, users) & np.isin(TRAIN.items, items)).sum())
    says(figure, "user (id)", "item", "rating (stars)", f"{known} of 36 cells", f"Item {items[0]}", str(users[0] + 10))


def test_histograms_live_and_kept():
    for kind, stats in (("gradient", GRADIENTS), ("activation", ACTIVATIONS)):
        kept = plots.kept_histograms(LOG.rows, kind)
        assert [list(epoch) for epoch in kept] == [list(epoch) for epoch in stats.history]
        for a, b in zip(kept, stats.history, strict=True):
            assert all(
                (a[name].counts == b[name].counts).all() and (a[name].edges == b[name].edges).all() for name in a
            )
        says(plots.histograms(kept, kind=kind, data="a world"), "epoch", f"size of the {kind} (log)",
             "numbers", "factors of users", "biases of items", "half of the numbers")  # fmt: skip
    assert plots.kept_histograms(None, "gradient") == []
    with pytest.raises(DataError, match="no gradient"):
        plots.histograms([])


def test_histograms_of_a_net_have_a_panel_for_each_layer():
    rows = []
    fit_net(TRAIN, n_factors=4, n_epochs=1, rng=0, progress=lambda step: rows.append(step.row()))
    text = words(plots.histograms(plots.kept_histograms(rows, "activation"), kind="activation"))
    assert "layer 1" in text and "last layer" in text and "predictions" not in text


def test_bands_hold_the_share_that_they_say():
    rng = np.random.default_rng(0)
    numbers = np.r_[rng.normal(0, 1, 4_000) * 10.0 ** rng.uniform(-3, 0, 4_000), np.zeros(1_000)]
    stats = describe(numbers)
    found = quantiles(stats.counts, stats.edges, (0.05, 0.25, 0.5, 0.75, 0.95))
    true = np.quantile(np.abs(numbers[numbers != 0]), (0.05, 0.25, 0.5, 0.75, 0.95))
    np.testing.assert_allclose(np.log10(found), np.log10(true), atol=0.13)  # bins are a quarter of a decade
    assert np.isnan(quantiles(describe(np.zeros(9)).counts, stats.edges, (0.5,))).all()
    assert [part_name(n) for n in ("u.weight", "layers.0.bias", "drops.0", "last.weight", "mine")] == [
        "factors of users", "layer 1, biases", "layer 1 after dropout", "last layer, weights", "mine",
    ]  # fmt: skip


def test_traces_of_a_sampler():
    phases = ["start"] * 1 + ["search"] * 3 + ["settle"] * 2 + ["draw"] * 5
    log = [{"sweep": k + 1, "phase": p, "noise": 0.8, "kept": max(k - 5, 0)} for k, p in enumerate(phases)]
    for row in log[2:]:
        row["error"] = 0.9
    says(plots.traces(log, data="a world"), "noise (stars)", "RMSE (stars)", "start", "search", "settle", "draw",
         "11 sweeps", "5 count", "the slice is put back")  # fmt: skip
    says(plots.traces([{"sweep": 1, "noise": 1.0}], data="a world"), "sweep")
    with pytest.raises(DataError, match="no 'noise'"):
        plots.traces([{"sweep": 1}])


def test_what_lies_at_the_ends_of_components():
    parts = interpret.course_components(FITTED, TRAIN, n=2)
    figure = plots.component_ends(parts, n=4, data="a world")
    first = [name for end in parts.ends(1, 4) for name in end]
    says(figure, "component 2", "of the variance", *first)


def test_the_default_models_pictures(run):
    """Of a fit by sampling nothing is skipped for want of a log."""
    code, _, err = run("fit", "train.csv", "--set", "n_sweeps=4", "--test", "test.csv", "-o", "model")
    assert code == 0, err
    code, out, _ = run("plot", "model", "-o", "pictures", "--test", "test.csv", "--json")
    result = json.loads(out)
    assert code == 0 and list(result["skipped"]) == ["sweep"]
    assert "pictures/traces.png" in result["written"]
    assert len(Recommender.load("model").log) > 4


def test_passes_of_a_solver_are_drawn(run):
    run("fit", "train.csv", "--fitter", "sgd", "--set", "n_epochs=3", "-o", "model")
    assert "wrote   pictures/losses.png" in run("plot", "model")[1]


def test_factors_error():
    points = [(50, 0.87, 0.85, 0.89), (2, 0.9, 0.88, 0.92), (10, 0.86, 0.84, 0.88)]
    says(plots.factors_error(points, data="a world"), "number of factors", "RMSE, stars", "0.8600 with 10", "3 fits")
    words(plots.factors_error([(3, 0.9)]))
    with pytest.raises(DataError):
        plots.factors_error([])


def test_titles_are_made_short():
    assert shortened("Matrix, The (1999)") == "The Matrix (1999)"
    assert shortened("Seven (a.k.a. Se7en) (1995)") == "Seven (1995)"
    assert shortened("x" * 50 + " (1999)", 20) == "x" * 12 + "… (1999)"
    kings = [f"Lord of the Rings, The: The {what} ({year})" for what, year in (("Two Towers", 2002), ("Return", 2003))]
    assert all_shortened([*kings, "Alone at Last: the Very Long Title (1950)"], 30) == [
        "Lord of…The Two Towers (2002)", "Lord of…The Return (2003)", "Alone at Last: the Ver… (1950)",
    ]  # fmt: skip
    assert shortened("Cash $$ Money") == r"Cash \$\$ Money"  # no mathematics
    says(plots.factors_error([(1, 2.0)], data="a world"))


def test_pyplot_is_left_alone():
    code = "from dotbias import plots; plots.factors_error([(1, 2.), (2, 1.)]).savefig('/dev/null', format='png')\n"
    code += (
        "import sys\nif 'matplotlib.pyplot' in sys.modules: assert not sys.modules['matplotlib.pyplot'].get_fignums()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"\[plot\]"):
        plots.factors_error([(1, 2.0)])


# The log, and the command --------------------------------------------------------------------------------------


def test_watching_changes_nothing_in_the_fit():
    watched = fit_dot_bias(TRAIN, valid=TEST, n_factors=4, n_epochs=3, rng=0, progress=lambda step: None)
    assert watched.items.tobytes() == FITTED.items.tobytes()
    assert [row["epoch"] for row in LOG.rows] == [1, 2, 3] and all("valid" in row for row in LOG.rows)
    assert len(LOG.rows[0]["lr"]) == len(LOG.rows[0]["batch_loss"]) <= 5


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dotbias", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as e:
            code = e.code or 0
        return code, *capsys.readouterr()

    parts = split.random(TRAIN, test=0.2, rng=0)
    parts.train.to_frame().write_csv("train.csv")
    parts.test.to_frame().write_csv("test.csv")
    return call


def test_plot_draws_what_fit_kept(run, tmp_path):
    settings = ["--fitter", "dot_bias", "--set", "n_factors=4", "--set", "n_epochs=2"]
    code, _, err = run("fit", "train.csv", "--test", "test.csv", *settings, "-o", "model")
    assert code == 0, err
    door = Recommender.load("model")
    assert [row["epoch"] for row in door.log] == [1, 2] and "valid" in door.log[0]
    assert (door.metrics["data"], door.metrics["split"]) == ("train.csv", "test.csv")
    code, out, err = run("plot", "model", "-o", "pictures", "--test", "test.csv", "--sweep", "--json")
    assert code == 0, err
    result = json.loads(out)
    names = {"predictions", "losses", "sweep", "biases", "map", "components", "crosstab", "gradients", "activations"}
    assert {p.stem for p in (tmp_path / "pictures").iterdir()} == names
    assert result["written"] == [line.split()[1] for line in err.splitlines() if line.startswith("wrote")]
    assert result["skipped"] == {}
    assert all(p.stat().st_size > 10_000 for p in (tmp_path / "pictures").iterdir())


def test_plot_names_what_it_skips_and_why(run):
    run("fit", "train.csv", "--fitter", "bias", "-o", "model")
    code, out, _ = run("plot", "model", "-o", "pictures")
    assert code == 0
    for name, why in (("predictions", "--test FILE"), ("losses", "keeps no training log"), ("sweep", "--sweep"),
                      ("map", "has no factors"), ("gradients", "keeps no training log")):  # fmt: skip
        line = next(x for x in out.splitlines() if x.startswith(f"skipped {name}.png"))
        assert why in line
    assert "wrote   pictures/biases.png" in out and "wrote   pictures/crosstab.png" in out
    code, _, err = run("plot", "model", "--test", "train.csv")
    assert code == 3 and "are in train" in err


def test_the_pictures_name_data_and_counts():
    door = Recommender(FITTED, TRAIN, log=LOG.rows, metrics={"data": "a world", "split": "mine", "rmse": 0.5})
    for name, picture in draw(door, test=TEST):
        if not isinstance(picture, str):
            text = written(picture)
            assert "a world" in text and any(c.isdigit() for c in text), name


def test_calibration_is_flat_where_it_should_be():
    rng = np.random.default_rng(0)
    page = plots.calibration({"even": rng.random(5_000), "timid": rng.beta(3, 3, 5_000)})
    heights = [[bar.get_height() for bar in ax.patches] for ax in page.axes]
    assert max(abs(h - 1) for h in heights[0]) < 0.25
    assert max(heights[1]) > 1.5
    assert "5,000 ratings" in page.axes[0].get_title()
    assert page.axes[0].get_ylabel() == "share of ratings, 1 if right"
    with pytest.raises(DataError, match="nothing to draw"):
        plots.calibration({})
