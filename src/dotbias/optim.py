"""The update rules of ``steps`` as one torch Optimizer, row-sparse where a batch touches few rows.

An embedding made with ``sparse=True`` hands over only the rows of its batch; the rule then runs on those rows alone.
This equals the dense update for plain SGD without decay, and for every rule whenever all rows are touched. Elsewhere
it is *lazy*: an untouched row keeps its averages and does not decay, so decay acts per visit (a row that is rated
often decays often: ridge by count), where the dense update decays every row at every step. Each row counts its own
steps t, so that Adam's bias correction is right for a row that is seldom seen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from . import steps
from .errors import SettingError, check_positive, did_you_mean


class Optimizer(torch.optim.Optimizer):
    """Any rule of ``steps`` over a model's parameters.

    Args:
        params: parameters, or groups of them as torch takes them (``{"params": …, "lr": …}``).
        rule: ``steps.sgd``, ``steps.adam``, … or your own of the same form.
        lr: the rate; a schedule may change ``group["lr"]`` at any time.
        **settings: the rule's own (``beta``, ``l2``, ``wd`` …).

    Raises:
        SettingError: for a setting that the rule does not have, or an lr that is not above 0.
    """

    # torch's own, without the decorator that loads its compiler (two seconds of the processor, and nothing is compiled)
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)

    def __init__(self, params: Iterable[Any], rule: steps.Rule = steps.adam, *, lr: float, **settings: Any):
        check_positive(lr=lr)
        _check_settings(rule, settings)
        self.rule = rule
        super().__init__(params, {**_defaults(rule), **settings, "lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Apply the rule to every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            settings = {name: value for name, value in group.items() if name != "params"}
            for p in group["params"]:
                if p.grad is not None:
                    (self._step_rows if p.grad.is_sparse else self._step_all)(p, settings)
        return loss

    def _step_all(self, p: torch.Tensor, settings: dict[str, Any]) -> None:
        new, self.state[p] = self.rule(p, p.grad, self.state[p], **settings)
        p.copy_(new)

    def _step_rows(self, p: torch.Tensor, settings: dict[str, Any]) -> None:
        gradient = p.grad.coalesce()  # type: ignore[union-attr]
        rows, whole = gradient.indices()[0], self.state[p]
        if "t" not in whole:
            whole["t"] = p.new_zeros(len(p), *[1] * (p.dim() - 1))  # visits of each row
        settings = {n: v[rows] if torch.is_tensor(v) else v for n, v in settings.items()}
        new, part = self.rule(p[rows], gradient.values(), {n: v[rows] for n, v in whole.items()}, **settings)
        p.index_copy_(0, rows, new)
        for name, value in part.items():
            if name not in whole:
                whole[name] = torch.zeros_like(p)
            whole[name].index_copy_(0, rows, value)


def _defaults(rule: steps.Rule) -> dict[str, Any]:
    """Every setting of a rule but its rate, with its default: so that each group names all that it goes by."""
    inherited = _defaults(steps.adam) if rule is steps.adamw else {}
    parameters = inspect.signature(rule).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}
    return inherited | own


def _check_settings(rule: steps.Rule, settings: dict[str, Any]) -> None:
    known, parameters = _defaults(rule), inspect.signature(rule).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters) and rule is not steps.adamw:
        return
    for name in settings:
        if name not in known:
            name_of_rule = getattr(rule, "__name__", rule)
            raise SettingError(f"{name_of_rule} has no setting {name!r}.", hint=did_you_mean(name, [*known, "lr"]))
