"""The steps that carry mail: what they compute from the answers, and their checks, each shown passing and failing."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fake_host import FakeFile, FakeHost
from tests.fake_postfix import install
from wizard.answers import AnswersError, parse
from wizard.check import Status
from wizard.checks import dovecot as ask_dovecot
from wizard.checks import postfix as ask_postfix
from wizard.checks import smtp
from wizard.fact import Context, Facts
from wizard.hooks import HOOKS
from wizard.host import Completed, Listener
from wizard.operations.postfix import MAIN, SetPostfixParameters, main_parameters
from wizard.operations.users import SetPassword
from wizard.secret import Secret
from wizard.steps import clients, home, postfix, submission, transport

RAW = {
    "relay": {
        "domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10",
        "admin_email": "you@brightmail.example",
    },
    "home": {"domains": ["hearth.example"], "address": "198.51.100.80"},
    "users": [{"name": "you"}],
}  # fmt: skip
US = "192.0.2.10"
# What the fake server answers to the beginning of a command; the longest match wins.
Talk = Mapping[str, str]
STRICT: Talk = {
    "EHLO": "250-mail.brightmail.example\r\n250-STARTTLS\r\n250 SIZE 1000",
    "MAIL": "250 2.1.0 Ok",
    "RSET": "250 2.0.0 Ok",
    "VRFY": "502 5.5.1 VRFY command is disabled",
    "RCPT": "554 5.7.1 Relay access denied",
    "RCPT TO:<postmaster@": "250 2.1.5 Ok",
    "RCPT TO:<relay-wizard-no-such-mailbox@": "550 5.1.1 User unknown",
    "STARTTLS": "454 4.7.0 TLS not available",
    "QUIT": "221 2.0.0 Bye",
}


def context(host: FakeHost, raw: Mapping[str, object] | None = None) -> Context:
    answers = {key: value for key, value in {**RAW, **(raw or {})}.items() if value is not None}
    return Context(host, parse(answers), Facts(host))


def server(talk: Talk, tls: ssl.SSLContext | None = None) -> Callable[[socket.socket], None]:
    def serve(raw: socket.socket) -> None:
        try:
            with tls.wrap_socket(raw, server_side=True) if tls else raw as connection:
                connection.sendall(f"{talk.get('greeting', '220 mail.brightmail.example ESMTP')}\r\n".encode())
                for line in connection.makefile("rb"):
                    command = line.decode(errors="replace").strip()
                    match = max((word for word in talk if command.startswith(word)), key=len, default="")
                    connection.sendall(f"{talk.get(match, '500 what?')}\r\n".encode())
        except OSError:
            pass

    return serve


def machine(port: int = 25, tls: ssl.SSLContext | None = None, **changes: str) -> FakeHost:
    talk = {**STRICT, **{key.replace("_", " "): value for key, value in changes.items()}}
    return FakeHost(servers={(US, port): server(talk, tls)})


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.brightmail.example")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.brightmail.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(form))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(path)
    return found


# Computed from the answers


def test_owners_name_home_beside_a_user_of_the_same_domain() -> None:
    assert postfix.owners(context(FakeHost()).answers) == (
        ("you@brightmail.example", ("you",)),
        ("you@hearth.example", ("you", "home")),
        ("@hearth.example", ("home",)),
    )


@pytest.mark.parametrize(
    ("admin", "first"),
    [
        ("you@brightmail.example", ("root", "you@brightmail.example")),
        ("me@elsewhere.example", ("root", "me@elsewhere.example")),
        ("postmaster@brightmail.example", ("postmaster", "root")),
        ("root@mail.brightmail.example", ("postmaster", "root")),
        ("", ("postmaster", "root")),
    ],
)
def test_mail_for_root_never_goes_round(admin: str, first: tuple[str, str]) -> None:
    relay = {**RAW["relay"], "admin_email": admin}  # type: ignore[dict-item]
    found = postfix.aliases(context(FakeHost(), {"relay": relay}).answers)
    assert found[0] == first
    assert ("home", "root") in found
    assert ("dmarc-reports", "root") in found


def test_a_user_named_like_a_role_gets_its_own_mail() -> None:
    found = dict(postfix.aliases(context(FakeHost(), {"users": [{"name": "abuse"}]}).answers))
    assert "abuse" not in found
    assert found["postmaster"] == "root"


@pytest.mark.parametrize(
    ("version", "has"),
    [((3, 5, 23), False), ((3, 5, 25), True), ((3, 7, 11), True), ((3, 8, 4), False), ((3, 9), True), ((3, 10), True)],
)
def test_which_versions_can_mend_line_ends(version: tuple[int, ...], *, has: bool) -> None:
    assert postfix.normalizes(version) is has


def test_networks_in_postfix_words() -> None:
    assert postfix.postfix_network("198.51.100.0/24") == "198.51.100.0/24"
    assert postfix.postfix_network("2001:db8::/32") == "[2001:db8::]/32"


def test_home_in_postfix_words() -> None:
    for address, want in [("198.51.100.80", "[198.51.100.80]:10025"), ("2001:db8::1", "[ipv6:2001:db8::1]:10025")]:
        found = context(FakeHost(), {"home": {"domains": ["hearth.example"], "address": address}}).answers.home
        assert found is not None
        assert transport.nexthop(found) == want


def test_aliases_of_the_operator_come_first_and_stay() -> None:
    host = install(FakeHost())
    first = postfix.alias_maps(host)
    assert first == f"hash:/etc/aliases, {postfix.ALIASES}"
    SetPostfixParameters((("alias_maps", first),)).apply(host)
    assert postfix.alias_maps(host) == first


def test_a_postfix_whose_installation_was_killed_is_configured_as_any_other() -> None:
    host = install(FakeHost())
    host.put(MAIN, "alias_maps = $alias_database, nis:mail.aliases\nrecipient_delimiter =\n")
    values = dict(postfix.parameters(context(host)))
    assert values["alias_maps"] == f"hash:/etc/aliases, {postfix.ALIASES}"
    assert values["recipient_delimiter"] == "+"


def test_the_operators_delimiter_stays() -> None:
    host = install(FakeHost())
    host.put(MAIN, "recipient_delimiter = -\n")
    assert dict(postfix.parameters(context(host)))["recipient_delimiter"] == "-"


def test_behind_address_translation_postfix_knows_its_public_address() -> None:
    host = install(FakeHost(own_addresses=("127.0.0.1", "10.0.0.5")))
    assert ("proxy_interfaces", US) in postfix.parameters(context(host))
    assert "proxy_interfaces" not in dict(postfix.parameters(context(install(FakeHost()))))


def test_home_needs_a_password_once() -> None:
    host = FakeHost()
    with pytest.raises(AnswersError, match=r"home\.login_password_file"):
        home.plan(context(host))
    host.put("/etc/shadow", "home:$y$j9T$x$y:20000:0:99999:7:::\n")
    assert not [entry for entry in home.plan(context(host)) if isinstance(entry, SetPassword)]
    host.put("/root/home.password", "stapled-Hearth\n", 0o600)
    file = {"domains": ["hearth.example"], "address": US, "login_password_file": "/root/home.password"}
    assert [entry for entry in home.plan(context(host, {"home": file})) if isinstance(entry, SetPassword)]


def test_without_a_home_there_is_nothing_to_do() -> None:
    made = context(FakeHost(), {"home": None})
    for step in (transport.STEP, home.STEP):
        assert step.skip(made.answers)
        assert not step.plan(made)
        assert not step.checks(made)


def test_check_ids_are_unique_and_belong_to_their_step() -> None:
    two = {"domains": ["hearth.example", "stove.example"], "address": "198.51.100.80"}
    made = context(install(FakeHost()), {"home": two})
    for step in (postfix.STEP, transport.STEP, submission.STEP, home.STEP, clients.STEP):
        ids = [check.id for check in step.checks(made)]
        assert len(set(ids)) == len(ids)
        assert all(entry.startswith(f"{step.id}.") for entry in ids)


def test_settings_name_every_address() -> None:
    text = clients.settings(context(FakeHost()))
    assert "you@brightmail.example\n                  or you@hearth.example" in text
    for program in (
        "Thunderbird (computer)",
        "K-9 Mail (Android)",
        "Gmail (Android)",
        "Mail (iPhone",
        "classic",
        "new",
    ):
        assert program in text
    # At 80 columns nothing of it is folded.
    assert max(map(len, text.splitlines())) <= 77
    alone = clients.settings(context(FakeHost(), {"users": [], "home": None}))
    assert "There are no mail users" in alone
    assert "at home" not in alone


# Spoken by SMTP, port 25


def test_a_closed_relay_passes_and_an_open_one_fails() -> None:
    host = machine()
    assert smtp.no_open_relay(context(host), host).ok
    host = machine(RCPT="250 2.1.5 Ok")
    found = smtp.no_open_relay(context(host), host)
    assert found.status is Status.FAIL
    assert "Spam would leave from here" in found.do


def test_a_relay_open_to_one_old_form_alone_fails() -> None:
    talk = {**STRICT, "RCPT TO:<somebody%example.net": "250 2.1.5 Ok"}
    host = FakeHost(servers={(US, 25): server(talk)})
    found = smtp.no_open_relay(context(host), host)
    assert found.status is Status.FAIL
    assert "percent" in found.got


def test_without_a_public_address_the_relay_cannot_be_judged() -> None:
    host = FakeHost(own_addresses=("127.0.0.1",))
    assert smtp.no_open_relay(context(host), host).status is Status.SKIP


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.PASS),
        ({"RCPT": "250 Ok", "RCPT TO:<relay-wizard-no-such-mailbox@": "250 Ok"}, Status.FAIL),
        ({"RCPT TO:<postmaster@": "550 5.1.1 User unknown"}, Status.WARN),
        ({"RCPT TO:<relay-wizard-no-such-mailbox@": "450 4.1.1 unverified address"}, Status.FAIL),
        ({"RCPT TO:<postmaster@": "554 5.7.1 Relay access denied"}, Status.FAIL),
        ({"greeting": "421 too busy"}, Status.FAIL),
    ],
)
def test_recipients(changes: dict[str, str], status: Status) -> None:
    host = FakeHost(servers={(US, 25): server({**STRICT, **changes})})
    for found in (
        smtp.local_recipients(context(host), host),
        smtp.home_recipients(context(host), host, domain="hearth.example"),
    ):
        assert found.status is status
        assert found.ok or found.do


def test_a_listed_address_of_home_is_the_one_tried() -> None:
    talk = {**STRICT, "RCPT TO:<anna@hearth.example>": "250 Ok", "RCPT TO:<postmaster@": "550 5.1.1 User unknown"}
    host = FakeHost(servers={(US, 25): server(talk)})
    raw = {"home": {"domains": ["hearth.example"], "address": US, "recipients": ["anna@hearth.example"]}}
    assert smtp.home_recipients(context(host, raw), host, domain="hearth.example").ok


def test_no_login_on_25() -> None:
    host = machine()
    assert smtp.no_login_on_25(context(host), host).ok
    host = machine(EHLO="250-mail\r\n250 AUTH PLAIN")
    assert smtp.no_login_on_25(context(host), host).status is Status.FAIL


def test_starttls_that_is_offered_and_fails_is_a_failure() -> None:
    host = machine()
    found = smtp.starttls_on_25(context(host), host)
    assert found.status is Status.FAIL
    assert "454" in found.got


def test_vrfy() -> None:
    host = machine()
    assert smtp.vrfy(context(host), host).ok
    host = machine(VRFY="252 2.0.0 root")
    assert smtp.vrfy(context(host), host).status is Status.FAIL


@pytest.mark.parametrize("talk", [{"greeting": "SSH-2.0-OpenSSH_9.2"}, {"greeting": "554 no"}])
def test_what_is_no_mail_server_fails_with_its_words(talk: Talk) -> None:
    host = FakeHost(servers={(US, 25): server({**STRICT, **talk})})
    for check in (smtp.no_open_relay, smtp.no_login_on_25, smtp.starttls_on_25, smtp.vrfy):
        found = check(context(host), host)
        assert found.status is Status.FAIL
        assert found.do
    closed = FakeHost()
    assert "refused" in smtp.vrfy(context(closed), closed).got.lower()


# Port 465


CLIENT = {
    "EHLO": "250-mail\r\n250 AUTH PLAIN LOGIN",
    "AUTH": "535 5.7.8 authentication failed",
    "AUTH PLAIN AHlvdQByaWdodA==": "235 2.7.0 ok",  # you, right
    "MAIL": "250 Ok",
    "RCPT": "553 5.7.1 not owned by user you",
}


def on_465(tls: ssl.SSLContext, **changes: str) -> FakeHost:
    return FakeHost(servers={(US, 465): server({**STRICT, **CLIENT, **changes}, tls)})


def test_port_465_as_it_should_be(tls: ssl.SSLContext) -> None:
    host = on_465(tls)
    made = context(host)
    right = Secret("right")
    assert smtp.implicit_tls(made, host).got == "TLSv1.3"
    assert smtp.login_offered(made, host).ok
    assert smtp.login_needed(made, host).ok
    assert smtp.login_works(made, host, user="you", secret=right, mend="users").ok
    assert smtp.wrong_password_refused(made, host, user="you").ok
    assert smtp.forged_sender_refused(made, host, user="you", secret=right, sender="boss@brightmail.example").ok
    assert smtp.old_tls_refused(made, host).status in {Status.PASS, Status.SKIP}


def test_port_465_as_it_should_not_be(tls: ssl.SSLContext) -> None:
    host = on_465(tls, EHLO="250 mail", AUTH="235 welcome", RCPT="250 Ok")
    made = context(host)
    assert smtp.login_offered(made, host).status is Status.FAIL
    assert smtp.login_needed(made, host).status is Status.FAIL
    assert smtp.wrong_password_refused(made, host, user="you").status is Status.FAIL
    found = smtp.forged_sender_refused(made, host, user="you", secret=Secret("right"), sender="x@brightmail.example")
    assert found.status is Status.FAIL
    wrong = smtp.login_works(made, on_465(tls), user="you", secret=Secret("wrong"), mend="users")
    assert wrong.status is Status.FAIL
    assert "wrong" not in wrong.got


def test_the_certificate_served_is_the_one_of_the_file(tls: ssl.SSLContext) -> None:
    host = on_465(tls)
    made = context(host)
    path = f"{made.certificate}/fullchain.pem"
    assert "no certificate" in smtp.serves_the_file(made, host, port=465).got
    with smtp.as_client(made, host) as speak:
        host.put(path, ssl.DER_cert_to_PEM_cert(speak.certificate))
    assert smtp.serves_the_file(made, host, port=465).ok
    host.put(path, ssl.DER_cert_to_PEM_cert(b"another"))
    assert smtp.serves_the_file(made, host, port=465).got == "another one"
    host.servers[US, 25] = server(STRICT)
    assert smtp.serves_the_file(made, host, port=25).got == "none"


def test_port_465_in_clear_fails() -> None:
    host = machine(465)
    assert smtp.implicit_tls(context(host), host).status is Status.FAIL


def test_what_needs_an_unknown_password_is_skipped_with_the_reason(tls: ssl.SSLContext) -> None:
    host = on_465(tls)
    found = smtp.login_works(context(host), host, user="you", secret=None, mend="users")
    assert (found.status, "not known" in found.got) == (Status.SKIP, True)


def test_an_untrusted_certificate_is_what_a_mail_program_sees(tls: ssl.SSLContext) -> None:
    host = on_465(tls)
    assert clients.trusted(context(host), host).status is Status.FAIL
    closed = FakeHost()
    assert "no connection" in clients.trusted(context(closed), closed).got


def test_home_answers_and_encrypts() -> None:
    host = FakeHost(servers={("198.51.100.80", 10025): server(STRICT)})
    made = context(host)
    assert made.answers.home is not None
    assert home.answers(made, host, home=made.answers.home).ok
    assert home.encrypts(made, host, home=made.answers.home).ok
    host.servers["198.51.100.80", 10025] = server({**STRICT, "EHLO": "250 home"})
    assert home.encrypts(made, host, home=made.answers.home).status is Status.WARN
    host.servers.clear()
    assert home.answers(made, host, home=made.answers.home).status is Status.FAIL
    assert "setup.sh" in home.answers(made, host, home=made.answers.home).do


# Said by Postfix and Dovecot themselves


def test_postfix_runs_and_listens_to_the_world() -> None:
    host = install(FakeHost())
    assert "does not run" in ask_postfix.running(host).got
    host.commands["postfix", "status"] = ""
    host.listening = (Listener("0.0.0.0", 25, "master"), Listener("0.0.0.0", 465, "smtpd"))
    assert ask_postfix.running(host).ok
    host.listening = (Listener("127.0.0.1", 25, "master"), Listener("0.0.0.0", 465, "master"))
    assert ask_postfix.running(host).status is Status.FAIL
    host.listening = (Listener("0.0.0.0", 25, "exim4"), Listener("0.0.0.0", 465, "master"))
    assert "exim4" in ask_postfix.running(host).do


def test_configuration_without_a_warning() -> None:
    host = install(FakeHost())
    assert ask_postfix.configuration(host).ok
    host.put(MAIN, host.text(MAIN) + "smtpd_milters = $relay_wizard_dkim_milter\n")
    assert "undefined parameter" in ask_postfix.configuration(host).got
    host = install(FakeHost())
    host.commands["postfix", "check"] = Completed((), 1, "", "postfix: fatal: bad numerical configuration")
    assert ask_postfix.configuration(host).status is Status.FAIL


@pytest.mark.parametrize(
    ("found", "ok"),
    [
        ("127.0.0.0/8 [::1]/128", True),
        ("127.0.0.0/8, 198.51.100.80/32", True),
        ("127.0.0.0/8 0.0.0.0/0", False),
        ("127.0.0.0/8 [::]/0", False),
        ("hash:/etc/postfix/networks", False),
    ],
)
def test_networks_beyond_the_answers_are_named(found: str, *, ok: bool) -> None:
    host = install(FakeHost())
    host.put(MAIN, f"mynetworks = {found}\n")
    raw = {"home": {"domains": ["hearth.example"], "address": US, "networks": ["198.51.100.80/32"]}}
    allowed = postfix.answered_networks(context(host, raw))
    finding = ask_postfix.networks(host, allowed=allowed)
    assert finding.ok is ok
    assert ok or "may relay without a login" in finding.do


def test_names_in_force() -> None:
    host = install(FakeHost())
    assert ask_postfix.names(context(host), host).status is Status.FAIL
    SetPostfixParameters(postfix.parameters(context(host)), define=HOOKS).apply(host)
    assert ask_postfix.names(context(host), host).ok


def test_smuggling_setting() -> None:
    host = install(FakeHost())
    assert ask_postfix.smuggling(host).status is Status.WARN
    for value, status in (("normalize", Status.PASS), ("no", Status.FAIL)):
        host.put(MAIN, f"smtpd_forbid_bare_newline = {value}\n")
        assert ask_postfix.smuggling(host).status is status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("root you@brightmail.example\n", Status.PASS),
        ("root me@elsewhere.example\n", Status.PASS),
        ("postmaster root\n", Status.FAIL),
        ("root gone\n", Status.FAIL),
        ("root a\na root\n", Status.FAIL),
    ],
)
def test_mail_for_root_reaches_somebody(lines: str, status: Status) -> None:
    host = install(FakeHost())
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nyou:x:1000:1000::/nonexistent:/usr/sbin/nologin\n")
    host.put("/etc/postfix/relay-wizard-aliases", lines)
    host.put(MAIN, f"alias_maps = {postfix.ALIASES}\n")
    assert ask_postfix.root_mail(context(host), host).status is status


def test_queue_tells_why_mail_waits() -> None:
    host = install(FakeHost())
    assert ask_postfix.queue(host).status is Status.SKIP
    host.commands["postqueue", "-j"] = ""
    assert ask_postfix.queue(host).ok
    entry = {
        "queue_name": "deferred", "arrival_time": host.now().timestamp() - 20000,
        "recipients": [{"address": "x@y.example", "delay_reason": "connection timed out"}],
    }  # fmt: skip
    host.commands["postqueue", "-j"] = json.dumps(entry) + "\n"
    found = ask_postfix.queue(host)
    assert found.status is Status.FAIL
    assert "timed out" in found.got


@pytest.mark.parametrize("recipients", ["verify", ["anna@hearth.example"]])
def test_the_way_home(recipients: object) -> None:
    host = install(FakeHost())
    raw = {"home": {"domains": ["hearth.example"], "address": "198.51.100.80", "recipients": recipients}}
    made = context(host, raw)
    checks = {check.id: check for check in transport.checks(made)}
    assert all(check.ask(host).status is Status.FAIL for check in checks.values())
    SetPostfixParameters(postfix.parameters(made), define=HOOKS).apply(host)
    for operation in transport.plan(made):
        operation.apply(host)
    assert [operation.id for operation in transport.plan(made) if operation.diff(host)] == []
    assert all(check.ask(host).ok for check in checks.values())
    host.remove(transport.TRANSPORT)
    assert "no entry" in checks["transport.route"].ask(host).got


def test_from_a_list_to_asking_and_back() -> None:
    host = install(FakeHost())
    listed = {"domains": ["hearth.example"], "address": US, "recipients": ["anna@hearth.example"]}
    verify = {**listed, "recipients": "verify"}
    SetPostfixParameters(postfix.parameters(context(host)), define=HOOKS).apply(host)
    for raw in (listed, verify, listed):
        made = context(host, {"home": raw})
        for operation in transport.plan(made):
            if operation.diff(host):
                operation.apply(host)
        assert all(check.ask(host).ok for check in transport.checks(made))
    assert "relay_recipient_maps" in main_parameters(host)
    assert host.stat(transport.ASKED) is None


DOVECONF = """passdb {
  args = relay-wizard-smtp
  driver = pam
  result_failure = return-fail
  result_internalfail = return-fail
}
passdb {
  driver = pam
}
"""
PAM = "auth     requisite  pam_succeed_if.so quiet user ingroup relay-mail\n"


@pytest.mark.parametrize(
    ("conf", "pam", "ok"),
    [
        (DOVECONF, PAM, True),
        ("passdb pam {\n  service_name = relay-wizard-smtp\n}\n", PAM, True),
        ("passdb pam {\n}\n", PAM, False),
        (DOVECONF.replace("return-fail", "continue"), PAM, False),
        (DOVECONF, "auth required pam_unix.so\n", False),
    ],
)
def test_only_mail_users_get_in(conf: str, pam: str, *, ok: bool) -> None:
    host = FakeHost()
    host.commands["doveconf", "-n"] = conf
    host.put("/etc/pam.d/relay-wizard-smtp", pam)
    assert ask_dovecot.mail_users_only(host, pam="relay-wizard-smtp").ok is ok


def test_dovecots_socket_and_ports() -> None:
    host = FakeHost()
    assert "not there" in ask_dovecot.socket(host).got
    host.files[ask_dovecot.SOCKET] = FakeFile(b"", 0o666, "postfix", "postfix", "socket")
    assert ask_dovecot.socket(host).status is Status.FAIL
    host.files[ask_dovecot.SOCKET] = FakeFile(b"", 0o660, "postfix", "postfix", "socket")
    assert ask_dovecot.socket(host).ok
    assert ask_dovecot.no_ports(host).ok
    host.listening = (Listener("::", 143, "dovecot"),)
    assert ask_dovecot.no_ports(host).status is Status.FAIL


def test_dovecot_runs_and_reads_its_files() -> None:
    host = FakeHost()
    assert ask_dovecot.configuration(host).status is Status.FAIL
    assert ask_dovecot.running(host, service="dovecot").status is Status.FAIL
    host.commands["doveconf", "-n"] = ""
    host.commands["systemctl", "is-active"] = "active"
    assert ask_dovecot.configuration(host).ok
    assert ask_dovecot.running(host, service="dovecot").ok
    host.commands["doveconf", "-n"] = Completed((), 0, "", "doveconf: Warning: ssl_cert is obsolete")
    assert "obsolete" in ask_dovecot.configuration(host).got
