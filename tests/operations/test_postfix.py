"""Postfix's files: each case is applied once, and there is nothing left to do; and the way back is the way back."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost
from tests.fake_postfix import STOCK_MAIN, STOCK_MASTER, install
from wizard.hooks import HOOKS
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.postfix import (
    CANDIDATE,
    MAIN,
    MASTER,
    RunPostfix,
    SetPostfixParameters,
    SetPostfixService,
    main_parameters,
    parse_service,
    services,
    submissions_name,
)

ENTRY = "465 inet n - y - - smtpd"


def settled(host: FakeHost, operation: SetPostfixParameters | SetPostfixService) -> None:
    """Apply; then there must be nothing left, and the undo must leave what was there before."""
    before = main_parameters(host), services(host)
    change = operation.diff(host)
    assert change is not None
    operation.apply(host)
    assert operation.diff(host) is None
    after = {path: host.text(path) for path in (MAIN, MASTER)}
    for command in change.undo_edit:
        host.run(command)
    assert (main_parameters(host), services(host)) == before
    for path, text in after.items():
        host.put(path, text)
    assert not [path for path in host.files if path.startswith(CANDIDATE)]


@pytest.mark.parametrize(
    "operation",
    [
        SetPostfixParameters((("mydomain", "brightmail.example"),)),
        SetPostfixParameters((("myhostname", "mail.brightmail.example"), ("relayhost", ""))),
        SetPostfixParameters((("mydestination", "$mydomain,   localhost"),)),
        SetPostfixParameters((), remove=("smtp_tls_CApath", "smtpd_use_tls")),
        SetPostfixParameters((("smtpd_milters", "$relay_wizard_dkim_milter"),), define=HOOKS),
        SetPostfixService(ENTRY),
        SetPostfixService(ENTRY, (("syslog_name", "postfix/submissions"), ("smtpd_client_restrictions", ""))),
        SetPostfixService("smtp inet n - n - - smtpd", (("smtpd_sasl_auth_enable", "no"),)),
        SetPostfixService("policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf"),
    ],
)
def test_applied_once_and_taken_back(operation: SetPostfixParameters | SetPostfixService) -> None:
    settled(install(FakeHost()), operation)


def test_all_parameters_go_by_one_command_and_the_rest_stays() -> None:
    host = install(FakeHost())
    operation = SetPostfixParameters((("mydomain", "a.example"), ("biff", "no")), notify=("postfix",))
    change = operation.diff(host)
    assert change is not None
    assert change.command == ("postconf", "-e", "mydomain = a.example", "biff = no")
    assert change.paths == (MAIN,)
    assert change.notify == ("postfix",)
    operation.apply(host)
    assert host.text(MAIN).startswith(STOCK_MAIN)


def test_hooks_are_defined_and_never_reset() -> None:
    host = install(FakeHost())
    define = SetPostfixParameters((), define=HOOKS)
    define.apply(host)
    SetPostfixParameters((("relay_wizard_spf", "check_policy_service unix:private/policyd-spf"),)).apply(host)
    assert define.diff(host) is None
    assert main_parameters(host)["relay_wizard_spf"].startswith("check_policy_service")


def test_on_a_machine_without_postfix_all_is_shown() -> None:
    change = SetPostfixParameters((("mydomain", "a.example"),)).diff(FakeHost())
    assert change is not None
    assert "+mydomain = a.example" in (change.diff or "")
    assert SetPostfixService(ENTRY).diff(FakeHost()) is not None


def test_what_postconf_complains_about_never_reaches_the_real_file() -> None:
    host = install(FakeHost())
    with pytest.raises(OperationFailed, match="undefined parameter: relay_wizard_spf"):
        SetPostfixParameters((("smtpd_recipient_restrictions", "$relay_wizard_spf"),)).apply(host)
    assert host.text(MAIN) == STOCK_MAIN
    assert host.text(MASTER) == STOCK_MASTER


def test_a_second_line_of_the_same_name_is_not_taken_for_success() -> None:
    host = install(FakeHost())

    def deaf(fake: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0)

    host.commands[("postconf",)] = deaf
    with pytest.raises(OperationFailed, match="does not show it"):
        SetPostfixParameters((("mydomain", "a.example"),)).apply(host)


def test_the_operators_own_options_of_a_service_stay() -> None:
    host = install(FakeHost())
    host.put(MASTER, f"{STOCK_MASTER}465 inet n - n - - smtpd\n  -o smtpd_tls_loglevel=2 -o {{ x = a b }}\n")
    SetPostfixService(ENTRY, (("syslog_name", "postfix/submissions"),)).apply(host)
    found = services(host)["465/inet"]
    assert found.fields[4] == "y"
    assert dict(found.options) == {"smtpd_tls_loglevel": "2", "x": "a b", "syslog_name": "postfix/submissions"}


@pytest.mark.parametrize(
    ("line", "options", "arguments"),
    [
        (f"{ENTRY} -o a=b -oc=d", (("a", "b"), ("c", "d")), ()),
        (f"{ENTRY} -o {{ a = b c }} -v", (("a", "b c"),), ("-v",)),
        ("x unix - n n - 0 spawn user=u argv=/bin/x -f", (), ("user=u", "argv=/bin/x", "-f")),
    ],
)
def test_entries_are_read_as_master_says(
    line: str, options: tuple[tuple[str, str], ...], arguments: tuple[str, ...]
) -> None:
    service = parse_service(line)
    assert service.options == options
    assert service.arguments == arguments
    assert parse_service(service.line) == service


def test_continued_lines_are_one_value() -> None:
    host = install(FakeHost())
    assert main_parameters(host)["mydestination"] == "$myhostname, vps, localhost"
    assert main_parameters(FakeHost()) == {}


@pytest.mark.parametrize("name", ["465", "submissions", "smtps"])
def test_port_465_keeps_the_name_that_it_has(name: str) -> None:
    host = install(FakeHost())
    if name != "465":
        host.put(MASTER, f"{STOCK_MASTER}{name} inet n - n - - smtpd\n")
    assert submissions_name(host) == name


def test_postfix_itself_says_whether_it_runs() -> None:
    host = install(FakeHost())
    host.commands["systemctl", "is-enabled"] = "enabled"

    def restart(fake: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        fake.commands["postfix", "status"] = ""
        return Completed(argv, 0)

    host.commands["systemctl", "enable"] = ""
    host.commands["systemctl", "restart"] = restart
    operation = RunPostfix("postfix")
    change = operation.diff(host)
    assert change is not None
    assert change.undo == (("systemctl", "stop", "postfix.service"),)
    operation.apply(host)
    assert operation.diff(host) is None


def test_postfix_that_does_not_come_up_is_reported_with_its_journal() -> None:
    host = install(FakeHost())
    host.commands[("systemctl",)] = ""
    host.commands[("journalctl",)] = "fatal: bad boolean configuration\n"
    with pytest.raises(OperationFailed, match="bad boolean"):
        RunPostfix("postfix").apply(host)
