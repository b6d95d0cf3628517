"""Eight float32 side by side, as a numba type: vector instructions, written out.

Numba's compiler unrolls a loop over eight before it looks for vectors, and then finds none: statistics of eight
factors took 17 ns per rating in plain numba and take 3 with these. A ``vec8`` is a value like a float, lives in one
register (two on ARM) and rounds lane by lane in a fixed order, so the bits depend on no thread. Arrays are read by
flat position and must be C-contiguous float32. This module knows nothing of factors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic as _intrinsic
from numba.extending import register_model

LANES = 8
_I32 = ir.IntType(32)
_VEC = ir.VectorType(ir.FloatType(), LANES)
_UNDEFINED = ir.Constant(_VEC, ir.Undefined)


def intrinsic(function: Any, **options: Any) -> Callable[..., Any]:
    """Numba's, typed so that the first argument (the typing context) is not asked of callers."""
    return _intrinsic(**options)(function) if options else _intrinsic(function)


class Vec8(types.Type):
    """The numba type of eight float32."""

    def __init__(self) -> None:
        super().__init__(name="dotbias.vec8")


vec8 = Vec8()


@register_model(Vec8)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VEC)


def _pattern(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, LANES), lanes)


def _address(context: Any, builder: Any, kind: Any, array: Any, position: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), _VEC.as_pointer())


def _eight_times(builder: Any, x: Any) -> Any:
    one = builder.insert_element(_UNDEFINED, x, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, _UNDEFINED, _pattern([0] * LANES))


@intrinsic
def load(_: Any, array: Any, position: Any) -> Any:
    """``array.flat[position : position + 8]`` -> vec8."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_address(context, builder, signature.args[0], args[0], args[1]))
        vector.align = 4
        return vector

    return vec8(array, types.intp), code


@intrinsic
def store(_: Any, array: Any, position: Any, vector: Any) -> Any:
    """``array.flat[position : position + 8] = vector``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _address(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], place).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, vec8), code


@intrinsic
def prefetch(_: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of ``array.flat[position]``, to be written; nothing waits for it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        line = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(function, [line, _I32(1), _I32(3), _I32(1)])  # to write, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@intrinsic
def spread(_: Any, array: Any, position: Any) -> Any:
    """``array.flat[position]``, float32, eight times."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return _eight_times(builder, builder.load(builder.gep(data, [args[1]])))

    return vec8(array, types.intp), code


@intrinsic
def splat(_: Any, x: Any) -> Any:
    """The float32 ``x`` eight times."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _eight_times(builder, args[0])

    return vec8(types.float32), code


@partial(intrinsic, prefer_literal=True)
def lane(_: Any, vector: Any, j: Any) -> Any:
    """Lane ``j`` (a literal) eight times."""
    if not isinstance(j, types.IntegerLiteral):
        return None

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.shuffle_vector(args[0], _UNDEFINED, _pattern([j.literal_value] * LANES))

    return vec8(vec8, j), code


@intrinsic
def fma(_: Any, x: Any, y: Any, z: Any) -> Any:
    """x · y + z, rounded once."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_VEC, [_VEC] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v8f32"), args)

    return vec8(vec8, vec8, vec8), code


@intrinsic
def add(_: Any, x: Any, y: Any) -> Any:
    """x + y."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args)

    return vec8(vec8, vec8), code


@intrinsic
def mul(_: Any, x: Any, y: Any) -> Any:
    """x · y."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*args)

    return vec8(vec8, vec8), code


@intrinsic
def total(_: Any, x: Any) -> Any:
    """Sum of the lanes, by halves: ((0+4)+(2+6)) + ((1+5)+(3+7)) -> float32."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = args[0]
        for step in (4, 2, 1):
            turned = builder.shuffle_vector(vector, _UNDEFINED, _pattern([(j + step) % LANES for j in range(LANES)]))
            vector = builder.fadd(vector, turned)
        return builder.extract_element(vector, ir.Constant(_I32, 0))

    return types.float32(vec8), code
