"""Ratings or clicks: every fitter of the list refuses the other kind, and says which would do."""

from dataclasses import replace

import battery
import pytest

from dotbias import fitters
from dotbias.errors import DataError
from dotbias.fitters import FITTERS

STARS, HELD = battery.parts()
OF = {"stars": STARS, "clicks": STARS.as_clicks()}


@pytest.mark.parametrize("fitter", FITTERS, ids=lambda f: f.name)
def test_the_other_kind_is_refused_with_what_would_do(fitter):
    for kind in {"stars", "clicks"} - set(fitter.feedback):
        with pytest.raises(DataError) as e:
            fitter.fit(OF[kind])
        assert f"{fitter.name} takes {'ratings' if kind == 'clicks' else 'clicks'}" in e.value.what
        for other in FITTERS:
            assert (f" {other.name}" in e.value.hint) == (kind in other.feedback) or other.name in ("bpr", "als")


@pytest.mark.parametrize("fitter", [f for f in FITTERS if len(f.feedback) == 1], ids=lambda f: f.name)
def test_a_valid_of_the_other_kind_is_refused(fitter):
    kind = fitter.feedback[0]
    valid = replace(HELD, values=None) if kind == "stars" else HELD
    with pytest.raises(DataError, match="valid holds"):
        fitter.fit(OF[kind], valid=valid)


def test_every_fitter_of_the_list_is_recognised():
    for fitter in FITTERS:
        assert any(fitters._is(fitter.fit.__wrapped__, f) and f is fitter for f in FITTERS), fitter.name


def test_of_a_fitter_of_your_own_nothing_is_known():
    fitters.check_feedback(lambda train: None, OF["clicks"])
