"""Results of stages by name: those of an earlier run with the same input, and new ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .store import StageKey, StageStore

_T = TypeVar("_T")


@dataclass(frozen=True)
class KeptStages:
    """Results of stages that a folder keeps, or none.

    Parameters
    ----------
    store : StageStore
    keys : mapping of str to StageKey
        By stage; what has no key is computed and not kept.
    """

    store: StageStore = field(default_factory=StageStore)
    keys: Mapping[str, StageKey] = field(default_factory=dict)

    def kept(
        self,
        kind: type[_T],
        stage: str,
        compute: Callable[[], _T],
        fits: Callable[[_T], bool] = lambda kept: True,
    ) -> _T:
        """Take the result of a stage from an earlier run, or compute and keep it.

        Parameters
        ----------
        kind : type
            Dataclass of the result.
        stage : str
        compute : callable
        fits : callable
            Whether a kept result can be that of this run; one that cannot is damaged.
        """
        return self.store.kept(kind, self.keys.get(stage), compute, fits)

    def earlier(self, kind: type[_T], stage: str, fits: Callable[[_T], bool]) -> _T | None:
        """Take the result of a stage from an earlier run, if there is one; see `kept`."""
        return self.store.earlier(kind, self.keys.get(stage), fits)

    def keep(self, stage: str, result: object) -> None:
        """Keep the result of a stage for a later run."""
        self.store.keep(result, self.keys.get(stage))
