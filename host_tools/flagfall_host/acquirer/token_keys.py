"""Terminals' master keys in a PKCS#11 token (an HSM; SoftHSM on the bench).

A master key never leaves the token: it decrypts working keys there and cannot be read. A working
key passes through this program's memory once, at sign-in, on its way back into the token as a key
that cannot be read either: PKCS#11 has no unwrapping by DES in ECB that tokens agree on. MACs are
made by the token. Needs the package python-pkcs11.

    pkcs11:token=NAME?module-path=/usr/lib/softhsm/libsofthsm2.so      (RFC 7512)
"""

import contextlib
import functools
import os
import urllib.parse
from collections.abc import Callable
from typing import Any

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.keys import EVERY
from flagfall_host.acquirer.mac import Des, Mac, halves, unionpay_ecb, x9_19
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.working_keys import unwrap

PIN_VARIABLE = "FLAGFALL_TOKEN_PIN"
SCHEME = "pkcs11:"
_LABEL = "flagfall-tmk-"


class TokenKeys:
    """An open session with the token that `uri` names. Raises KeysError."""

    def __init__(self, uri: str, pin: str | None = None) -> None:
        path, _, query = uri.removeprefix(SCHEME).partition("?")
        names = dict(part.split("=", 1) for part in path.split(";") if "=" in part)
        options = dict(urllib.parse.parse_qsl(query))
        label = urllib.parse.unquote(names.get("token", ""))
        module = options.get("module-path", "")
        if not label or not module:
            raise KeysError(
                f"{uri}: such as pkcs11:token=NAME?module-path=/usr/lib/softhsm/libsofthsm2.so"
            )
        pin = pin if pin is not None else os.environ.get(PIN_VARIABLE)
        if not pin:
            raise KeysError(f"token {label}: set {PIN_VARIABLE} to its user PIN")
        self._where = f"token {label}"
        try:
            import pkcs11
        except ImportError as e:
            raise KeysError(
                "keys in a token need the package python-pkcs11: pip install 'flagfall[hsm]'"
            ) from e
        self._p11 = pkcs11
        self._session = self._try(
            lambda: pkcs11.lib(module).get_token(token_label=label).open(rw=True, user_pin=pin)
        )

    def __repr__(self) -> str:
        return f"TokenKeys({self._where!r})"

    def _try(self, work: Callable[[], Any]) -> Any:
        """Do something at the token. Raises KeysError for its errors."""
        try:
            return work()
        except (self._p11.PKCS11Error, RuntimeError, OSError) as e:
            raise KeysError(f"{self._where}: {type(e).__name__} {e}".rstrip()) from e

    def close(self) -> None:
        with contextlib.suppress(KeysError):
            self._try(self._session.close)

    def add(self, terminal_id: str, key: bytes) -> None:
        """Put a master key of 16 bytes into the token, never to be read again."""
        if len(key) != 16:
            raise KeysError(f"a terminal master key has 16 bytes, not {len(key)}")
        for old in self._objects(_LABEL + terminal_id):
            self._try(old.destroy)
        self._import(key, _LABEL + terminal_id)

    def check_values(self) -> dict[str, str]:
        """Terminal id -> key check value, 8 hex digits."""
        attribute = self._p11.Attribute
        found = {}
        for key in self._objects(None):
            label = self._try(lambda k=key: k[attribute.LABEL])  # type: ignore[misc]
            if label.startswith(_LABEL):
                check = self._des(key, bytes(8))[:4]
                found[label.removeprefix(_LABEL)] = check.hex().upper()
        return found

    def mac(self, profile: Profile, terminal_id: str, wrapped: bytes) -> Mac:
        """See `TerminalKeys.mac`."""
        ours = self._objects(_LABEL + terminal_id) or self._objects(_LABEL + EVERY)
        if not ours:
            raise KeysError(f"{self._where}: no master key for terminal {terminal_id}")
        decrypt = functools.partial(self._des, ours[0], decrypt=True)
        mak = unwrap(profile, decrypt, wrapped)["mak"]
        if profile.mac == "x9.19":
            left, right = (self._import(half * 2) for half in halves(mak))
            return functools.partial(
                x9_19,
                functools.partial(self._des, left),
                functools.partial(self._des, right, decrypt=True),
            )
        encrypt: Des = functools.partial(self._des, self._import((mak * 2)[:16]))
        return functools.partial(unionpay_ecb, encrypt)

    def _objects(self, label: str | None) -> list[Any]:
        a, classes = self._p11.Attribute, self._p11.ObjectClass
        wanted: dict[Any, Any] = {
            a.CLASS: classes.SECRET_KEY,
            a.KEY_TYPE: self._p11.KeyType.DES2,
            a.TOKEN: True,
        }
        if label is not None:
            wanted[a.LABEL] = label
        found: list[Any] = self._try(lambda: list(self._session.get_objects(wanted)))
        return found

    def _import(self, key: bytes, label: str | None = None) -> Any:
        """A key that can be used and not be read; with a label it stays in the token.

        DES under one key is 3DES under that key twice, which every token has.
        """
        a = self._p11.Attribute
        template: dict[Any, Any] = {
            a.CLASS: self._p11.ObjectClass.SECRET_KEY,
            a.KEY_TYPE: self._p11.KeyType.DES2,
            a.VALUE: key,
            a.TOKEN: label is not None,
            a.PRIVATE: True,
            a.SENSITIVE: True,
            a.EXTRACTABLE: False,
            a.ENCRYPT: True,
            a.DECRYPT: True,
        }
        if label is not None:
            template[a.LABEL] = label
        return self._try(lambda: self._session.create_object(template))

    def _des(self, key: Any, data: bytes, decrypt: bool = False) -> bytes:
        work = key.decrypt if decrypt else key.encrypt
        out: bytes = self._try(lambda: work(data, mechanism=self._p11.Mechanism.DES3_ECB))
        return out
