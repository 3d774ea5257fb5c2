"""Types for annotations: what ChimeraX gives, which has no types of its own, and plain JSON values.

Only type checkers import it.  What is `Any` here is not checked; everything that the shell defines
is.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from locscale_hybrid.maps.subvolume import Corners as Corners

# of ChimeraX
Session: TypeAlias = Any
Logger: TypeAlias = Any
Model: TypeAlias = Any
Volume: TypeAlias = Any
GridData: TypeAlias = Any
Structure: TypeAlias = Any
Atoms: TypeAlias = Any
Residues: TypeAlias = Any

FloatArray: TypeAlias = NDArray[np.float32]
DoubleArray: TypeAlias = NDArray[np.float64]
AnyArray: TypeAlias = NDArray[Any]

Json: TypeAlias = dict[str, Any]
Finding: TypeAlias = Json  # of the core, or with the same fields
Keywords: TypeAlias = dict[str, Any]  # of a command, by Python name
Proceed: TypeAlias = Callable[[], None]


class Holder(Protocol):
    """What keeps maps that another tool may take over."""

    @property
    def volumes(self) -> list[Any]:
        """The maps; None in place of one that is gone."""

    def replace_volume(self, old: Any, new: Any) -> None:
        """Take a map that has the data of one that was closed."""
