"""A key handed over: each case is applied once, and there is nothing left to do."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeFile, FakeHost
from wizard.operations.key_owner import GiveKey

PATH = "/etc/dkimkeys/brightmail.example/default.private"
FOLDER = "/etc/dkimkeys/brightmail.example"
GIVE = GiveKey(PATH, "opendkim")


def machine(*, mode: int, owner: str, folder_mode: int, folder_owner: str) -> FakeHost:
    host = FakeHost()
    host.put(PATH, "key\n", mode, owner, owner)
    host.files[FOLDER] = FakeFile(b"", folder_mode, folder_owner, folder_owner, "directory")
    return host


@pytest.mark.parametrize(
    ("mode", "owner", "folder_mode", "folder_owner"),
    [
        (0o600, "root", 0o700, "root"),
        (0o640, "opendkim", 0o700, "opendkim"),
        (0o600, "opendkim", 0o755, "opendkim"),
    ],
)
def test_given_once(mode: int, owner: str, folder_mode: int, folder_owner: str) -> None:
    host = machine(mode=mode, owner=owner, folder_mode=folder_mode, folder_owner=folder_owner)
    change = GIVE.diff(host)
    assert change is not None
    # A snapshot of these paths would put the private key into the state.
    assert change.paths == ()
    assert change.kept
    GIVE.apply(host)
    assert GIVE.diff(host) is None
    assert host.text(PATH) == "key\n"
    assert host.files[PATH].mode == 0o600
    assert host.files[FOLDER].owner == "opendkim"


def test_a_key_that_is_not_there_is_left_to_the_step_that_makes_it() -> None:
    host = FakeHost()
    assert GIVE.diff(host) is None
    GIVE.apply(host)
    assert PATH not in host.files


def test_nothing_to_do() -> None:
    host = machine(mode=0o600, owner="opendkim", folder_mode=0o700, folder_owner="opendkim")
    assert GIVE.diff(host) is None
