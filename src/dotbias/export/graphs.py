"""A model as an ONNX graph: rows in, scores out, in any program that runs ONNX, without Python or dotbias.

    inputs    user, item (B,) int64: rows, numbered as in the exported tables; of a net with times, also
              time (B,) int64: seconds since 1970 UTC, ``times.UNKNOWN`` or ``times.NOW`` where there is none
    outputs   score (B,) float32: the prediction; rank (B,) float32: what to order by, before the link and any clip

A row that is negative or past the end is cold, as it is here. The graph is made of the model's arrays alone: no torch
is needed. This module knows no ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import SettingError, require
from ..factors import Factors
from ..objective import Objective
from ..scorer import Bilinear, Scorer, State, Stored, offers
from ..times import NOW, UNKNOWN

OPSET = 17  # of 2022: runtimes of the last years have it
IR = 8  # the file format of that opset
MOST = 2**31 - 2**20  # bytes that one protobuf message can hold, less room for the nodes


def to_onnx(scorer: Scorer, path: str | Path) -> tuple[str, ...]:
    """Write a scorer as an ONNX file.

    Args:
        scorer: Factors or whatever else is bilinear (of a posterior: its compressed factors), or a neural net of ours.
        path: of the file, written whole or not at all.

    Returns:
        Notes, for people: what the file holds that the scorer is not.

    Raises:
        SettingError: for any other scorer, or one of more than 2 GB.
        MissingExtraError: without the package ``onnx``.
        FileError: if it cannot be written.
    """
    require("onnx", extra="onnx")
    path, notes = files.as_path(path), ()
    if offers(scorer, Bilinear):
        factors = scorer.factors()
        if factors is not scorer:
            notes = (f"the file holds the compressed factors of the {type(scorer).__name__}: nearly its predictions.",)
        graph = _of_factors(factors)
    else:
        graph = _of_net(_net_state(scorer))
    content = graph.packed(notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, content)
    return notes


def _net_state(scorer: Scorer) -> State:
    """The arrays of a net.

    Raises:
        SettingError: for a scorer that is none of ours.
    """
    state = scorer.state() if offers(scorer, Stored) else None
    if state is None or state.kind != "net":
        what = f"a {type(scorer).__name__} does not support ONNX."
        raise SettingError(what, hint="fit dot_bias, als, gibbs or another sum of biases and a dot product; or a net.")
    return state


class _Graph:
    """Nodes and arrays under way; each method adds one and gives the name of what comes out."""

    def __init__(self, *inputs: str) -> None:
        self.inputs, self.nodes, self.arrays = inputs, list[Any](), dict[str, np.ndarray]()

    def array(self, array: Any, kind: type[np.generic] = np.float32) -> str:
        """A constant."""
        name = f"array_{len(self.arrays)}"
        self.arrays[name] = np.ascontiguousarray(array, kind)
        return name

    def __call__(self, op: str, *names: str, out: str | None = None, **attributes: Any) -> str:
        """A node."""
        from onnx import helper

        out = out or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [out], **attributes))
        return out

    def row(self, name: str, n: int) -> str:
        """The rows of an input, or ``n`` where they lie outside 0 .. n - 1."""
        zero, end = self.array(0, np.int64), self.array(n, np.int64)
        inside = self("And", self("GreaterOrEqual", name, zero), self("Less", name, end))
        return self("Where", inside, name, end)

    def squashed(self, z: str, link: str, low: float, high: float, out: str | None = None) -> str:
        """low + (high - low)·σ(z), or z clipped."""
        if link == "identity":
            ends = [self.array(x) if math.isfinite(x) else "" for x in (low, high)]
            return self("Clip", z, *ends, out=out)
        wide = self("Mul", self("Sigmoid", z), self.array(high - low))
        return self("Add", wide, self.array(low), out=out)

    def finish(self, rank: str, objective: Objective) -> _Graph:
        """Name the outputs."""
        self("Identity", rank, out="rank")
        self.squashed("rank", objective.link, *objective.y_range, out="score")
        return self

    def packed(self, notes: tuple[str, ...]) -> bytes:
        """The file's bytes, checked by onnx.

        Raises:
            SettingError: for more than an ONNX file holds.
        """
        import onnx
        from onnx import helper, numpy_helper

        nbytes = sum(a.nbytes for a in self.arrays.values())
        if nbytes > MOST:
            what = f"the model holds {nbytes / 1e9:,.1f} GB; an ONNX file holds 2 GB at most."
            raise SettingError(what, hint="export its tables (format='parquet'), or fit fewer factors.")
        inputs = [helper.make_tensor_value_info(n, onnx.TensorProto.INT64, ["B"]) for n in self.inputs]
        outputs = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["B"]) for n in ("score", "rank")]
        arrays = [numpy_helper.from_array(a, name) for name, a in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "dotbias", inputs, outputs, arrays, doc_string=" ".join(notes))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="dotbias")
        onnx.checker.check_model(model)
        return model.SerializeToString()


def _of_factors(f: Factors) -> _Graph:
    """mean + user_bias[u] + item_bias[i] + users[u] · items[i]; a row of zeros at each table's end is the cold one."""
    g = _Graph("user", "item")
    u, i = g.row("user", len(f.users)), g.row("item", len(f.items))
    bu, bi = (g("Gather", g.array(np.append(b, 0)), row) for b, row in ((f.user_bias, u), (f.item_bias, i)))
    z = g("Add", g("Add", bu, g.array(f.mean)), bi)
    if f.n_factors:
        p, q = (g("Gather", g.array(_and_zeros(x)), row) for x, row in ((f.users, u), (f.items, i)))
        z = g("Add", z, g("ReduceSum", g("Mul", p, q), g.array([1], np.int64), keepdims=0))
    return g.finish(z, f.objective)


def _and_zeros(table: np.ndarray) -> np.ndarray:
    """(R, K) -> (R + 1, K)."""
    return np.concatenate([table, np.zeros_like(table, shape=(1, table.shape[1]))])


def _of_net(state: State) -> _Graph:
    """The forward pass of ``models.EmbeddingNet``; the tables of a scorer end in a row of zeros, the cold one."""
    arrays, config = state.arrays, state.settings["config"]
    g = _Graph("user", "item", *(["time"] if config["times"] else []))
    rows = {side: g.row(name, len(arrays[f"{side}.weight"]) - 1) for side, name in (("u", "user"), ("i", "item"))}
    parts = [g("Gather", g.array(arrays[f"{side}.weight"]), row) for side, row in rows.items()]
    for side, name in (("u", "user_side"), ("i", "item_side")):
        if f"{name}.table" in arrays:
            vectors = arrays[f"{name}.table"] @ arrays[f"{name}.weight"]  # (R + 1, size)
            parts.append(g("Gather", g.array(vectors), rows[side]))
    if config["times"]:
        parts.append(_when(g, *config["times"]))
    x = g("Concat", *parts, axis=1)
    for k in range(len(config["hidden"])):
        x = g("Relu", _linear(g, arrays, f"layers.{k}", x))
    z = g("Squeeze", _linear(g, arrays, "last", x), g.array([1], np.int64))
    return g.finish(_ranged(g, z, config["y_range"], arrays), Objective.from_json(state.settings))


def _when(g: _Graph, mean: float, spread: float) -> str:
    """Standardised time (B, 1), zeros where it is not known."""
    none = g("Or", *(g("Equal", "time", g.array(x, np.int64)) for x in (UNKNOWN, NOW)))
    seconds = g("Where", none, g.array(round(mean), np.int64), "time")
    from_mean = g("Sub", g("Cast", seconds, to=11), g.array(mean, np.float64))  # 11: double
    when = g("Cast", g("Div", from_mean, g.array(spread, np.float64)), to=1)  # 1: float
    return g("Unsqueeze", g("Where", none, g.array(0), when), g.array([1], np.int64))


def _linear(g: _Graph, arrays: Mapping[str, np.ndarray], name: str, x: str) -> str:
    """x · weightᵀ + bias."""
    return g("Gemm", x, g.array(arrays[f"{name}.weight"]), g.array(arrays[f"{name}.bias"]), transB=1)


def _ranged(g: _Graph, z: str, y_range: list[float] | None, arrays: Mapping[str, np.ndarray]) -> str:
    """The net's own range (``models.Range``), where it has one."""
    if y_range is None:
        return z
    padding = float(arrays["range.padding"])
    return g.squashed(z, "sigmoid", y_range[0] - padding, y_range[1] + padding)
