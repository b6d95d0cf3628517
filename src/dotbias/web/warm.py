"""What a model makes once, made before somebody waits for it: a second or two of the processor, for samples more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import DotbiasError
from . import views
from .service import Served


def warm(served: Served) -> None:
    """Ask once for what people will ask for; what the model does not offer is left out."""
    model = served.model
    users, items = list(model.train.user_ids)[:1], model.record.item_ids[:1]
    asked: list[Callable[[], Any]] = [
        lambda: model.recommend(history={}, n=1),
        lambda: [model.recommend(user, 1) for user in users],
        lambda: model.to_ask({}, 1),
        lambda: [model.explain(None, item, history={}) for item in items],
        lambda: served.shelf.find("a word", 1),
        lambda: views.components_of(served),
        lambda: views.biases_of(served),
    ]
    for make in asked:
        with suppress(DotbiasError):
            make()
