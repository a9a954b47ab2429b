"""Packages: installed once, without starting anything, and with no trace of a run that was killed meanwhile."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.packages import POLICY, POLICY_TEXT, InstallPackages
from wizard.platforms import debian

INSTALL = InstallPackages(debian.PLATFORM, ("fail2ban",))
CANDIDATE = "fail2ban:\n  Candidate: 1.0.2-2\n"


def machine() -> FakeHost:
    """A Debian on which apt-get works as long as no service would be started."""
    there: list[str] = []

    def install(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        assert host.text(POLICY), "a service would start"
        there.append(f"{argv[-1]} ii \n")
        return Completed(argv, 0)

    def repair(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        assert host.text(POLICY), "a service would start"
        return Completed(argv, 0)

    host = FakeHost(commands={("apt-cache",): CANDIDATE, ("dpkg",): repair, ("apt-get",): install})
    host.commands[("dpkg-query",)] = lambda _host, argv, _stdin: Completed(argv, 0, "".join(there))
    return host


def test_packages_are_installed_once_and_start_nothing() -> None:
    host = machine()
    assert INSTALL.diff(host) is not None
    INSTALL.apply(host)
    assert INSTALL.diff(host) is None
    assert POLICY not in host.files


@pytest.mark.parametrize("killed", ["before", "after"])
def test_what_a_killed_run_left_is_taken_away(killed: str) -> None:
    host = machine()
    if killed == "after":
        INSTALL.apply(host)
    host.put(POLICY, POLICY_TEXT, 0o755)
    assert INSTALL.diff(host) is not None
    INSTALL.apply(host)
    assert POLICY not in host.files, "no service would ever be restarted by an upgrade again"
    assert INSTALL.diff(host) is None


def test_what_dpkg_cannot_finish_for_want_of_it_apt_brings() -> None:
    host = machine()
    half = "dpkg: error processing package dovecot-sieve (--configure):\n dependency problems - leaving unconfigured\n"
    host.commands[("dpkg",)] = Completed((), 1, half)
    INSTALL.apply(host)
    assert host.ran[-2][-2:] == ("--fix-broken", "install")
    assert host.ran[-1][-1] == "fail2ban"
    assert INSTALL.diff(host) is None


def test_what_a_killed_run_left_of_other_packages_is_finished_too() -> None:
    host = machine()
    INSTALL.apply(host)
    host.put(POLICY, POLICY_TEXT, 0o755)
    host.ran.clear()
    INSTALL.apply(host)
    assert host.ran[0][:3] == ("dpkg", "--configure", "-a")


def test_another_package_manager_that_does_not_end_is_named() -> None:
    host = machine()
    host.commands[("dpkg",)] = Completed((), 2, "dpkg: error: dpkg frontend lock was locked by another process")
    with pytest.raises(OperationFailed) as failed:
        INSTALL.apply(host)
    assert "ps aux" in failed.value.do


def test_a_policy_of_the_operator_stays() -> None:
    host = machine()
    host.put(POLICY, "#!/bin/sh\nexit 101\n", 0o755)
    INSTALL.apply(host)
    assert host.text(POLICY) == "#!/bin/sh\nexit 101\n"
    assert INSTALL.diff(host) is None


# Killed for want of memory, it says nothing at all.
@pytest.mark.parametrize("words", ["E: no", ""])
def test_a_failed_installation_leaves_no_policy(words: str) -> None:
    host = machine()
    host.commands[("apt-get",)] = Completed((), 100, words)
    with pytest.raises(OperationFailed):
        INSTALL.apply(host)
    assert POLICY not in host.files
