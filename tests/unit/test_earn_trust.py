"""The steps that earn trust: what they compute, and their checks, each shown passing and failing."""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fake_host import FakeHost
from tests.fake_postfix import install
from tests.unit.test_carry_mail import server
from tests.unit.test_catch import deliver
from wizard.answers import parse
from wizard.check import Status
from wizard.checks import dkim as ask_dkim
from wizard.checks import dmarc as ask_dmarc
from wizard.checks import mail_test as ask_mail
from wizard.checks import milter, policy_agent, published
from wizard.fact import Context, Facts
from wizard.hooks import HOOKS
from wizard.host import Completed, DnsRecord, DnsReply
from wizard.lookup import World
from wizard.operations.dkim_key import public_key
from wizard.operations.files import WriteFile
from wizard.operations.postfix import MAIN, MASTER, SetPostfixParameters, SetPostfixService
from wizard.steps import STEPS, access, dkim, dmarc, mail_test, postfix, spf

RAW: dict[str, object] = {
    "relay": {"domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10"},
    "home": {"domains": ["hearth.example"], "address": "198.51.100.80"},
    "users": [{"name": "you"}],
    "access": {"reject": ["aol.example", "203.0.113.66"]},
    "dns": {"resolvers": ["203.0.113.55"]},
}
US = "192.0.2.10"
KEY = "/etc/dkimkeys/brightmail.example/default.private"
HOME_KEY = "/etc/dkimkeys/hearth.example/default.private"


@pytest.fixture(scope="module")
def pem() -> bytes:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def context(host: FakeHost, raw: Mapping[str, object] | None = None) -> Context:
    answers = {key: value for key, value in {**RAW, **(raw or {})}.items() if value is not None}
    return Context(host, parse(answers), Facts(host))


def relay() -> FakeHost:
    """A machine with our Postfix, and no hook filled yet."""
    host = install(FakeHost())
    made = context(host)
    for operation in postfix.plan(made):
        if isinstance(operation, SetPostfixParameters | SetPostfixService):
            operation.apply(host)
    return host


def apply(host: FakeHost, made: Context, plan: Callable[[Context], object]) -> int:
    """Carry out what writes files and Postfix's settings; the number of changes."""
    changed = 0
    for operation in plan(made):  # type: ignore[attr-defined]
        if type(operation).__name__ in {"WriteFile", "RemoveFile", "SetPostfixParameters", "SetPostfixService"}:
            if operation.diff(host) is None:
                continue
            changed += 1
            # No daemon is there to judge its file.
            plain = (
                dataclasses.replace(operation, check_candidate=()) if isinstance(operation, WriteFile) else operation
            )
            plain.apply(host)
            assert operation.diff(host) is None
    return changed


def publish(host: FakeHost, name: str, *values: str) -> None:
    records = tuple(DnsRecord(f"{name}.", "TXT", 60, value) for value in values)
    host.dns["*", name, "TXT"] = DnsReply("NOERROR", records, authoritative=True)


def world(host: FakeHost) -> World:
    return World(host, ("203.0.113.55",))


def with_keys(host: FakeHost, pem: bytes) -> str:
    for path in (KEY, HOME_KEY):
        host.put(path, pem, 0o600, "opendkim", "opendkim")
    return public_key(host, KEY)


# DKIM: which key signs


def signing(host: FakeHost, raw: Mapping[str, object] | None = None) -> dict[str, str]:
    return {entry.key.domain: entry.key.selector for entry in dkim.entries(context(host, raw))}


def test_a_key_signs_once_dns_has_it(pem: bytes) -> None:
    host = relay()
    public = with_keys(host, pem)
    assert signing(host) == {}
    publish(host, "default._domainkey.brightmail.example", f"v=DKIM1; k=rsa; p={public}")
    assert signing(host) == {"brightmail.example": "default"}
    publish(host, "default._domainkey.hearth.example", "v=DKIM1; k=rsa; p=MIIB")
    assert signing(host) == {"brightmail.example": "default"}
    assert signing(host, {"dkim": {"sign_unpublished": True}}) == {
        "brightmail.example": "default",
        "hearth.example": "default",
    }


def test_a_key_in_use_stays_in_use_whatever_dns_says(pem: bytes) -> None:
    host = relay()
    public = with_keys(host, pem)
    for domain in ("brightmail.example", "hearth.example"):
        publish(host, f"default._domainkey.{domain}", f"v=DKIM1; k=rsa; p={public}")
    assert apply(host, context(host), dkim.plan) > 0
    assert apply(host, context(host), dkim.plan) == 0
    host.dns.clear()
    assert apply(host, context(host), dkim.plan) == 0
    host.dns["*", "default._domainkey.brightmail.example", "TXT"] = DnsReply("SERVFAIL")
    assert apply(host, context(host), dkim.plan) == 0


def test_a_new_selector_waits_for_dns_while_the_old_one_signs(pem: bytes) -> None:
    host = relay()
    public = with_keys(host, pem)
    for domain in ("brightmail.example", "hearth.example"):
        publish(host, f"default._domainkey.{domain}", f"v=DKIM1; k=rsa; p={public}")
    apply(host, context(host), dkim.plan)
    new = {"dkim": {"selector": "s2026"}}
    host.put("/etc/dkimkeys/brightmail.example/s2026.private", pem, 0o600, "opendkim", "opendkim")
    assert signing(host, new) == {"brightmail.example": "default", "hearth.example": "default"}
    publish(host, "s2026._domainkey.brightmail.example", f"v=DKIM1; k=rsa; p={public}")
    assert signing(host, new) == {"brightmail.example": "s2026", "hearth.example": "default"}
    host.dns["*", "s2026._domainkey.brightmail.example", "TXT"] = DnsReply("TIMEOUT")
    assert signing(host, new)["brightmail.example"] == "default"


def test_the_preview_on_a_fresh_machine_shows_what_will_sign() -> None:
    assert set(signing(FakeHost())) == {"brightmail.example", "hearth.example"}


def test_mail_from_the_host_name_is_signed_by_the_domain() -> None:
    found = dkim.entries(context(FakeHost()))
    assert found[0].senders == ("brightmail.example", "mail.brightmail.example")
    assert found[1].senders == ("hearth.example",)


def test_signs(pem: bytes) -> None:
    host = relay()
    public = with_keys(host, pem)
    made = context(host)
    wanted = ask_dkim.wanted_key(made, "brightmail.example")
    ask = partial(ask_dkim.signs, host, domain="brightmail.example", wanted=wanted)
    assert ask().status is Status.FAIL
    publish(host, "default._domainkey.brightmail.example", f"v=DKIM1; k=rsa; p={public}")
    apply(host, made, dkim.plan)
    assert ask().ok
    other = ask_dkim.wanted_key(context(host, {"dkim": {"selector": "s2026"}}), "brightmail.example")
    found = ask_dkim.signs(host, domain="brightmail.example", wanted=other)
    assert "still signed with default._domainkey" in found.got


@pytest.mark.parametrize(
    ("mode", "owner", "status"), [(0o600, "opendkim", "pass"), (0o640, "opendkim", "fail"), (0o600, "root", "fail")]
)
def test_key_file(pem: bytes, mode: int, owner: str, status: str) -> None:
    host = FakeHost()
    host.put(KEY, pem, mode, owner, owner)
    assert ask_dkim.key_file(host, path=KEY, user="opendkim").status == status


def test_key_file_that_is_short_or_none() -> None:
    host = FakeHost()
    assert "no such file" in ask_dkim.key_file(host, path=KEY, user="opendkim").got
    host.put(KEY, "no key", 0o600, "opendkim", "opendkim")
    assert ask_dkim.key_file(host, path=KEY, user="opendkim").status is Status.FAIL
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    data = short.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    host.put(KEY, data, 0o600, "opendkim", "opendkim")
    assert "1024 bits" in ask_dkim.key_file(host, path=KEY, user="opendkim").got


def test_all_mail_passes_the_signer() -> None:
    host = relay()
    assert ask_dkim.wired(host, submissions="465").status is Status.FAIL
    apply(host, context(host), dkim.plan)
    assert ask_dkim.wired(host, submissions="465").ok
    SetPostfixParameters((("milter_default_action", "accept"),)).apply(host)
    assert "milter_default_action" in ask_dkim.wired(host, submissions="465").got


@pytest.mark.parametrize("program", ["opendkim", "opendmarc"])
def test_configuration(program: str) -> None:
    host = FakeHost()
    ask = ask_dkim.configuration if program == "opendkim" else ask_dmarc.configuration
    assert ask(host, path="/etc/x.conf").status is Status.FAIL
    host.commands[program, "-n"] = ""
    assert ask(host, path="/etc/x.conf").ok
    host.commands[program, "-n"] = Completed((), 78, "", "line 3: unrecognized parameter")
    assert "line 3" in ask(host, path="/etc/x.conf").got


# Milters


def speaks(reply: bytes) -> FakeHost:
    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(100)
            connection.sendall(reply)

    return FakeHost(servers={("127.0.0.1", 8891): serve})


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (struct.pack(">IcIII", 13, b"O", 6, 0, 0), "pass"),
        (struct.pack(">IcIII", 13, b"O", 2, 0, 0), "pass"),
        (struct.pack(">IcIII", 13, b"O", 99, 0, 0), "fail"),
        (struct.pack(">Ic", 1, b"t"), "fail"),
        (b"220 mail.brightmail.example ESMTP\r\n", "fail"),
        (b"", "fail"),
    ],
)
def test_milter(reply: bytes, status: str) -> None:
    found = milter.answers(speaks(reply), address="127.0.0.1", port=8891, service="opendkim", mend="dkim")
    assert found.status == status
    assert (found.do == "") == (status == "pass")


def test_milter_that_is_not_there() -> None:
    found = milter.answers(FakeHost(), address="127.0.0.1", port=8891, service="opendkim", mend="dkim")
    assert "relay-wizard apply dkim" in found.do


# SPF


COMMAND = ("runuser", "-u", "policyd-spf", "--", "/usr/bin/policyd-spf", "/etc/policyd-spf.conf")


def agent(answer: str) -> FakeHost:
    host = FakeHost()
    host.commands["runuser"] = lambda _host, argv, _stdin: Completed(argv, 0, f"action={answer}\n\n")  # type: ignore[index]
    host.commands[("runuser",)] = Completed((), 0, f"action={answer}\n\n")
    return host


@pytest.mark.parametrize(
    ("answer", "policy", "passes", "refuses"),
    [
        ("prepend Received-SPF: Pass (mailfrom)", "-all", "pass", "fail"),
        ("550 5.7.23 Message rejected due to: SPF fail", "-all", "fail", "pass"),
        ("prepend Received-SPF: Softfail (mailfrom)", "~all", "fail", "pass"),
        ("prepend Received-SPF: Softfail (mailfrom)", "-all", "fail", "fail"),
        ("dunno", "-all", "fail", "fail"),
    ],
)
def test_agent(answer: str, policy: str, passes: str, refuses: str) -> None:
    host = agent(answer)
    made = context(host, {"spf": {"policy": policy}})
    assert policy_agent.passes(made, host, command=COMMAND).status == passes
    assert policy_agent.refuses(made, host, command=COMMAND).status == refuses


def test_agent_that_is_not_there() -> None:
    host = FakeHost()
    assert policy_agent.passes(context(host), host, command=COMMAND).status is Status.FAIL


def test_the_agents_request_ends_with_an_empty_line_and_has_no_second_one() -> None:
    text = policy_agent.request(client=US, helo="mail.brightmail.example", sender="a@b.example").decode()
    assert text.endswith("\n\n")
    assert text.count("\n\n") == 1
    assert "client_address=192.0.2.10\n" in text


def test_a_stranger_is_never_ourselves() -> None:
    host = FakeHost()
    for address in policy_agent.STRANGERS:
        assert policy_agent.stranger(context(host, {"relay": {**RAW["relay"], "ipv4": address}})) != address  # type: ignore[dict-item]


def test_postfix_asks_the_agent() -> None:
    host = relay()
    assert "no service" in policy_agent.wired(host).got
    apply(host, context(host), spf.plan)
    assert apply(host, context(host), spf.plan) == 0
    assert policy_agent.wired(host).ok
    SetPostfixParameters((("smtpd_recipient_restrictions", "$relay_wizard_spf, reject_unauth_destination"),)).apply(
        host
    )
    assert "by everybody" in policy_agent.wired(host).do
    SetPostfixParameters((("smtpd_recipient_restrictions", "reject_unauth_destination"),)).apply(host)
    assert policy_agent.wired(host).status is Status.FAIL


@pytest.mark.parametrize(
    ("answer", "journal", "status"),
    [
        ("250 2.1.5 Ok", True, "pass"),
        ("250 2.1.5 Ok", False, "warn"),
        ("451 4.3.5 Server configuration problem", False, "fail"),
    ],
)
def test_agent_under_postfix(answer: str, journal: bool, status: str) -> None:  # noqa: FBT001
    talk = {"EHLO": "250 mail", "RSET": "250 ok", "MAIL": "250 ok", "RCPT": answer, "QUIT": "221 bye"}
    host = FakeHost(servers={(US, 25): server(talk)})
    sender = "relay-wizard-feedbeef@brightmail.example"
    host.commands[("journalctl",)] = (
        f": prepend Received-SPF: Pass envelope-from={sender}\n" if journal else "nothing\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secrets.token_hex", lambda _size: "feedbeef")
        found = policy_agent.asked_by_postfix(context(host), host)
    assert found.status == status


def test_the_agent_runs_as_nobody_where_it_has_no_account() -> None:
    host = FakeHost()
    assert spf.user(context(host)) == "policyd-spf"
    host.put("/usr/bin/policyd-spf", "")
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    assert spf.user(context(host)) == "nobody"
    host.put("/etc/passwd", "policyd-spf:x:1:1::/:/bin/false\n")
    assert spf.user(context(host)) == "policyd-spf"


def test_the_agent_is_taken_from_where_it_is() -> None:
    host = FakeHost()
    assert spf.program(context(host)) == "/usr/bin/policyd-spf"
    host.put("/usr/libexec/postfix/policyd-spf", "")
    assert spf.program(context(host)) == "/usr/libexec/postfix/policyd-spf"


# Refused senders


def test_access_maps_come_and_go() -> None:
    host = relay()
    made = context(host)
    assert apply(host, made, access.plan) == 4
    maps = access.entries(made)
    host.commands["postmap", "-q", "203.0.113.66", f"cidr:{access.NETWORKS}"] = access.ACTION
    assert access.mapped(host, maps=maps).ok
    assert access.asked(host, maps=maps).ok
    nobody = context(host, {"access": None})
    assert access.asked(host, maps=access.entries(nobody)).status is Status.FAIL
    assert apply(host, nobody, access.plan) == 4
    assert apply(host, nobody, access.plan) == 0
    assert access.asked(host, maps=access.entries(nobody)).ok
    assert access.mapped(host, maps=access.entries(nobody)).ok
    assert not [path for path in host.files if path in maps]


def test_access_map_that_lost_or_got_an_entry() -> None:
    host = relay()
    made = context(host, {"access": {"reject": ["aol.example"]}})
    apply(host, made, access.plan)
    maps = access.entries(made)
    assert access.mapped(host, maps=maps).ok
    host.put(access.SENDERS, "aol.example REJECT\nfriend.example REJECT\n")
    assert "friend.example" in access.mapped(host, maps=maps).got
    host.put(access.SENDERS, "")
    assert access.mapped(host, maps=maps).status is Status.FAIL


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (f"554 5.7.1 <somebody@aol.example>: Sender address rejected: {access.REASON}", "pass"),
        ("550 5.1.8 <somebody@aol.example>: Sender address rejected: Domain not found", "fail"),
        ("250 2.1.5 Ok", "fail"),
    ],
)
def test_refused(answer: str, status: str) -> None:
    talk = {"EHLO": "250 mail", "RSET": "250 ok", "MAIL": "250 ok", "RCPT": answer}
    host = FakeHost(servers={(US, 25): server(talk)})
    assert access.refused(context(host), host).status == status


def test_nobody_to_try_with() -> None:
    host = FakeHost()
    assert "nobody is refused" in access.refused(context(host, {"access": None}), host).got
    only = context(host, {"access": {"reject": ["203.0.113.0/24"]}})
    assert "only networks" in access.refused(only, host).got


# DMARC


def test_incoming_mail_is_judged_after_the_signer() -> None:
    host = relay()
    apply(host, context(host), dmarc.plan)
    assert ask_dmarc.wired(host).status is Status.FAIL
    apply(host, context(host), dkim.plan)
    assert ask_dmarc.wired(host).ok
    assert apply(host, context(host), dmarc.plan) == 0


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("250 2.1.5 Ok", "pass", ""),
        ("550 5.1.1 User unknown", "fail", "Make the mailbox dmarc-reports@brightmail.example"),
        ("451 4.7.1 Service unavailable", "fail", "takes no mail at all"),
    ],
)
def test_report_mailbox(answer: str, status: str, words: str) -> None:
    talk = {"EHLO": "250 mail", "RSET": "250 ok", "MAIL": "250 ok", "RCPT": answer}
    host = FakeHost(servers={(US, 25): server(talk)})
    found = ask_dmarc.mailbox(context(host), host)
    assert found.status == status
    assert words in found.do
    elsewhere = context(host, {"dmarc": {"rua": ["mailto:a@reports.example"]}})
    assert ask_dmarc.mailbox(elsewhere, host).status is Status.SKIP


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ("v=DMARC1; p=none", "warn"),
        ("v=DMARC1; p=reject; t=y", "warn"),
        ("v=DMARC1; p=quarantine", "pass"),
        ("v=spf1 -all", "skip"),
    ],
)
def test_policy_advice(record: str, status: str) -> None:
    host = FakeHost()
    for domain in ("brightmail.example", "hearth.example"):
        publish(host, f"_dmarc.{domain}", record)
    assert ask_dmarc.policy(context(host), host, world=world(host)).status == status


def test_records_of_the_sheet_are_judged_for_the_step(pem: bytes) -> None:
    host = FakeHost()
    made = context(host)
    ask = partial(published.published, made, host, kind="dmarc", subject="brightmail.example")
    assert ask(world=world(host)).status is Status.FAIL
    publish(host, "_dmarc.brightmail.example", "v=DMARC1; p=none; rua=mailto:dmarc-reports@brightmail.example")
    found = ask(world=world(host))
    assert "v=DMARC1" in found.got
    with_keys(host, pem)
    assert published.published(made, host, world=world(host), kind="report", subject="nobody.example").ok


# Real messages


def postfix_that_delivers(pem: bytes, domain: str = "brightmail.example", *, sign: bool = True) -> FakeHost:
    host = FakeHost()
    public = with_keys(host, pem)

    def sendmail(_host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed:
        message = stdin.replace(b"\n", b"\r\n")
        if sign:
            message = dkimpy.sign(message, b"default", domain.encode(), pem) + message
        deliver(host, argv[-1], message, sender=argv[-2])
        return Completed(argv, 0)

    host.commands[("sendmail",)] = sendmail
    for name in ("brightmail.example", "hearth.example"):
        publish(host, f"default._domainkey.{name}", f"v=DKIM1; k=rsa; p={public}")
        publish(host, f"_dmarc.{name}", "v=DMARC1; p=none")
        publish(host, name, "v=spf1 ip4:192.0.2.10 -all")
    return host


def test_a_local_message_is_trusted(pem: bytes) -> None:
    host = postfix_that_delivers(pem)
    found = ask_mail.local_message(context(host), host, world=world(host))
    assert found.ok, found
    assert "spf=pass from 192.0.2.10" in found.got


def test_an_unsigned_local_message_is_not(pem: bytes) -> None:
    host = postfix_that_delivers(pem, sign=False)
    found = ask_mail.local_message(context(host), host, world=world(host))
    assert found.status is Status.FAIL
    assert "verify dkim" in found.do


@pytest.mark.parametrize(
    ("name", "record", "advice"),
    [
        ("brightmail.example", "v=spf1 -all", "dns spf"),
        ("_dmarc.brightmail.example", "hello", "dns dmarc"),
        ("default._domainkey.brightmail.example", "v=DKIM1; p=", "dns dkim"),
    ],
)
def test_advice_names_what_is_wrong(pem: bytes, name: str, record: str, advice: str) -> None:
    host = postfix_that_delivers(pem)
    publish(host, name, record)
    found = ask_mail.local_message(context(host), host, world=world(host))
    assert found.status is Status.FAIL
    assert advice in found.do


def test_sendmail_that_is_not_there() -> None:
    host = FakeHost()
    assert "sendmail" in ask_mail.local_message(context(host), host, world=world(host)).got


def test_a_login_without_a_known_password_is_skipped() -> None:
    host = FakeHost()
    found = ask_mail.submitted_message(
        context(host), host, world=world(host), user="you", secret=None, sender="you@brightmail.example"
    )
    assert found.status is Status.SKIP


def test_the_letter_survives_the_way() -> None:
    host = FakeHost()
    text = ask_mail.letter(host, "a@b.example", "c@d.example")
    assert all(line.isascii() and len(line) < 999 for line in text.split("\r\n"))
    assert "\n" not in text.replace("\r\n", "")
    assert "..a line" in "\r\n".join(ask_mail._stuffed(text))


def test_every_way_of_mail_has_a_check() -> None:
    host = relay()
    ids = [check.id for check in mail_test.checks(context(host))]
    assert ids == [
        "mail_test.local_message_trusted", "mail_test.submitted_message_trusted", "mail_test.no_open_relay",
        "mail_test.unknown_recipient", "mail_test.home_message_trusted", "mail_test.unknown_home_recipient",
        "mail_test.wrong_password", "mail_test.forged_sender",
    ]  # fmt: skip
    alone = [check.id for check in mail_test.checks(context(host, {"home": None, "users": None}))]
    assert alone == ["mail_test.local_message_trusted", "mail_test.no_open_relay", "mail_test.unknown_recipient"]


def test_test_messages_have_their_way() -> None:
    host = relay()
    assert apply(host, context(host), mail_test.plan) == 2
    assert apply(host, context(host), mail_test.plan) == 0
    line = host.commands[("postmap",)]
    assert line
    found = host.ask(["postmap", "-q", "7.relay-wizard-test.invalid", f"texthash:{mail_test.ROUTES}"])
    assert found.text == "smtp:[127.0.83.7]:18025"


def test_ids_are_unique_and_belong_to_their_step() -> None:
    host = relay()
    for step in (spf.STEP, access.STEP, dkim.STEP, dmarc.STEP, mail_test.STEP):
        ids = [check.id for check in step.checks(context(host))]
        assert len(ids) == len(set(ids))
        assert all(check_id.startswith(f"{step.id}.") for check_id in ids)
        assert step in STEPS


def test_a_plan_copes_with_a_fresh_machine() -> None:
    host = FakeHost()
    for step in (spf.STEP, access.STEP, dkim.STEP, dmarc.STEP, mail_test.STEP):
        changes = [operation.diff(host) for operation in step.plan(context(host))]
        assert any(changes)
        assert json.dumps([change.summary for change in changes if change])


def test_hooks_are_the_only_settings_that_are_shared() -> None:
    host = relay()
    before = (host.text(MAIN), host.text(MASTER))
    for step in (spf.STEP, access.STEP, dkim.STEP, dmarc.STEP, mail_test.STEP):
        apply(host, context(host), step.plan)
    added = {line.partition(" ")[0] for line in host.text(MAIN).splitlines() if line not in before[0].splitlines()}
    assert added <= {*HOOKS, "policyd-spf_time_limit", "internal_mail_filter_classes"}
