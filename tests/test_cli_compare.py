"""``dotbias compare`` as a person and as a program meet it."""

import json

from test_cli import files, run  # noqa: F401  fixtures


def test_compare_as_a_table_and_as_json(run, files):  # noqa: F811
    code, out, err = run(
        "compare", "all.csv", "--fitters", "mean,bias,sgd", "--set", "sgd.n_factors=2", "--split", "folds:3"
    )
    assert code == 0 and "fitting: split 3, 3 of 3: sgd" in err
    assert "less bias" in out and "p (Holm)" in out and "3 splits together" in out
    code, out, _ = run(
        "compare", "all.csv", "--fitters", "mean,bias", "--split", "last:2", "--reference", "mean", "--json"
    )
    found = json.loads(out)
    assert code == 0 and found["reference"] == "mean" and found["times"] == "now" and found["split"] == "last:2"
    assert {row["name"] for row in found["rows"]} == {"mean", "bias"}
    assert found["rows"][0]["rmse"] <= found["rows"][1]["rmse"]


def test_two_runs_say_the_same(run, files):  # noqa: F811
    asked = ("compare", "all.csv", "--fitters", "bias,sgd", "--split", "random:0.2", "--seed", 3, "--json")
    first, second = (json.loads(run(*asked)[1]) for _ in range(2))
    for found in (first, second):
        for row in found["rows"]:
            row.pop("fit")
    assert first == second


def test_wrong_words_are_said_before_anything_is_fitted(run, files):  # noqa: F811
    for words, message in (
        (("--fitters", "bias,sdg"), "did you mean 'sgd'"),
        (("--split", "folds:many"), "no number of folds"),
        (("--split", "wrong"), "there is no split 'wrong'"),
        (("--set", "n_factors=3"), "names no fitter"),
        (("--fitters", "sgd", "--set", "sgd.n_factor=3"), "no setting 'n_factor'"),
        (("--fitters", "bias", "--set", "sgd.n_factors=3"), "settings are for 'sgd'"),
        (("--fitters", "bias", "--reference", "als"), "'als' is not compared"),
        (("--fitters", "bias", "--times", "often"), "times is 'often'"),
        (("--fitters", "ease"), "takes clicks"),
    ):
        code, out, err = run("compare", "all.csv", *words)
        assert code in (2, 3) and message in err and not out, (words, err)
        assert "fitting: " not in err
