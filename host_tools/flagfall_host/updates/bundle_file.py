"""The file `flagfall update build` writes: a signed bundle (docs/formats.md section 11).

The layout and its checks are the firmware's own, flagfall.bundle and flagfall.signed_file.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from flagfall import VERSION, bundle, signed_file
from flagfall.meter import identity

from flagfall_host.depot.office_folder import BUILT
from flagfall_host.depot.office_register import Register
from flagfall_host.depot.signed_files import sign_file
from flagfall_host.errors import FlagfallError
from flagfall_host.flashing.program_files import metrology, slot_files


class BundleFileError(FlagfallError):
    """Not an update bundle, a damaged one, or one that this fleet has not signed."""

    exit_code = 2


@dataclass(frozen=True)
class BundleFile:
    """An update for every unit of `board`. `metrology`: hash of its metrology set, hex; `made`:
    UTC seconds since 2000; `files`: (path, bytes, whether of the metrology set)."""

    release: int
    version: str
    board: str
    metrology: str
    made: int
    files: tuple[tuple[str, int, bool], ...]
    data: bytes


def build(board: str, key: RSAPrivateKey, release: int, made: int) -> bytes:
    """The signed bundle of this source tree for `board`. Raises InputError, BuildError."""
    return sign(content_of(board, slot_files(board)), key, release, made)


def content_of(board: str, files: dict[str, bytes], version: str = VERSION) -> bytes:
    """The bundle of the files of a slot."""
    names = {f"{bundle.METROLOGY}{name}{bundle.SUFFIX}" for name in identity.FILES}
    measuring = {path: files[path] for path in names}
    others = {path: content for path, content in files.items() if path not in names}
    return bundle.pack(board, version, metrology(files), measuring, others)


def sign(content: bytes, key: RSAPrivateKey, release: int, made: int) -> bytes:
    """The bundle as units take it."""
    return sign_file(key, bundle.KIND, content, release, made)


def release_of(fleet_folder: Path, board: str, content: bytes, made: int) -> tuple[int, int]:
    """(release, made) of this content: the number it had before, or the next one.

    The register in the fleet folder gives each content of a board its number once.
    """
    register = Register(fleet_folder / BUILT)
    issue = register.issue(f"{bundle.KIND} {board}", "", hashlib.sha256(content).hexdigest(), made)
    return issue.version, issue.made


def read(path: Path, key: RSAPublicKey | None = None) -> BundleFile:
    """Read and check a bundle; with `key` its signature too. Raises BundleFileError."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BundleFileError(f"{path}: cannot be read: {e.strerror}") from e
    try:
        return check(data, key)
    except (signed_file.SignedFileError, bundle.BundleError) as e:
        raise BundleFileError(f"{path}: {e}") from e


def check(data: bytes, key: RSAPublicKey | None = None) -> BundleFile:
    """`read` of its bytes. Raises SignedFileError, BundleError."""
    header = signed_file.Header(data)
    if header.kind != bundle.KIND:
        raise bundle.BundleError(f"a signed file of kind {header.kind}, not an update")
    if key is not None:
        numbers = key.public_numbers()
        header.check((numbers.n, numbers.e), bundle.KIND, "")
    content = data[header.size :]
    if len(content) != header.length or hashlib.sha256(content).digest() != header.sha256:
        raise signed_file.SignedFileError("the content is not what was signed: copy it again")
    head = bundle.Head(content)
    stream = io.BytesIO(content)
    stream.seek(head.size)
    rows = list(bundle.rows(head, stream.read))
    contents = {}
    for path, length, sha256, _ in rows:
        contents[path] = stream.read(length)
        if hashlib.sha256(contents[path]).digest() != sha256 or len(contents[path]) != length:
            raise bundle.BundleError(f"bundle: {path} is not what was signed")
    names = [bundle.module(path) for path, _, _, measuring in rows if measuring]
    found = identity.fingerprint(
        lambda name: (contents[f"{bundle.METROLOGY}{name}{bundle.SUFFIX}"],), names
    )
    if stream.read(1) or found != head.metrology:
        raise bundle.BundleError("bundle: its metrology files are not those that it names")
    files = tuple((path, length, measuring) for path, length, _, measuring in rows)
    return BundleFile(
        header.version,
        head.version,
        head.board,
        head.metrology.hex(),
        header.made,
        files,
        data,
    )
