"""Floats of 32 bit side by side in one register: what is done to many things at once is written as for one of them.

A compiler that is left to find lanes in loops over short rows must be sure that no two arrays overlap, and asks at
every row. A vector is a value like any number: it is loaded, reckoned with and stored.
"""

# ruff: noqa: ARG001, ARG002 - of what numba hands over not all is of use
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8
_FLAGS = ("reassoc", "contract", "nsz", "arcp")
_FLOATS, _WORDS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_model: Any = register_model  # numba's decorators have no types
_numba_intrinsic: Any = intrinsic
_cgutils: Any = cgutils
_signature: Any = signature
_lowered: Any = lower_builtin
_typed: Any = infer_global


def _intrinsic(function: Callable[..., Any]) -> Any:
    """Make a function of kernels of the typing of its call."""
    return _numba_intrinsic(function)


class Vector(types.Type):
    """Type of a vector in kernels."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector{LANES}")


VECTOR = Vector()


@_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, own: Any) -> None:
        base: Any = super()
        base.__init__(manager, own, _FLOATS)


def _spread(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """A number as a vector of it; a vector as it is."""
    if kind is VECTOR or kind == VECTOR:
        return value
    number = context.cast(builder, value, kind, types.float32)
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_WORDS, [0] * LANES))


def _operator(own: Callable[..., Any], instruction: str) -> None:
    """Teach kernels an operator of two vectors, or of a vector and a number."""

    class Typed(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and VECTOR in args and all(a == VECTOR or isinstance(a, types.Number) for a in args):
                return _signature(VECTOR, *args)
            return None

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        both = (_spread(context, builder, value, kind) for value, kind in zip(args, sig.args, strict=True))
        return getattr(builder, instruction)(*both, flags=_FLAGS)

    _typed(own)(Typed)
    for first, second in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        _lowered(own, first, second)(lowered)


for _own, _instruction in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.isub, "fsub"),
    (operator.mul, "fmul"),
    (operator.imul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_own, _instruction)


def _pointer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Where the lanes of an array's last axis begin, by the index of the axes before."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    whole = isinstance(sig.args[1], types.BaseTuple)
    index = _cgutils.unpack_tuple(builder, args[1]) if whole else [args[1]]
    kinds = sig.args[1].types if whole else [sig.args[1]]
    at = [context.cast(builder, i, kind, types.intp) for i, kind in zip(index, kinds, strict=True)]
    at += [context.get_constant(types.intp, 0)] * (sig.args[0].ndim - len(at))
    first = _cgutils.get_item_pointer(context, builder, sig.args[0], array, at, wraparound=False)
    return builder.bitcast(first, _FLOATS.as_pointer())


@_intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Vector in an array (…, W) of float32; the index is that of its first lane, or of the axes before the last."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, sig, args), align=4)

    return VECTOR(array, index), lowered


@_intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Put a vector, or a number in every lane, where :func:`load` finds it."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = _spread(context, builder, args[2], sig.args[2])
        builder.store(vector, _pointer(context, builder, sig, args), align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), lowered


@_intrinsic
def spread(typing: Any, value: Any) -> Any:
    """A number in every lane."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(context, builder, args[0], sig.args[0])

    return VECTOR(value), lowered


@_intrinsic
def select(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Lane by lane ``yes`` where a > b, else ``no``; any of the four may be a number."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b, yes, no = (_spread(context, builder, v, kind) for v, kind in zip(args, sig.args, strict=True))
        return builder.select(builder.fcmp_ordered(">", a, b), yes, no)

    return VECTOR(a, b, yes, no), lowered


def _function(name: str) -> Any:
    """A function of the processor, of one vector."""

    def own(typing: Any, value: Any) -> Any:
        def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            kind = ir.FunctionType(_FLOATS, [_FLOATS])
            called = _cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
            return builder.call(called, args)

        return VECTOR(value), lowered

    return _intrinsic(own)


root, floor, magnitude = _function("sqrt"), _function("floor"), _function("fabs")


@_intrinsic
def total_of(typing: Any, value: Any) -> Any:
    """Sum over the lanes, by halves."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector, lanes = args[0], LANES
        while lanes > 1:
            lanes //= 2
            upper = ir.Constant(_WORDS, [(i + lanes) % LANES for i in range(LANES)])
            vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, upper), flags=_FLAGS)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(value), lowered


@_intrinsic
def bits(typing: Any, value: Any) -> Any:
    """The bits of every float, as whole numbers; rounded to a float of 32 bit themselves."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.sitofp(builder.bitcast(args[0], _WORDS), _FLOATS)

    return VECTOR(value), lowered


@_intrinsic
def of_bits(typing: Any, value: Any) -> Any:
    """The floats whose bits these whole numbers are."""

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptosi(args[0], _WORDS), _FLOATS)

    return VECTOR(value), lowered
