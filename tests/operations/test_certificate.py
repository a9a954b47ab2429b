"""The certificate: got, renewed when due, and left alone otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.certificates import FOLDER, SERVER, Authority, install
from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.certificate import (
    POST,
    PRE,
    ObtainCertificate,
    RemoveUnit,
    WriteUnit,
    advice,
    complaint,
)

NAMES = ("mail.brightmail.example", "brightmail.example")
ROOT = Authority()
WANTED = ObtainCertificate(NAMES, "you@brightmail.example", SERVER, "/root/ca.pem")
UNIT = "/etc/systemd/system/certbot.service.d/relay-wizard.conf"


def certbot(host: FakeHost, *, method: str = "standalone", names: tuple[str, ...] = NAMES) -> None:
    """A certbot that issues what it is asked for, and hooks that can be run."""

    def issue(found: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        install(found, *ROOT.issue(*names), method=method)
        return Completed(argv, 0)

    host.commands |= {("env",): issue, ("certbot",): issue, (PRE,): "", (POST,): ""}


def test_the_first_certificate() -> None:
    host = FakeHost()
    certbot(host)
    change = WANTED.diff(host)
    assert change is not None
    assert change.command == (
        "env", "REQUESTS_CA_BUNDLE=/root/ca.pem", "certbot", "certonly", "--non-interactive", "--agree-tos",
        "--no-eff-email", "-m", "you@brightmail.example", "--server", SERVER, "--standalone", "--cert-name", NAMES[0],
        "-d", NAMES[0], "-d", NAMES[1],
    )  # fmt: skip
    assert change.kept
    WANTED.apply(host)
    assert [argv[0] for argv in host.ran] == [PRE, "env", POST]
    assert WANTED.diff(host) is None


def test_who_serves_it_already_is_told_even_when_this_run_is_killed() -> None:
    host = FakeHost()
    install(host, *ROOT.issue(*NAMES, days_left=-1))
    host.commands |= {
        ("systemctl", "is-active", "postfix.service"): "active\n",
        ("systemctl", "is-active", "dovecot.service"): Completed((), 3, "inactive\n"),
    }
    change = replace(WANTED, readers=("postfix", "dovecot")).diff(host)
    assert change is not None
    assert change.notify == ("postfix",)


@pytest.mark.parametrize(
    ("days", "lifetime", "reason"),
    [
        (-3, 90, "ended 3 days ago"),
        (29, 90, "ends in 29 days"),
        (31, 90, ""),
        # Lifetimes get shorter, and what is "soon" with them.
        (20, 45, ""),
        (14, 45, "ends in 14 days"),
    ],
)
def test_renewed_when_due(days: float, lifetime: float, reason: str) -> None:
    host = FakeHost()
    install(host, *ROOT.issue(*NAMES, days_left=days, lifetime=lifetime))
    change = WANTED.diff(host)
    assert (change is not None) == bool(reason)
    if change is not None:
        assert reason in (change.diff or "")
        assert change.command is not None
        assert change.command[-2:] == ("--force-renewal", "--renew-with-new-domains")
        certbot(host)
        WANTED.apply(host)
        assert WANTED.diff(host) is None


def test_made_anew_when_it_is_another_one() -> None:
    chain, key = ROOT.issue(NAMES[0])
    host = FakeHost()
    install(host, chain, key)
    assert "not for brightmail.example" in str(WANTED.diff(host))
    install(host, ROOT.issue(*NAMES)[0], key)
    assert "does not belong to the private key" in str(WANTED.diff(host))
    install(host, *ROOT.issue(*NAMES), server="https://other.test/directory")
    assert "https://other.test/directory" in str(WANTED.diff(host))
    install(host, *ROOT.issue(*NAMES), method="apache")
    assert "renewed by apache, not by standalone" in str(WANTED.diff(host))
    host.put(f"{FOLDER}/fullchain.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert "no certificate" in str(WANTED.diff(host))


def test_a_wildcard_covers_the_host_and_not_the_domain() -> None:
    host = FakeHost()
    install(host, *ROOT.issue("*.brightmail.example"))
    assert "it is not for brightmail.example" in str(WANTED.diff(host))


def test_a_web_server_answers_and_nobody_is_written_to() -> None:
    host = FakeHost()
    wanted = ObtainCertificate(NAMES, "", SERVER, webroot="/var/www/html")
    certbot(host, method="webroot")
    change = wanted.diff(host)
    assert change is not None
    assert change.command is not None
    assert change.command[0] == "certbot"
    assert "--register-unsafely-without-email" in change.command
    assert change.command[change.command.index("--webroot") :][:3] == ("--webroot", "-w", "/var/www/html")
    wanted.apply(host)
    assert wanted.diff(host) is None


def test_port_80_is_closed_again_when_it_fails() -> None:
    host = FakeHost()
    said = (
        "Certbot failed to authenticate some domains (authenticator: standalone).\n"
        "  Domain: mail.brightmail.example\n  Type:   connection\n  Detail: 192.0.2.10: Timeout during connect\n"
    )
    host.commands |= {(PRE,): "", (POST,): "", ("env",): Completed((), 1, said)}
    with pytest.raises(OperationFailed) as failure:
        WANTED.apply(host)
    assert [argv[0] for argv in host.ran] == [PRE, "env", POST]
    assert "Timeout during connect" in failure.value.got
    assert "port 80" in failure.value.do


def test_the_firewall_does_not_open() -> None:
    host = FakeHost()
    host.commands |= {(PRE,): Completed((), 1, "ERROR: problem running ufw"), (POST,): ""}
    with pytest.raises(OperationFailed, match="problem running ufw"):
        WANTED.apply(host)
    assert [argv[0] for argv in host.ran] == [PRE, POST]


def test_certbot_is_content_but_nothing_is_there() -> None:
    host = FakeHost()
    host.commands |= {(PRE,): "", (POST,): "", ("env",): ""}
    with pytest.raises(OperationFailed, match="no certificate"):
        WANTED.apply(host)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("Error: urn:ietf:params:acme:error:rateLimited :: too many certificates, rate limit", "Wait"),
        ("Another instance of Certbot is already running.", "runs already"),
        ("Detail: CAA record for brightmail.example prevents issuance", "CAA"),
        ("DNS problem: NXDOMAIN looking up A for mail.brightmail.example", "verify dns"),
        ("Could not bind TCP port 80 because it is already in use", "verify web"),
        ("Timeout during connect (likely firewall problem)", "port 80"),
        ("SSLError certificate verify failed: certificate is not yet valid", "clock"),
        ("SSLError certificate verify failed: unable to get local issuer", "ca_bundle"),
        ("something else", "letsencrypt.log"),
    ],
)
def test_what_to_do_about_it(said: str, word: str) -> None:
    assert word in advice(said, NAMES)
    assert complaint(Completed((), 1, said))


def test_systemd_reads_what_is_written_and_taken_away() -> None:
    host = FakeHost(commands={("systemctl",): ""})
    write = WriteUnit(UNIT, "[Service]\n")
    change = write.diff(host)
    assert change is not None
    assert change.undo == (("systemctl", "daemon-reload"),)
    write.apply(host)
    assert write.diff(host) is None
    remove = RemoveUnit(UNIT)
    assert remove.diff(host) is not None
    remove.apply(host)
    assert remove.diff(host) is None
    assert host.ran == [("systemctl", "daemon-reload")] * 2


@pytest.mark.parametrize("operation", [WriteUnit(UNIT, "[Service]\n"), RemoveUnit(UNIT)])
def test_what_a_killed_run_did_not_tell_systemd_is_told(operation: WriteUnit | RemoveUnit) -> None:
    host = FakeHost(commands={("systemctl",): ""})
    operation.apply(host)
    host.commands["systemctl", "show", "-p", "NeedDaemonReload", "--value", "certbot.service"] = "yes\n"
    change = operation.diff(host)
    assert change is not None
    assert change.command == ("systemctl", "daemon-reload")
