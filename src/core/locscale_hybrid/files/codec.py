"""Convert values to JSON and arrays and back, so that stage results are kept without pickle.

cattrs rebuilds what is read from the dataclass that the caller names; a file names no type and no
module.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import cattrs
import numpy as np
from cattrs.errors import ForbiddenExtraKeysError, StructureHandlerNotFoundError
from cattrs.strategies import configure_union_passthrough
from numpy.typing import NDArray

_T = TypeVar("_T")
_ARRAY = "array"
Arrays = dict[str, NDArray[Any]]


def encode(value: object) -> tuple[Any, Arrays]:
    """Take a value apart into plain JSON and the arrays that it refers to by name.

    Parameters
    ----------
    value : dataclass, array, number, str, Path, tuple, mapping or None
        Nested to any depth.

    Returns
    -------
    tree : JSON value
    arrays : dict of str to array

    Raises
    ------
    TypeError
        If the value holds anything else.
    """
    arrays: Arrays = {}
    return _encoded(value, arrays), arrays


def decode(kind: type[_T], tree: Any, arrays: Mapping[str, NDArray[Any]]) -> _T:
    """Rebuild the value of a type that `encode` took apart.

    Parameters
    ----------
    kind : type
        A dataclass, or whatever may annotate one of its fields.
    tree : JSON value
    arrays : mapping of str to array

    Raises
    ------
    ValueError
        If tree and arrays do not make such a value.
    """
    try:
        return _CONVERTER.structure(_with_arrays(tree, arrays), kind)
    except StructureHandlerNotFoundError:
        raise  # an annotation that cattrs does not know is our fault, not that of a file
    except (KeyError, TypeError, AttributeError, ValueError, ForbiddenExtraKeysError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error!r}") from None


def _encoded(value: object, arrays: Arrays) -> Any:
    """Convert a value to JSON and add its arrays to the others."""
    if isinstance(value, np.ndarray):
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _encoded(item, arrays) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_encoded(item, arrays) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: _encoded(getattr(value, field.name), arrays)
            for field in dataclasses.fields(value)
        }
    raise TypeError(f"{type(value).__name__} cannot be kept in a file")


def _with_arrays(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Put the arrays back where the tree names them."""
    if isinstance(tree, dict):
        if tree.keys() == {_ARRAY}:
            return arrays[tree[_ARRAY]]
        return {name: _with_arrays(item, arrays) for name, item in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(item, arrays) for item in tree]
    return tree


def _is_array(kind: Any) -> bool:
    """Test for an annotation of an array: NDArray is an alias by name since numpy 2.5."""
    origin = get_origin(kind) or kind
    named = getattr(origin, "__value__", origin)
    return np.ndarray in (named, get_origin(named))


def _converter() -> cattrs.Converter:
    """Make the converter: every value must have the type of its annotation exactly."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(float, _as_float)
    converter.register_structure_hook_func(_is_array, _as_array)
    configure_union_passthrough(float | int | str, converter)
    return converter


def _exactly(value: Any, kind: type[_T]) -> _T:
    """Accept a value of exactly this type."""
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not of type {kind.__name__}")
    return value


def _as_float(value: Any, _: Any) -> float:
    """Accept a float; JSON of other programs may write a whole one as an integer."""
    return float(value) if type(value) is int else _exactly(value, float)


def _as_array(value: Any, kind: Any) -> NDArray[Any]:
    """Accept an array of the annotated kind of values."""
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{value!r} is not an array")
    wanted = _kind_of_values(kind)
    if wanted is not None and value.dtype.kind != wanted:
        raise ValueError(f"an array holds {value.dtype} values")
    return value


def _kind_of_values(kind: Any) -> str | None:
    """Find numpy's letter for the values of an annotated array; None if any will do."""
    while get_args(kind):  # NDArray[type], or ndarray[shape, dtype[type]]
        kind = get_args(kind)[-1]
    if not (isinstance(kind, type) and issubclass(kind, np.generic)) or kind is np.generic:
        return None
    return np.dtype(kind).kind


_CONVERTER = _converter()
