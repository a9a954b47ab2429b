"""A private key handed to the account that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.host import HostError
from wizard.operation import Change, Operation, OperationFailed

if TYPE_CHECKING:
    from wizard.host import Host

FOLDER_MODE = 0o700
KEY_MODE = 0o600


@dataclass(frozen=True)
class GiveKey(Operation):
    """Have a key and its folder belong to one account and be readable by nobody else.

    The key is made before the DNS records are published, maybe before the program that signs is installed; then it
    belongs to root. OpenDKIM refuses a key that others can read (RequireSafeKeys). The change names no paths: a
    snapshot would put the private key into the state, and rollback leaves keys where they are.

    Attributes:
        path: the key's file; nothing is done as long as it is not there.
        user: the account, and the group of the same name.
    """

    path: str
    user: str

    @property
    def id(self) -> str:
        return f"key_owner:{self.path}"

    @property
    def summary(self) -> str:
        return f"let {self.user} alone read {self.path}"

    @property
    def _folder(self) -> str:
        return self.path.rpartition("/")[0]

    def diff(self, host: Host) -> Change | None:
        if host.stat(self.path) is None:
            return None
        lines = []
        for path, mode in ((self._folder, FOLDER_MODE), (self.path, KEY_MODE)):
            found = host.stat(path)
            now = f"{found.mode:04o} {found.owner}:{found.group}" if found else "not there"
            wanted = f"{mode:04o} {self.user}:{self.user}"
            lines += [] if now == wanted else [f"{path}: {now} → {wanted}\n"]
        if not lines:
            return None
        return Change(self.summary, diff="".join(lines), kept=f"the key {self.path}: a record in DNS belongs to it")

    def apply(self, host: Host) -> None:
        # The folder is not root's: a link in it could make any file of the machine readable.
        data = host.read(self.path, follow=False)
        if data is None:
            return
        try:
            host.make_directory(self._folder, mode=FOLDER_MODE, owner=self.user, group=self.user)
            host.write(self.path, data, mode=KEY_MODE, owner=self.user, group=self.user)
        except (HostError, OSError, KeyError) as error:
            raise OperationFailed(
                self.summary, str(error), f"Is the account {self.user} there? Mend that, then apply again."
            ) from error
