"""A model bundle: one folder with a manifest and the parts it lists.

::

    manifest.json     format, library versions; for each language labels, codes, temperatures, thresholds, version, and
                      what is usual (models/usual.py); for each part its size and sha256
    ar.model          one linear model a language (models/arrays.py), `ar-alert.model` its alert style
    ar.joblib         the scikit-learn pipeline that ar.model was made from, the reference; serving never loads it

A part is mapped, not read, so that the workers of a machine share it; it is compared with the manifest, and its every
index checked, before it is used. Whoever must trust a bundle pins the manifest's own digest (`sha256`), which covers
them all. A bundle in use is replaced by another folder (`Bundle.write` does), never written into: a mapped file that
grows shorter ends the processes that map it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from models.arrays import Arrays, ArraysError, unpack
from models.sections import map_file
from models.usual import Usual

__all__ = [
    "FORMAT",
    "SHIPPED",
    "Alert",
    "Bundle",
    "BundleError",
    "Calibration",
    "Language",
    "Manifest",
    "Part",
    "digest",
]

FORMAT = 2
SHIPPED = Path(__file__).parent / "artifacts"
"""The bundle that comes with the package."""

_MANIFEST = "manifest.json"
_MAX_MANIFEST = 4 << 20
_MAX_PART = 256 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\.(model|joblib)")


class BundleError(Exception):
    """A bundle is refused; the message is one line that says what to do."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a bundle."""

    sha256: str
    bytes: int


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`temperature` and `floor` turn scores into probabilities (models/calibration.py); below `threshold` the
    model abstains."""

    temperature: float
    floor: float
    threshold: float


class Alert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The alert-style model: from `threshold` (a probability) on, a short text counts as an alert."""

    part: str
    pipeline: str
    threshold: float


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one language's model beside its weights."""

    version: str
    part: str
    pipeline: str
    labels: list[str]
    codes: dict[str, str]
    full: Calibration
    short: Calibration
    reference: Usual
    left_out: dict[str, dict[str, dict[str, float]]]
    alert: Alert | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`manifest.json`."""

    format: int
    libraries: dict[str, str]
    languages: dict[str, Language]
    parts: dict[str, Part]


class Bundle:
    """A manifest and the verified bytes of its parts."""

    def __init__(self, manifest: Manifest, parts: dict[str, memoryview], sha256: str) -> None:
        self.manifest = manifest
        self.sha256 = sha256
        self._parts = parts

    @classmethod
    def build(cls, languages: dict[str, Language], parts: dict[str, bytes]) -> Bundle:
        """A bundle of serialised `parts`, made by the libraries of this process."""
        manifest = Manifest(
            format=FORMAT,
            libraries={name: version(name) for name in ("scikit-learn", "joblib", "numpy")},
            languages=dict(sorted(languages.items())),
            parts={name: Part(digest(data), len(data)) for name, data in sorted(parts.items())},
        )
        return cls(manifest, {name: memoryview(data) for name, data in parts.items()}, digest(_encode(manifest)))

    @classmethod
    def read(cls, folder: Path, *, sha256: str | None = None) -> Bundle:
        """Read and verify the bundle in `folder`; raises BundleError.

        `sha256` is the expected digest of manifest.json, in hexadecimal.
        """
        data = _read(folder / _MANIFEST, _MAX_MANIFEST)
        found = digest(data)
        if sha256 is not None and found != sha256.strip().lower():
            raise BundleError(
                f"{folder}: its manifest has sha256 {found}, but {sha256} is pinned; "
                "pin the new digest if you trust this bundle, else restore the old one"
            )
        manifest = _decode(folder, data)
        parts = {}
        for name, part in manifest.parts.items():
            if not _NAME.fullmatch(name) or not 0 <= part.bytes <= _MAX_PART:
                raise BundleError(f"{folder}: the manifest lists an impossible part {name!r}; train the bundle again")
            content = _map(folder / name)
            if len(content) != part.bytes or digest(content) != part.sha256:
                raise BundleError(
                    f"{folder / name} is not the file that the manifest lists; copy the whole bundle again"
                )
            parts[name] = content
        return cls(manifest, parts, found)

    def write(self, folder: Path) -> None:
        """Write to `folder`, whole or not at all; replaces a bundle that is there, raises BundleError over
        others."""
        if folder.exists() and any(folder.iterdir()) and not (folder / _MANIFEST).exists():
            raise BundleError(f"{folder} holds something that is not a bundle; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            temporary.chmod(0o755)
            for name, data in self._parts.items():
                (temporary / name).write_bytes(data)
            (temporary / _MANIFEST).write_bytes(_encode(self.manifest))
            old = Path(f"{temporary}-old")
            if folder.exists():
                os.replace(folder, old)
            os.replace(temporary, folder)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def load(self, name: str) -> Arrays:
        """The arrays of the part `name`, views of its verified bytes; raises BundleError."""
        try:
            return unpack(self._parts[name])
        except ArraysError as error:
            raise BundleError(f"part {name}: {error}") from error

    def load_pipeline(self, name: str) -> Any:
        """Unpickle the part `name`, which runs what is in it, from a copy of its bytes with the manifest's digest."""
        import joblib

        content = bytes(self._parts[name])
        if digest(content) != self.manifest.parts[name].sha256:
            raise BundleError(f"part {name} was changed after the bundle was read; copy the whole bundle again")
        return joblib.load(io.BytesIO(content))


def dump(value: object) -> bytes:
    """Serialise a pipeline; the same value gives the same bytes."""
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=("zlib", 9))
    return buffer.getvalue()


def digest(data: bytes | memoryview) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


def _encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def _decode(folder: Path, data: bytes) -> Manifest:
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
        if found.get("format") != FORMAT:
            raise BundleError(
                f"{folder} has bundle format {found.get('format')!r}, Ajil reads {FORMAT}; train it again"
            )
        manifest = msgspec.convert(found, Manifest)
    except msgspec.DecodeError as error:
        raise BundleError(f"{folder / _MANIFEST}: {error}; train the bundle again or copy it whole") from error
    trained, here = manifest.libraries.get("scikit-learn", "?"), version("scikit-learn")
    if trained.split(".")[:2] != here.split(".")[:2]:
        raise BundleError(
            f"{folder} was trained with scikit-learn {trained}, here is {here}: its reference could not be loaded; "
            "install that minor version or train the bundle again"
        )
    for name, language in manifest.languages.items():
        models: list[Language | Alert] = [language] if language.alert is None else [language, language.alert]
        listed = [part for model in models for part in (model.part, model.pipeline)]
        if not manifest.parts.keys() >= set(listed):
            raise BundleError(f"{folder}: a part of {name!r} is not listed; train the bundle again")
    return manifest


def _map(path: Path) -> memoryview:
    try:
        return map_file(path)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise BundleError(f"{path}: {error}; copy the whole bundle again") from error


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; give the folder of a bundle, with its manifest.json") from error
    if len(data) > limit:
        raise BundleError(f"{path} is larger than the {limit} bytes it may have; copy the whole bundle again")
    return data
