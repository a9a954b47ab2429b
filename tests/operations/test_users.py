"""Accounts, groups, passwords and keys: each case is applied once, and there is nothing left to do."""

from __future__ import annotations

import pytest

from state.store import Done
from tests.fake_host import FakeHost
from tests.fake_sshd import KEY
from wizard.answers import Answers
from wizard.fact import Context, Facts
from wizard.host import Completed
from wizard.operation import Operation, OperationFailed
from wizard.operations.users import (
    MAIL_GROUP,
    NO_SHELL,
    AddToGroup,
    AuthorizeKeys,
    CreateGroup,
    CreateUser,
    SetPassword,
    authorized_keys,
    members,
    usable,
)
from wizard.secret import Secret
from wizard.steps import users


def machine() -> FakeHost:
    """A machine whose account tools edit its files as the real ones do."""
    host = FakeHost()
    host.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n")
    host.put("/etc/group", "root:x:0:\nsudo:x:27:\n")
    host.put("/etc/shadow", "root:*:20780:0:99999:7:::\n", 0o640, group="shadow")

    def append(path: str, line: str) -> None:
        host.put(path, host.text(path) + line)

    def useradd(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        name, shell = argv[-1], argv[argv.index("--shell") + 1]
        home = f"/home/{name}" if "--create-home" in argv else "/nonexistent"
        append("/etc/passwd", f"{name}:x:1000:1000::{home}:{shell}\n")
        append("/etc/group", f"{name}:x:1000:\n")
        append("/etc/shadow", f"{name}:!:20780:0:99999:7:::\n")
        return Completed(argv, 0)

    def usermod(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        lines = host.text("/etc/passwd").splitlines()
        changed = [f"{line.rpartition(':')[0]}:{argv[2]}" if line.startswith(f"{argv[3]}:") else line for line in lines]
        host.put("/etc/passwd", "\n".join(changed) + "\n")
        return Completed(argv, 0)

    def groupadd(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        append("/etc/group", f"{argv[-1]}:x:999:\n")
        return Completed(argv, 0)

    def gpasswd(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        lines = host.text("/etc/group").splitlines()
        host.put("/etc/group", "".join(f"{line}{argv[2] if line.startswith(argv[3]) else ''}\n" for line in lines))
        return Completed(argv, 0)

    def chpasswd(_: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed:
        name, _colon, word = stdin.decode().strip().partition(":")
        lines = [line.split(":") for line in host.text("/etc/shadow").splitlines()]
        host.put(
            "/etc/shadow",
            "".join(":".join([f[0], f"$fake${word}" if f[0] == name else f[1], *f[2:]]) + "\n" for f in lines),
        )
        return Completed(argv, 0)

    host.commands |= {
        ("useradd",): useradd, ("usermod",): usermod, ("groupadd",): groupadd, ("gpasswd",): gpasswd,
        ("chpasswd",): chpasswd, ("chown",): "",
    }  # fmt: skip
    return host


def with_you(host: FakeHost, shell: str = NO_SHELL) -> None:
    host.put("/etc/passwd", host.text("/etc/passwd") + f"you:x:1000:1000::/home/you:{shell}\n")
    host.put("/etc/group", host.text("/etc/group") + f"you:x:1000:\n{MAIL_GROUP}:x:999:\n")
    host.put("/etc/shadow", host.text("/etc/shadow") + "you:!:20780:0:99999:7:::\n")


CASES = [
    pytest.param(
        CreateUser("you"),
        [("useradd", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", NO_SHELL, "you")],
        id="a login that only sends mail",
    ),
    pytest.param(
        CreateUser("boss", login_shell="/bin/bash", home=True, comment="administrator"),
        [("useradd", "--user-group", "--create-home", "--shell", "/bin/bash", "--comment", "administrator", "boss")],
        id="an administrator",
    ),
    pytest.param(CreateGroup(MAIL_GROUP), [("groupadd", "--system", MAIL_GROUP)], id="a group"),
]


@pytest.mark.parametrize(("operation", "commands"), CASES)
def test_applied_once_and_nothing_is_left(operation: Operation, commands: list[tuple[str, ...]]) -> None:
    host = machine()
    change = operation.diff(host)
    assert change is not None
    assert change.command == commands[0]
    assert change.undo_edit
    operation.apply(host)
    assert host.ran == commands
    assert operation.diff(host) is None


def test_a_member_is_added_beside_the_others() -> None:
    host = machine()
    with_you(host)
    operation = AddToGroup("you", MAIL_GROUP)
    change = operation.diff(host)
    assert change is not None
    assert change.undo_edit == (("gpasswd", "-d", "you", MAIL_GROUP),)
    operation.apply(host)
    assert members(host, MAIL_GROUP) == ("you",)
    assert operation.diff(host) is None


def test_a_primary_group_counts_as_membership() -> None:
    host = machine()
    with_you(host)
    assert AddToGroup("you", "you").diff(host) is None


def test_the_password_goes_by_standard_input_and_shows_nowhere() -> None:
    host = machine()
    with_you(host)
    operation = SetPassword("you", Secret("correct horse battery"))
    change = operation.diff(host)
    assert change is not None
    assert change.by_line
    assert "horse" not in repr(change) + repr(operation)
    operation.apply(host)
    assert host.ran == [("chpasswd",)]
    assert host.inputs == [b"you:correct horse battery\n"]
    assert operation.diff(host) is None


def test_another_password_is_a_change() -> None:
    host = machine()
    with_you(host)
    SetPassword("you", Secret("one")).apply(host)
    assert SetPassword("you", Secret("two")).diff(host) is not None


@pytest.mark.parametrize("word", ["", "a\nroot:b", "tab\there"])
def test_a_password_that_could_end_the_line_is_refused(word: str) -> None:
    host = machine()
    with_you(host)
    with pytest.raises(OperationFailed):
        SetPassword("you", Secret(word)).apply(host)
    assert host.ran == []


def test_a_refused_password_says_so() -> None:
    host = machine()
    with_you(host)
    host.commands[("chpasswd",)] = Completed((), 1, "BAD PASSWORD: it is too short")
    with pytest.raises(OperationFailed, match="too short"):
        SetPassword("you", Secret("abc")).apply(host)


def test_keys_are_added_behind_those_that_are_there() -> None:
    host = machine()
    with_you(host, "/bin/bash")
    path = "/home/you/.ssh/authorized_keys"
    host.put(path, '# mine\nfrom="203.0.113.0/24" ssh-rsa AAAA old', 0o644, "you", "you")
    operation = AuthorizeKeys("you", (f"{KEY} boss@laptop", "ssh-rsa AAAA the same as mine"))
    change = operation.diff(host)
    assert change is not None
    assert change.paths == (path,)
    operation.apply(host)
    assert host.text(path) == f'# mine\nfrom="203.0.113.0/24" ssh-rsa AAAA old\n{KEY} boss@laptop\n'
    assert (host.files[path].mode, host.files[path].owner) == (0o600, "you")
    assert operation.diff(host) is None
    assert authorized_keys(host, "you") == ("ssh-rsa AAAA", KEY)


def test_a_key_file_that_others_can_write_is_mended() -> None:
    host = machine()
    with_you(host, "/bin/bash")
    host.put("/home/you/.ssh/authorized_keys", f"{KEY}\n", 0o666, "you", "you")
    operation = AuthorizeKeys("you", (KEY,))
    assert operation.diff(host) is not None
    operation.apply(host)
    assert operation.diff(host) is None


def test_a_symlink_in_place_of_the_key_file_is_left_alone() -> None:
    host = machine()
    with_you(host, "/bin/bash")
    host.symlink("/home/you/.ssh/authorized_keys", "/etc/shadow")
    with pytest.raises(OperationFailed, match="symlink"):
        AuthorizeKeys("you", (KEY,)).diff(host)


def test_an_account_of_the_system_is_not_taken_over() -> None:
    with pytest.raises(OperationFailed, match="belongs to the system"):
        CreateUser("www-data").diff(machine())


def test_a_shell_is_taken_from_a_mail_login_but_not_from_somebody_who_logs_in() -> None:
    host = machine()
    with_you(host, "/bin/bash")
    change = CreateUser("you").diff(host)
    assert change is not None
    assert change.undo_edit == (("usermod", "--shell", "/bin/bash", "you"),)
    CreateUser("you").apply(host)
    assert CreateUser("you").diff(host) is None
    CreateUser("you", login_shell="/bin/bash", home=True).apply(host)
    host.put("/home/you/.ssh/authorized_keys", f"{KEY}\n")
    with pytest.raises(OperationFailed, match="SSH key"):
        CreateUser("you").diff(host)


def test_an_administrators_own_choice_of_shell_stays() -> None:
    host = machine()
    with_you(host, "/usr/bin/zsh")
    assert CreateUser("you", login_shell="/bin/bash", home=True).diff(host) is None


def test_a_folder_left_by_an_earlier_account_gets_its_new_owner() -> None:
    host = machine()
    host.make_directory("/home/boss", owner="1007", group="1007")
    CreateUser("boss", login_shell="/bin/bash", home=True).apply(host)
    assert ("chown", "-R", "boss:boss", "/home/boss") in host.ran


@pytest.mark.parametrize(
    ("hashed", "wanted"),
    [("$y$j9T$x", True), ("!$y$j9T$x", False), ("*", False), ("!", False), ("", False), ("abcdefghijklm", True)],
)
def test_usable(hashed: str, *, wanted: bool) -> None:
    assert usable(hashed) is wanted


def changes(*made: str) -> list[Done]:
    """Changes that stand, each as STEP OPERATION."""
    return [Done(0, 0, entry.split()[0], entry.split()[1], "t", "done", {}, ()) for entry in made]


BOSS = ("users user:boss", "users keys:boss")


@pytest.mark.parametrize(
    ("standing", "root_key", "refused"),
    [
        ((*BOSS, "ssh file:/etc/ssh/x"), False, True),
        (("users keys:boss", "ssh file:/etc/ssh/x"), False, True),
        # Root has a key, SSH is taken back as well, and nobody's account was touched.
        ((*BOSS, "ssh file:/etc/ssh/x"), True, False),
        (BOSS, False, False),
        (("users user:anna", "ssh file:/etc/ssh/x"), False, False),
        (("ssh file:/etc/ssh/x",), False, False),
    ],
)
def test_the_last_way_in_is_not_taken_back_while_ssh_stays(
    standing: tuple[str, ...],
    *,
    root_key: bool,
    refused: bool,
) -> None:
    host = FakeHost()
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\nboss:x:1000:1000::/home/boss:/bin/bash\n")
    host.put("/etc/group", "sudo:x:27:boss\n")
    host.put("/home/boss/.ssh/authorized_keys", KEY, owner="boss")
    if root_key:
        host.put("/root/.ssh/authorized_keys", KEY)
    words = users.STEP.refuse_rollback(Context(host, Answers(), Facts(host)), changes(*standing))
    assert ("relay-wizard rollback ssh" in words) is refused
