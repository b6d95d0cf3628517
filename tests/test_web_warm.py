"""What is made once is made before it is asked for; then the first answer needs no more than the second."""

import pytest
import recommender_world
import web_world

from dotbias.baselines import mean
from dotbias.recommender import Recommender
from dotbias.web import refits
from dotbias.web.service import Served
from dotbias.web.warm import warm


def test_orders_pictures_and_noise_are_there():
    served = Served(web_world.model())
    warm(served)
    assert {"components", "biases"} <= set(served._made) and served.model._orders
    assert {"_noise", "item_titles"} <= set(served.model.__dict__) | set(served.model.record.__dict__)


def test_a_model_that_offers_little_is_no_fault():
    train = recommender_world.train()
    warm(Served(Recommender(mean(train), train)))


def test_a_model_is_warm_before_it_is_served(tmp_path, monkeypatch):
    web, order = web_world.client(tmp_path), []
    service = web.app.state.service
    monkeypatch.setattr(refits, "warm", lambda served: order.append((served.number, service.served.number)))
    assert refits.reload(service, web_world.model().save(tmp_path / "model"))
    assert order == [(2, 1)] and service.served.number == 2
    with pytest.MonkeyPatch.context() as m:
        m.setattr(refits, "warm", lambda _: order.append("never"))
        assert not refits.reload(service, tmp_path / "absent") and len(order) == 1
