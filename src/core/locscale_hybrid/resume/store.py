"""Results of stages in the job folder, for a later run that needs the same.

A result is two files, ``<stage>-<key>.npz`` with its arrays and ``<stage>-<key>.json`` with the
rest and the checksums of both.  The key is a hash of all that the result depends on, so a result
of other input is not found; one that is truncated or changed by a bit is made again.
"""

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.atomic import require_regular, sha256, sha256_of
from ..files.codec import decode, encode
from ..findings import Finding
from ..remedies import do

_T = TypeVar("_T")
_FORMAT = 3
_LARGEST_TEXT = 256 << 20  # bytes of the JSON part
_IN_NAME = 16  # digits of the key


@dataclass(frozen=True)
class StageKey:
    """What a result depends on.

    Parameters
    ----------
    stage : str
        Word for file names.
    digest : str
        Hash of everything else, hexadecimal.
    """

    stage: str
    digest: str

    @property
    def words(self) -> str:
        """What to call the stage in a message."""
        return {"adp": "B factors", "reseed": "the check with another seed"}.get(
            self.stage, self.stage
        )

    @property
    def name(self) -> str:
        """Name of its files without ending."""
        return f"{self.stage}-{self.digest[:_IN_NAME]}"


class StageStore:
    """Keeps results in a folder, or nothing where there is no folder.

    Parameters
    ----------
    folder : Path, optional
        Made when the first result is kept, for this user alone.
    scratch : Path, optional
        On the same file system: files are written there and then moved.
    read : bool
        Use results that are there; False: only keep them for a later run.
    found : callable, optional
        Told what was used, what was damaged and what could not be kept.
    """

    def __init__(
        self,
        folder: Path | None = None,
        scratch: Path | None = None,
        *,
        read: bool = False,
        found: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self._folder, self._scratch, self._read, self._found = folder, scratch, read, found

    def kept(
        self,
        kind: type[_T],
        key: StageKey | None,
        compute: Callable[[], _T],
        fits: Callable[[_T], bool] = lambda kept: True,
    ) -> _T:
        """Load the result under a key, or compute it if there is no sound one.

        Parameters
        ----------
        kind : type
            Dataclass of the result.
        key : StageKey, optional
            None: compute and keep nothing.
        compute : callable
        fits : callable
            Whether a kept result can be that of this run; one that cannot is damaged.
        """
        result = self.earlier(kind, key, fits)
        if result is None:
            result = compute()
            self.keep(result, key)
        return result

    def earlier(
        self, kind: type[_T], key: StageKey | None, fits: Callable[[_T], bool] = lambda kept: True
    ) -> _T | None:
        """Return the sound result that an earlier run kept under a key, if any; see `kept`."""
        if self._folder is None or key is None or not self._read:
            return None
        return self._load(kind, key, self._folder, fits)

    def keep(self, result: object, key: StageKey | None) -> None:
        """Keep a result under a key for a later run."""
        if self._folder is not None and key is not None:
            self._keep(result, key, self._folder)

    def _load(
        self, kind: type[_T], key: StageKey, folder: Path, fits: Callable[[_T], bool]
    ) -> _T | None:
        """Load the kept result; None if there is none or it is damaged."""
        path = folder / f"{key.name}.json"
        try:
            result: _T = _read_result(kind, key, path)
            if not fits(result):
                raise ValueError("it is that of another input")
        except FileNotFoundError:
            return None
        except (
            InputError,
            OSError,
            ValueError,
            EOFError,
            MemoryError,
            RecursionError,
            zipfile.BadZipFile,
        ) as error:
            self._found(
                Finding(
                    f"stage-damaged-{key.stage}",
                    "warning",
                    f"{key.words}: the kept result {path.with_suffix('.npz')} is damaged ({error}), so "
                    "it is computed again",
                    remedies=(do("check the disk"),),
                )
            )
            return None
        self._found(
            Finding(
                f"stage-resumed-{key.stage}",
                "note",
                f"{key.words}: taken from the earlier run, because nothing that it depends on has "
                "changed",
                {"file": str(path.with_suffix(".npz"))},
            )
        )
        return result

    def _keep(self, result: object, key: StageKey, folder: Path) -> None:
        """Keep a result in place of earlier ones of its stage; a full disk is told, no error."""
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _write_result(result, key, folder, self._scratch or folder)
            for path in folder.glob(f"{key.stage}-*"):
                if path.stem != key.name:
                    path.unlink(missing_ok=True)
        except OSError as error:
            for ending in (".json", ".npz"):
                with suppress(OSError):
                    (folder / f"{key.name}{ending}").unlink(missing_ok=True)
            self._found(
                Finding(
                    f"stage-not-kept-{key.stage}",
                    "warning",
                    f"{key.words}: the result could not be kept in {folder} "
                    f"({error.strerror or error}), so a later run computes it again",
                    remedies=(do("make room there"),),
                )
            )


def _write_result(result: object, key: StageKey, folder: Path, scratch: Path) -> None:
    """Write the arrays, then the text that vouches for them, each complete or not at all."""
    tree, arrays = encode(result)
    parts = {ending: scratch / f".{key.name}{ending}.part" for ending in (".npz", ".json")}
    try:
        with parts[".npz"].open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        text = json.dumps(
            {
                "format": _FORMAT,
                "stage": key.stage,
                "key": key.digest,
                "arrays": sha256(parts[".npz"]),
                "value": tree,
            },
            sort_keys=True,
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        parts[".json"].write_text(f"{digest}\n{text}\n", encoding="utf-8")
        for ending, part in parts.items():
            os.replace(part, folder / f"{key.name}{ending}")
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _read_result(kind: Any, key: StageKey, path: Path) -> Any:
    """Read a result; ValueError where it is not what was written."""
    for part in (path, path.with_suffix(".npz")):
        require_regular(part)
    if path.stat().st_size > _LARGEST_TEXT:
        raise ValueError("its text is too long")
    digest, _, text = path.read_bytes().decode("utf-8").rstrip("\n").partition("\n")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError("the checksum of its text differs")
    values = json.loads(text)
    if not isinstance(values, dict) or not {"format", "key", "arrays", "value"} <= values.keys():
        raise ValueError("its text is not that of a result")
    if (values["format"], values["key"]) != (_FORMAT, key.digest):
        raise ValueError("it belongs to another input")
    result = decode(kind, values["value"], _read_arrays(path.with_suffix(".npz"), values["arrays"]))
    _require_sound(result)
    return result


def _require_sound(value: object) -> None:
    """Refuse values that no run computes: a sound checksum says only that a file is whole."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError("an array holds values that are not finite")
    elif isinstance(value, float) and math.isnan(value):
        raise ValueError("a value is not a number")
    elif isinstance(value, Mapping):
        _require_sound(tuple(value.values()))
    elif isinstance(value, tuple):
        for item in value:
            _require_sound(item)
    elif is_dataclass(value):
        for part in fields(value):
            _require_sound(getattr(value, part.name))
        if hasattr(value, "check"):
            value.check()


def _read_arrays(path: Path, digest: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file with this SHA-256."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise ValueError("its arrays are missing") from None
    with stream:
        if sha256_of(stream) != digest:
            raise ValueError("the checksum of its arrays differs")
        stream.seek(0)
        arrays = np.load(stream, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("its arrays are not in an archive")
        with arrays:
            if arrays.zip is None or any(part.compress_type for part in arrays.zip.infolist()):
                raise ValueError("its arrays are compressed")  # to any size
            return {name: arrays[name] for name in arrays.files}
