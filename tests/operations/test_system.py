"""Index, upgrade, host name and time zone."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.packages import repair_dpkg, transact
from wizard.operations.system import (
    DAY,
    INDEX_STAMP,
    RefreshIndex,
    SetHostname,
    SetTimezone,
    UpgradePackages,
    hosts_text,
    pending_upgrades,
)
from wizard.platforms import debian, redhat

SIMULATE = ("apt-get", "-s")
INST = "Inst libc6 [2.41-1] (2.41-2 Debian:13 [amd64])\nConf libc6 (2.41-2)\n"
NAME = "mail.brightmail.example"


def test_an_index_that_was_never_fetched_is_fetched_once() -> None:
    host = FakeHost(commands={("apt-get",): ""})
    operation = RefreshIndex(debian.PLATFORM)
    change = operation.diff(host)
    assert change is not None
    assert "never" in str(change.diff)
    operation.apply(host)
    host.put("/var/lib/apt/lists/mirror_Packages", "")
    assert INDEX_STAMP in host.files
    assert operation.diff(host) is None


def test_an_index_older_than_a_day_is_fetched_again() -> None:
    host = FakeHost(ticks=2 * DAY)
    host.put("/var/lib/apt/lists/mirror_Packages", "")
    assert RefreshIndex(debian.PLATFORM).diff(host) is not None


def test_an_index_from_a_time_to_come_is_not_believed() -> None:
    host = FakeHost(ticks=-700 * DAY)
    host.put("/var/lib/apt/lists/mirror_Packages", "")
    assert RefreshIndex(debian.PLATFORM).diff(host) is not None


def test_dnf_looks_after_its_own_index() -> None:
    assert RefreshIndex(redhat.PLATFORM).diff(FakeHost()) is None


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ("Err:1 http://mirror InRelease\nE: Failed to fetch http://mirror", "mirror"),
        ("E: Release file for http://mirror/InRelease is not valid yet (invalid for another 710d)", "timedatectl"),
        ("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)", "Wait for it to end"),
    ],
)
def test_an_index_that_cannot_be_fetched_says_why(said: str, do: str) -> None:
    host = FakeHost(commands={("apt-get",): Completed((), 100, said)})
    with pytest.raises(OperationFailed) as caught:
        RefreshIndex(debian.PLATFORM).apply(host)
    assert do in caught.value.do
    assert INDEX_STAMP not in host.files


def test_a_missing_translation_is_no_failure_but_a_dead_mirror_is_one_with_status_0() -> None:
    host = FakeHost(commands={("apt-get",): "Err:4 file:/srv/apt ./ Translation-en\n"})
    RefreshIndex(debian.PLATFORM).apply(host)
    host.commands[("apt-get",)] = "W: Failed to fetch http://mirror/InRelease  Could not connect\n"
    with pytest.raises(OperationFailed, match="Could not connect"):
        RefreshIndex(debian.PLATFORM).apply(host)


def test_a_lock_that_is_given_up_is_waited_for() -> None:
    host = FakeHost()

    def update(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0) if host.ticks > 10 else Completed(argv, 100, "E: Could not get lock")

    host.commands[("apt-get",)] = update
    RefreshIndex(debian.PLATFORM).apply(host)


LOCKED_DPKG = "dpkg: error: dpkg frontend lock was locked by /usr/bin/unattended-upgr process with pid 7\n"


def test_dpkg_too_waits_for_another_one_to_end() -> None:
    def dpkg(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0) if host.ticks > 10 else Completed(argv, 2, LOCKED_DPKG)

    repair_dpkg(FakeHost(commands={("dpkg",): dpkg}))
    with pytest.raises(OperationFailed) as caught:
        repair_dpkg(FakeHost(commands={("dpkg",): Completed((), 2, LOCKED_DPKG)}))
    assert "Another package manager" in caught.value.do


def test_what_dpkg_complains_of_is_told() -> None:
    said = (
        "Preparing to unpack sudo.deb ...\ndpkg: error processing archive sudo.deb (--unpack):\n"
        " cannot copy extracted data for './usr/bin/sudo': failed to write (No space left on device)\n"
        "Errors were encountered while processing:\n sudo.deb\nE: Sub-process /usr/bin/dpkg failed (1)\n"
    )
    host = FakeHost(commands={("apt-get",): Completed((), 100, said)})
    with pytest.raises(OperationFailed, match="failed to write") as caught:
        transact(host, ("apt-get", "install", "sudo"))
    assert "df -h" in caught.value.do


def test_pending_packages_are_upgraded() -> None:
    host = FakeHost(commands={("dpkg",): ""})
    waiting = [INST, ""]

    def upgrade(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        waiting.pop(0)
        return Completed(argv, 0)

    host.commands[SIMULATE] = lambda _host, argv, _stdin: Completed(argv, 0, waiting[0])
    host.commands[("apt-get", "-y")] = upgrade
    operation = UpgradePackages(debian.PLATFORM)
    change = operation.diff(host)
    assert change is not None
    assert change.diff == "+libc6\n"
    operation.apply(host)
    assert host.ran[-1][-1] == "upgrade"
    assert operation.diff(host) is None


@pytest.mark.parametrize(
    "broken",
    [
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.",
        "You might want to run 'apt --fix-broken install' to correct these. / E: Unmet dependencies.",
    ],
)
def test_unfinished_work_of_dpkg_is_finished_first(broken: str) -> None:
    host = FakeHost(commands={SIMULATE: Completed((), 100, "", broken), ("dpkg",): "", ("apt-get", "-y"): ""})
    operation = UpgradePackages(debian.PLATFORM)
    assert operation.diff(host) is not None
    operation.apply(host)
    assert host.ran[0][:3] == ("dpkg", "--configure", "-a")


def test_a_package_manager_that_cannot_plan_is_reported() -> None:
    host = FakeHost(commands={SIMULATE: Completed((), 100, "", "E: Unmet dependencies")})
    with pytest.raises(OperationFailed, match="Unmet"):
        UpgradePackages(debian.PLATFORM).diff(host)


def test_an_upgrade_behind_a_lock_says_so() -> None:
    host = FakeHost(
        commands={("dpkg",): "", ("apt-get",): Completed((), 100, "E: Could not get lock /var/lib/dpkg/lock")}
    )
    with pytest.raises(OperationFailed) as caught:
        UpgradePackages(debian.PLATFORM).apply(host)
    assert "Another package manager" in caught.value.do


def test_dnf_lists_updates_with_status_100() -> None:
    listed = "\nopenssl.x86_64    1:3.2.2-6.el9    baseos\n"
    host = FakeHost(commands={("dnf",): Completed((), 100, listed)})
    assert pending_upgrades(host, redhat.PLATFORM) == ("openssl.x86_64",)
    assert pending_upgrades(FakeHost(commands={("dnf",): Completed((), 1)}), redhat.PLATFORM) is None


def named() -> FakeHost:
    host = FakeHost()
    host.put("/etc/hostname", "vps\n")
    host.put("/proc/sys/kernel/hostname", "vps\n")

    def set_hostname(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        host.put("/etc/hostname", f"{argv[-1]}\n")
        host.put("/proc/sys/kernel/hostname", f"{argv[-1]}\n")
        return Completed(argv, 0)

    host.commands[("hostnamectl",)] = set_hostname
    return host


def test_the_name_is_set_now_and_for_good() -> None:
    host = named()
    operation = SetHostname(NAME)
    change = operation.diff(host)
    assert change is not None
    assert (change.paths, change.undo) == (("/etc/hostname",), (("hostname", "vps"),))
    operation.apply(host)
    assert operation.diff(host) is None


def test_without_hostnamed_file_and_kernel_get_the_name() -> None:
    host = named()
    del host.commands[("hostnamectl",)]

    def kernel(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        host.put("/proc/sys/kernel/hostname", argv[-1])
        return Completed(argv, 0)

    host.commands[("hostname",)] = kernel
    SetHostname(NAME).apply(host)
    assert SetHostname(NAME).diff(host) is None


def test_a_name_that_the_provider_holds_is_reported() -> None:
    host = named()
    host.commands = {("hostnamectl",): Completed((), 1, "Access denied"), ("hostname",): Completed((), 1)}
    with pytest.raises(OperationFailed, match="Access denied"):
        SetHostname(NAME).apply(host)


OURS = f"192.0.2.10\t{NAME} mail\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", OURS, id="empty"),
        pytest.param("127.0.0.1 localhost\n", f"127.0.0.1 localhost\n{OURS}", id="behind the others"),
        pytest.param(f"127.0.1.1 {NAME} mail\n", OURS, id="Debian's own line goes"),
        pytest.param(f"127.0.1.1 vps {NAME} # me\n", f"127.0.1.1\tvps # me\n{OURS}", id="other names stay"),
        pytest.param("192.0.2.10 old.example old\n", f"{OURS}192.0.2.10 old.example old\n", id="ours comes first"),
        pytest.param("# a comment\n\n", f"# a comment\n\n{OURS}", id="comments stay"),
        pytest.param(f"192.0.2.10   {NAME}   mail\n", f"192.0.2.10   {NAME}   mail\n", id="spaces do not matter"),
    ],
)
def test_hosts(before: str, after: str) -> None:
    assert hosts_text(before, ("192.0.2.10",), NAME) == after
    assert hosts_text(after, ("192.0.2.10",), NAME) == after


def test_a_host_called_localhost_does_not_empty_the_loopback_line() -> None:
    assert hosts_text("127.0.0.1 localhost\n", (), "localhost.example") == "127.0.0.1 localhost\n"


def zoned(target: str) -> FakeHost:
    host = FakeHost()
    host.put("/usr/share/zoneinfo/Europe/Vienna", "")
    host.symlink("/etc/localtime", target)
    return host


@pytest.mark.parametrize("target", ["/usr/share/zoneinfo/Europe/Vienna", "../usr/share/zoneinfo/Europe/Vienna"])
def test_the_zone_is_read_from_the_link(target: str) -> None:
    assert SetTimezone("Europe/Vienna").diff(zoned(target)) is None


def test_the_zone_is_set_also_in_debians_second_place() -> None:
    host = zoned("/usr/share/zoneinfo/Etc/UTC")
    host.put("/etc/timezone", "Etc/UTC\n")
    operation = SetTimezone("Europe/Vienna")
    assert operation.diff(host) is not None
    operation.apply(host)
    assert host.text("/etc/timezone") == "Europe/Vienna\n"
    assert operation.diff(host) is None


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OperationFailed, match="no such zone"):
        SetTimezone("Europe/Atlantis").diff(zoned("/usr/share/zoneinfo/Etc/UTC"))


def test_no_link_means_utc() -> None:
    assert SetTimezone("Etc/UTC").diff(FakeHost()) is None
