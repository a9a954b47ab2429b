"""The way back: bytes, modes and folders as they were, and nobody else's work lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from state.store import Done
from tests.unit.test_engine import World
from wizard.fact import Context
from wizard.host import Completed, Host
from wizard.operation import Change, Operation
from wizard.operations.files import MakeDirectory, WriteFile
from wizard.rollback import KEEP, ORIGINAL, Conflict, Taken, foresee, roll_back, steps_back
from wizard.step import Step


def step(step_id: str, operations: Sequence[Operation]) -> Step:
    return Step(id=step_id, title=step_id, group="g", why="", plan=lambda _: operations, checks=lambda _: [])


def take_back(world: World, step_id: str) -> Taken:
    return roll_back(world.store, world.host, step_id, world.events.append)


@dataclass(frozen=True)
class SetLine(Operation):
    """A daemon's own editor in small: puts `name = value` into a shared file."""

    name: str
    value: str
    path: str = "/etc/main.cf"

    @property
    def id(self) -> str:
        return f"set:{self.name}"

    @property
    def summary(self) -> str:
        return self.id

    def diff(self, host: Host) -> Change | None:
        lines = (host.read(self.path) or b"").decode().splitlines()
        if f"{self.name}={self.value}" in lines:
            return None
        return Change(self.summary, paths=(self.path,), undo_edit=(("unset", self.name),), undo=(("told", self.name),))

    def apply(self, host: Host) -> None:
        host.write(self.path, (host.read(self.path) or b"") + f"{self.name}={self.value}\n".encode())


@pytest.fixture
def world(tmp_path: Path) -> World:
    files = [
        MakeDirectory("/srv/new", mode=0o700),
        WriteFile("/srv/new/deep/file", "new"),
        WriteFile("/etc/old", "new", mode=0o600),
    ]
    made = World(
        tmp_path, (step("file", files), step("first", [SetLine("a", "1")]), step("second", [SetLine("b", "2")]))
    )
    made.host.put("/etc/old", "old", mode=0o640, group="adm")
    made.host.put("/etc/main.cf", "# shipped\n")
    made.host.commands[("told",)] = ""

    def unset(host: Host, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        lines = (host.read("/etc/main.cf") or b"").decode().splitlines(keepends=True)
        host.write("/etc/main.cf", "".join(line for line in lines if not line.startswith(f"{argv[1]}=")).encode())
        return Completed(argv, 0)

    made.host.commands[("unset",)] = unset
    return made


def test_a_written_file_gets_its_bytes_mode_and_owner_back_and_a_created_one_goes(world: World) -> None:
    world.apply("file")
    taken = take_back(world, "file")
    old = world.host.files["/etc/old"]
    assert (old.data, old.mode, old.group) == (b"old", 0o640, "adm")
    assert "/srv/new/deep/file" not in world.host.files
    assert world.host.stat("/srv/new") is None
    assert (taken.conflicts, taken.undone) == ([], 3)
    assert world.status("file") == "ready"


def test_the_first_original_comes_back_after_several_runs(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "new", mode=0o644)
    world.apply("file")
    world.host.files["/etc/old"].mode = 0o600
    taken = take_back(world, "file")
    # The mode was changed by hand in between, so the chain is broken there and the file is kept and reported.
    assert any("/etc/old" in line for line in taken.conflicts)


def test_a_file_that_was_edited_by_hand_since_is_kept_and_reported(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "mine now")
    taken = take_back(world, "file")
    assert world.host.text("/etc/old") == "mine now"
    assert len(taken.conflicts) == 1
    assert [change.state for change in world.store.changes("file")] == ["done"]


def test_a_shared_file_loses_only_what_the_step_put_in(world: World) -> None:
    world.apply("first", "second")
    take_back(world, "first")
    assert world.host.text("/etc/main.cf") == "# shipped\nb=2\n"
    assert ("told", "a") in world.host.ran


def test_in_reverse_order_a_shared_file_is_byte_for_byte_what_it_was(world: World) -> None:
    world.apply("first", "second")
    take_back(world, "second")
    take_back(world, "first")
    assert world.host.text("/etc/main.cf") == "# shipped\n"
    assert not [argv for argv in world.host.ran if argv[0] == "unset"]


def test_a_second_rollback_finds_nothing(world: World) -> None:
    world.apply("file")
    take_back(world, "file")
    assert take_back(world, "file") == Taken()


@dataclass(frozen=True)
class AddAccount(Operation):
    """useradd in small: one line in each of two files."""

    @property
    def id(self) -> str:
        return "account"

    @property
    def summary(self) -> str:
        return self.id

    def diff(self, host: Host) -> Change | None:
        return Change(self.id, paths=("/etc/passwd", "/etc/shadow"), undo_edit=(("userdel", "you"),))

    def apply(self, host: Host) -> None:
        for path in ("/etc/passwd", "/etc/shadow"):
            host.write(path, (host.read(path) or b"") + b"you:\n")


def test_files_that_one_command_edits_go_back_together_or_not_at_all(tmp_path: Path) -> None:
    world = World(tmp_path, (step("users", [AddAccount()]),))
    world.host.put("/etc/passwd", "root:\n")
    world.host.put("/etc/shadow", "root:\n")

    def userdel(host: Host, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if b"you:" not in (host.read("/etc/passwd") or b""):
            return Completed(argv, 6, "userdel: user 'you' does not exist")
        for path in ("/etc/passwd", "/etc/shadow"):
            host.write(path, (host.read(path) or b"").replace(b"you:\n", b""))
        return Completed(argv, 0)

    world.host.commands[("userdel",)] = userdel
    world.apply("users")
    world.host.put("/etc/shadow", "root:changed\nyou:\n")
    taken = take_back(world, "users")
    assert taken.conflicts == []
    assert (world.host.text("/etc/passwd"), world.host.text("/etc/shadow")) == ("root:\n", "root:changed\n")


def test_a_step_has_its_say_before_services_read_the_old_files(world: World) -> None:
    world.apply("file")
    word = SetLine("port", "22")
    roll_back(world.store, world.host, "file", world.events.append, lambda: [word])
    assert "port=22" in world.host.text("/etc/main.cf")


def foreseen(world: World, *steps: str) -> list[Conflict]:
    return foresee(world.store, world.host, *steps)


def test_a_conflict_is_foreseen_with_all_three_versions(world: World) -> None:
    world.host.put("/etc/old", "old")
    world.apply("file")
    assert foreseen(world, "file") == []
    world.host.put("/etc/old", "mine now\n")
    [conflict] = foreseen(world, "file")
    assert (conflict.ours, conflict.now.content, conflict.original.content) == (b"new", b"mine now\n", b"old")
    assert "-new" in conflict.since
    assert "+mine now" in conflict.since
    assert "+old" in conflict.back


def test_what_can_be_edited_back_is_no_conflict(world: World) -> None:
    world.apply("first", "second")
    world.host.put("/etc/main.cf", world.host.text("/etc/main.cf") + "mine=1\n")
    assert foreseen(world, "second", "first") == []


def test_an_edit_between_two_of_our_writes_is_foreseen_too(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "mine in between", mode=0o600)
    world.apply("file")
    [conflict] = foreseen(world, "file")
    assert (conflict.ours, conflict.original.content) == (b"new", b"old")


def test_what_not_everybody_may_read_is_not_shown(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "a password", mode=0o600)
    [conflict] = foreseen(world, "file")
    assert "a password" not in conflict.since + conflict.back


def test_the_operators_word_on_a_conflict_counts(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "mine now")
    [conflict] = foreseen(world, "file")
    kept = roll_back(
        world.store, world.host, "file", world.events.append, decided={conflict.path: conflict.decide(KEEP)}
    )
    assert (kept.conflicts, kept.kept) == ([], ["/etc/old stays as you have it"])
    assert world.host.text("/etc/old") == "mine now"
    # The way back stays open: a later word may be another.
    back = roll_back(
        world.store, world.host, "file", world.events.append, decided={conflict.path: conflict.decide(ORIGINAL)}
    )
    assert (back.conflicts, world.host.text("/etc/old")) == ([], "old")
    assert world.store.changes("file") == []


def test_a_word_on_other_bytes_does_not_count(world: World) -> None:
    world.apply("file")
    world.host.put("/etc/old", "mine now")
    [conflict] = foreseen(world, "file")
    world.host.put("/etc/old", "and now this")
    taken = roll_back(
        world.store, world.host, "file", world.events.append, decided={conflict.path: conflict.decide(ORIGINAL)}
    )
    assert len(taken.conflicts) == 1
    assert world.host.text("/etc/old") == "and now this"


def test_a_file_of_two_steps_is_no_conflict_when_both_are_taken_back(tmp_path: Path) -> None:
    one, two = step("one", [WriteFile("/etc/x", "one")]), step("two", [WriteFile("/etc/x", "two")])
    world = World(tmp_path, (one, two))
    world.host.put("/etc/x", "shipped")
    world.apply("one")
    world.apply("two")
    assert [conflict.path for conflict in foreseen(world, "one")] == ["/etc/x"]
    assert foreseen(world, "two", "one") == []


def test_an_image_that_is_damaged_is_not_put_back(world: World) -> None:
    world.apply("file")
    world.store._connection.execute("UPDATE snapshots SET content = x'00' WHERE path = '/etc/old'")
    taken = take_back(world, "file")
    assert any("damaged" in word for word in taken.conflicts)
    assert world.host.text("/etc/old") == "new"


def test_steps_go_back_last_first_and_unknown_ones_at_the_end() -> None:
    assert steps_back(["a", "b", "c"], ["gone", "a", "c"]) == ["c", "a", "gone"]


def test_a_command_that_a_killed_rollback_has_run_is_not_missed(tmp_path: Path) -> None:
    world = World(tmp_path, (step("users", [AddAccount()]),))
    world.host.put("/etc/passwd", "root:\n")
    world.host.put("/etc/shadow", "root:\n")
    world.apply("users")
    world.host.put("/etc/shadow", "root:changed\nyou:\n")

    class Killed(BaseException):
        pass

    def userdel(host: Host, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if b"you:" not in (host.read("/etc/passwd") or b""):
            return Completed(argv, 6, "userdel: user 'you' does not exist")
        for path in ("/etc/passwd", "/etc/shadow"):
            host.write(path, (host.read(path) or b"").replace(b"you:\n", b""))
        raise Killed

    world.host.commands[("userdel",)] = userdel
    with pytest.raises(Killed):
        take_back(world, "users")
    assert take_back(world, "users").conflicts == []
    assert world.store.changes("users") == []


def test_an_edit_after_a_run_that_was_killed_is_not_taken_for_its_own(world: World) -> None:
    world.apply("file")
    # As if it had been killed when the file was written, and before that was noted.
    last = world.store.changes("file")[0]
    world.store._connection.execute("UPDATE changes SET state = 'intended' WHERE id = ?", (last.id,))
    world.store._connection.execute("UPDATE snapshots SET after_print = NULL WHERE change = ?", (last.id,))
    world.host.put("/etc/old", "mine, after it was killed")
    for _ in range(2):
        assert [word for word in take_back(world, "file").conflicts if "/etc/old" in word]
        assert world.host.text("/etc/old") == "mine, after it was killed"


def test_a_step_may_refuse_while_another_stands_and_not_when_both_go(tmp_path: Path) -> None:
    def refuse(_: Context, standing: Sequence[Done]) -> str:
        return "first b" if {change.step for change in standing} >= {"a", "b"} else ""

    a = replace(step("a", [WriteFile("/etc/a", "new")]), refuse_rollback=refuse)
    b = step("b", [WriteFile("/etc/b", "new")])
    world = World(tmp_path, (a, b))
    world.apply()
    assert world.engine.refuses_rollback(["a"]) == "first b"
    assert world.engine.refuses_rollback(["b"]) == ""
    assert world.engine.refuses_rollback(["b", "a"]) == ""
    take_back(world, "b")
    assert world.engine.refuses_rollback(["a"]) == ""
