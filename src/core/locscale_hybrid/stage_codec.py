"""Values as JSON and arrays, and back: what a stage returns can lie in a file without pickle.

What is read is built by the type hints of the dataclass that the caller names; a file names no
type and no module.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_ARRAY = "array"
Arrays = dict[str, NDArray[Any]]


def encode(value: object) -> tuple[Any, Arrays]:
    """A value as plain JSON and the arrays that it refers to by name.

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


def decode(kind: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value of a type that `encode` took apart.

    Parameters
    ----------
    kind : type
        A dataclass, or whatever may be the hint of one of its fields.
    tree : JSON value
    arrays : mapping of str to array

    Raises
    ------
    ValueError
        If tree and arrays do not make such a value.
    """
    try:
        return _decoded(kind, tree, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no {getattr(kind, '__name__', kind)}: {error!r}") from None


def _encoded(value: object, arrays: Arrays) -> Any:
    """A value as JSON; its arrays are added to the others."""
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
        return {field.name: _encoded(getattr(value, field.name), arrays)
                for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be kept in a file")


def _decoded(kind: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value of a hint."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _of_union(parts, tree, arrays)
    if kind is np.ndarray or origin is np.ndarray:
        return arrays[tree[_ARRAY]]
    if origin is tuple:
        kinds = [parts[0]] * len(tree) if parts[1:] == (Ellipsis,) else parts
        return tuple(_decoded(each, item, arrays)
                     for each, item in zip(kinds, tree, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _decoded(parts[1], item, arrays) for name, item in tree.items()}
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind, tree, arrays)
    if kind is Path:
        return Path(tree)
    if origin is Literal:
        return _one_of(parts, tree)
    return _scalar(kind, tree)


def _of_dataclass(kind: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A dataclass from its fields."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    if sorted(names) != sorted(tree):
        raise ValueError(f"{kind.__name__} has the fields {', '.join(names)}")
    return kind(**{name: _decoded(hints[name], tree[name], arrays) for name in names})


def _of_union(kinds: tuple[Any, ...], tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value as it is where its own type is among them, else the first that fits."""
    if type(tree) in kinds:
        return tree
    for kind in kinds:
        try:
            return _decoded(kind, tree, arrays)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    raise ValueError(f"no value of {kinds} is here")


def _one_of(choices: tuple[Any, ...], tree: Any) -> Any:
    """A value among the choices of a Literal."""
    if tree not in choices:
        raise ValueError(f"{tree!r} is none of {choices}")
    return tree


def _scalar(kind: Any, tree: Any) -> Any:
    """A number, word or truth value of exactly this type; a whole float may look like an int."""
    if kind is float and type(tree) is int:
        return float(tree)
    if kind in (bool, int, float, str, type(None)) and type(tree) is kind:
        return tree
    raise ValueError(f"{tree!r} is no {kind}")
