"""Two more ways to the memory, beside those of ``_vec``: asking early, and one number in all lanes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._vec import LANES, vec8


@intrinsic
def prefetch(_: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of ``array.flat[position]``, to be written; nothing waits for it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        line = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(function, [line, number(1), number(3), number(1)])  # to write, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@intrinsic
def spread(_: Any, array: Any, position: Any) -> Any:
    """``array.flat[position]``, float32, eight times."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        number, kind = ir.IntType(32), ir.VectorType(ir.FloatType(), LANES)
        nothing = ir.Constant(kind, ir.Undefined)
        one = builder.insert_element(nothing, builder.load(builder.gep(data, [args[1]])), number(0))
        return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(number, LANES), [0] * LANES))

    return vec8(array, types.intp), code
