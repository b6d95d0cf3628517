"""From sums by user to reports: figures, their intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..metrics import Metric
from .bootstrap import Interval, Job, Resamples, Sums, columns, difference, interval, p_value, resample
from .reports import Comparison, Difference, GroupReport, Report
from .summing import ALL, POPULAR, Ask, GroupSize, Key, Measured


def compared(
    found: Mapping[str, Measured], popular: Measured | None, ask: Ask, n_resamples: int, seed: int
) -> Comparison:
    """Reports of the scorers, and how each differs from the first; beside lists, those of the most popular items."""
    names, first = list(found), next(iter(found.values()))
    tables = [(table, ask.metrics) for table in found.values()]
    if popular is not None:
        tables.append((popular, ask.lists))
    jobs = [_job(s) for table, _ in tables for s in table.sums.values()]
    jobs += [_paired(first, found[name], len(ask.metrics)) for name in names[1:]]
    n_users = len(first.users)
    drawn = iter(resample(jobs, n_users, n_resamples if n_users > 1 else 0, seed))
    parts = [
        {k: _part(s, table.sizes[k], metrics, next(drawn)) for k, s in table.sums.items()} for table, metrics in tables
    ]
    reference = {} if popular is None else {POPULAR: parts[-1][ALL]}
    reports = {name: _report(found[name], parts[k], ask, reference) for k, name in enumerate(names)}
    gaps = {name: _gaps(first, found[name], ask.metrics, next(drawn)) for name in names[1:]}
    return Comparison(reports, {n: gap for n, (gap, _) in gaps.items()}, {n: p for n, (_, p) in gaps.items()})


def _job(sums: Sums) -> Job:
    return sums.users, [columns(sums, c) for c in range(sums.values.shape[1])]


def _paired(first: Measured, second: Measured, n_metrics: int) -> Job:
    """All users, and for each metric both scorers' columns (G, 4)."""
    out = np.zeros((n_metrics, len(first.users), 4))
    for k, table in enumerate((first, second)):
        sums = table.sums[ALL]
        for c in range(n_metrics):
            out[c, sums.users, 2 * k : 2 * k + 2] = columns(sums, c)
    return np.arange(len(first.users)), list(out)


def _gaps(
    first: Measured, second: Measured, metrics: list[Metric], draws: list[Resamples]
) -> tuple[dict[str, Difference], dict[str, float]]:
    """(metric -> the second's Difference to the first, metric -> its p-value)."""
    columns_of = _paired(first, second, len(metrics))[1]
    out, p_values = {}, {}
    for c, metric in enumerate(metrics):
        a, b = (first.sums[ALL].mean(c), metric), (second.sums[ALL].mean(c), metric)
        value = float(metric.finish(b[0])) - float(metric.finish(a[0]))
        out[metric.name] = Difference(value, *difference(a, b, columns_of[c], draws[c]))
        p_values[metric.name] = p_value(a, b, columns_of[c], draws[c])
    return out, p_values


def _part(sums: Sums, size: GroupSize, metrics: list[Metric], draws: list[Resamples]) -> GroupReport:
    values: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    counted = {}
    for c, metric in enumerate(metrics):
        n = int((sums.counts[:, c] > 0).sum())
        if not sums.counts[:, c].sum():
            continue
        values[metric.name], counted[metric.name] = float(metric.finish(sums.mean(c))), n
        found = interval(sums, c, draws[c], metric)
        if found is not None:
            intervals[metric.name] = found
    return GroupReport(size.ratings, size.users, values, intervals, counted)


def _report(table: Measured, parts: Mapping[Key, GroupReport], ask: Ask, others: Mapping[str, GroupReport]) -> Report:
    whole = parts[ALL]
    notes = table.notes
    if len(table.users) < 2:
        notes = (*notes, "one user only: no interval.")
    missing = [m.name for m in ask.metrics if m.name not in whole.values]
    if ask.like is not None and any(m.name in missing for m in ask.lists):
        notes = (*notes, f"no held-out rating is {ask.like:g} or more.")
    elif missing:
        notes = (*notes, f"nothing counts in {', '.join(missing)}.")
    by: dict[str, dict[str, GroupReport]] = {}
    for (facet, label), part in parts.items():
        if facet:
            by.setdefault(facet, {})[label] = part
    warm = by.get("known", {}).get("warm")
    return Report(
        {m.name: whole.values.get(m.name, float("nan")) for m in ask.metrics},
        whole.intervals,
        {} if warm is None else warm.values,
        whole.n_ratings,
        whole.n_users,
        *table.cold,
        notes,
        counted=whole.counted,
        reference=others,
        by=by,
        better={m.name: m.better for m in ask.metrics},
        order=ask.order_name if ask.lists else None,
        like=ask.like if ask.lists else None,
        question=table.question,
        times=table.times,
    )
