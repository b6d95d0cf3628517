"""The plan agrees with what was measured, and with the arrays of a real fit."""

import json

import numpy as np
import pytest

from dotbias import planted
from dotbias.cluster.plan import HERE, Machines, Size, load, plan, row_seconds
from dotbias.errors import SettingError
from dotbias.objective import Ridge
from dotbias.solvers.als import Alternation

KNOWN = load(None)
SMALL = Size(2_000_000, 10_000, 5_000)


@pytest.mark.parametrize("run", KNOWN["runs"], ids=lambda r: f"{r['given']['ratings']}-{r['given']['workers']}")
def test_a_plan_reproduces_what_was_measured(run):
    """Within 30 %, what the issue asks for."""
    given, found = run["given"], run["found"]
    size = Size(*(given[k] for k in ("ratings", "users", "items", "n_factors")))
    said = plan(size, Machines(given["workers"], machines=1), shards=given["shards"], parts=given["parts"])
    assert said.moved == found["bytes"]
    for planned, measured in (
        (said.seconds, found["pass"]),
        (said.driver.total, found["driver"]),
        (said.worker.total, found["worker"]),
    ):
        assert planned == pytest.approx(measured, rel=0.3)


def test_the_arrays_are_those_of_a_fit():
    train = planted(70, 45, n_ratings=1500, rng=2).ratings
    for k in (1, 6, 7, 64):
        fit = Alternation(train, k, Ridge(1, 1, 0, 0), 0)
        said = plan(Size(1500, 70, 45, k))
        both = fit.users.nbytes + fit.items.nbytes + fit.user_bias.nbytes + fit.item_bias.nbytes
        assert said.driver.of["both sides' rows"] == both
        assert said.moved == 2 * both + 8 * (70 + 45)


def test_a_row_costs_what_was_measured_at_the_points_and_grows_beyond_them():
    table = KNOWN["solve"]
    seconds = np.array(table["seconds"])
    for o, other in enumerate(table["other"]):
        for k, n_factors in enumerate(table["factors"]):
            for r, n in enumerate(table["ratings"]):
                assert row_seconds(KNOWN, n, n_factors, other) == pytest.approx(seconds[o, k, r])
    last = row_seconds(KNOWN, table["ratings"][-1], 64, 1 << 24)
    assert row_seconds(KNOWN, 10 * table["ratings"][-1], 64, 1 << 24) == pytest.approx(10 * last)


def test_more_workers_take_less_time_and_no_less_memory():
    one, four = (plan(SMALL, Machines(w, machines=1), shards=16) for w in (1, 4))
    assert four.sweep.of["half-steps"] == pytest.approx(one.sweep.of["half-steps"] / 4)
    assert four.driver == one.driver and four.moved == one.moved
    assert plan(SMALL, Machines(4)).network > 0 == one.network


def test_what_breaks_first_is_said():
    said = plan(Size(10**9, 10**8, 10**6), Machines(32, memory=16e9))
    assert said.limits[0].startswith("The driver's machine needs")
    assert any("more workers do not shorten it" in text for text in said.limits)
    huge = plan(Size(10**12, 10**10, 10**7), Machines(1000))
    assert "int32" in huge.limits[0]
    assert plan(SMALL, Machines(2, machines=1)).limits[0].startswith("The largest process is")


def test_a_network_costs_time_only_where_its_speed_is_given():
    slow, fast, unsaid = (plan(SMALL, Machines(8, gbits=g)) for g in (1.0, 10.0, None))
    assert slow.sweep.of["network"] == pytest.approx(10 * fast.sweep.of["network"])
    assert "network" not in unsaid.sweep.of


@pytest.mark.parametrize(
    ("size", "machines", "message"),
    [
        (Size(0, 1, 1), Machines(), "ratings is 0"),
        (Size(100, 3, 3), Machines(), "100 ratings are more than"),
        (Size(100, 30, 30, 1000), Machines(), "n_factors is 1000"),
        (SMALL, Machines(0), "workers is 0"),
        (SMALL, Machines(gbits=-1), "gbits is -1"),
    ],
)
def test_what_cannot_be_is_refused(size, machines, message):
    with pytest.raises(SettingError, match=message):
        plan(size, machines)


def test_other_constants_are_read_and_a_file_without_any_refused(tmp_path):
    twice = json.loads(HERE.read_text())
    twice["solve"]["seconds"] = (2 * np.array(twice["solve"]["seconds"])).tolist()
    (tmp_path / "mine.json").write_text(json.dumps(twice))
    ours, mine = plan(SMALL), plan(SMALL, constants=tmp_path / "mine.json")
    assert mine.sweep.of["half-steps"] == pytest.approx(2 * ours.sweep.of["half-steps"])
    (tmp_path / "none.json").write_text("{}")
    for name in ("none.json", "absent.json"):
        with pytest.raises(SettingError, match="holds no measured constants"):
            plan(SMALL, constants=tmp_path / name)


def test_the_command(call):
    asked = ("plan", "--ratings", "1e9", "--users", "1e8", "--items", "1e6", "--n-factors", "64", "--workers", "32")
    code, out, err = call(*asked)
    assert code == 0 and "the driver's memory" in out and "First: The largest process is the driver" in out
    assert "measured on" in err
    code, out, _ = call(*asked, "--json")
    found = json.loads(out)
    assert code == 0 and found["size"]["ratings"] == 10**9 and found["sweep"]["total"] > 0
    code, _, err = call("plan", "--ratings", "many", "--users", "1", "--items", "1")
    assert code == 2 and "--ratings many is no whole number" in err
