"""The certificate on disk, its renewal and port 80: each check shown passing and failing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import FOLDER, SERVER, Authority, install, pem_key
from tests.fake_dns import RESOLVER, NamedHost, published, world_of
from wizard.answers import AnswersError
from wizard.check import Status
from wizard.checks import certificate as look
from wizard.fact import Context
from wizard.host import Completed, Listener
from wizard.operations.certificate import DEPLOY, POST, PRE, ObtainCertificate
from wizard.operations.packages import InstallPackages
from wizard.steps import certbot, web

NAMES = ("mail.brightmail.example", "brightmail.example")
ROOT = Authority()
BUNDLE = "/root/ca.pem"


@pytest.fixture
def context() -> Context:
    host = NamedHost(records=published())
    host.put(BUNDLE, ROOT.pem)
    install(host, *ROOT.issue(*NAMES))
    return world_of(host, {"certbot": {"server": SERVER, "ca_bundle": BUNDLE}})[0]


def fake(context: Context) -> NamedHost:
    assert isinstance(context.host, NamedHost)
    return context.host


def test_names(context: Context) -> None:
    host = fake(context)
    assert certbot.names(context) == NAMES
    assert look.names(context, NAMES, host).status is Status.PASS
    install(host, *ROOT.issue(NAMES[0]))
    assert look.names(context, NAMES, host).status is Status.FAIL
    del host.files[f"{FOLDER}/fullchain.pem"]
    assert look.names(context, NAMES, host).got == "no certificate"


def test_a_domain_that_is_a_web_site_elsewhere_stays_out(context: Context) -> None:
    host = fake(context)
    host.records["brightmail.example", "AAAA"] = ["2001:db8:99::1"]
    assert certbot.names(context) == NAMES[:1]
    # Not published yet, or nobody to ask: it will be ours.
    host.records["brightmail.example", "A"] = host.records["brightmail.example", "AAAA"] = []
    assert certbot.names(context) == NAMES
    host.silent = {RESOLVER}
    assert certbot.names(context) == NAMES


def test_the_mail_host_is_the_domain(context: Context) -> None:
    relay = replace(context.answers.relay, hostname="brightmail.example")
    assert certbot.names(replace(context, answers=replace(context.answers, relay=relay))) == ("brightmail.example",)


def test_key(context: Context) -> None:
    host = fake(context)
    assert look.key_matches(context, host).status is Status.PASS
    private = "/etc/letsencrypt/archive/mail.brightmail.example/privkey1.pem"
    host.files[private].mode = 0o644
    assert f"chmod 0600 {private}" in look.key_matches(context, host).do
    host.put(private, pem_key(ec.generate_private_key(ec.SECP256R1())), 0o600)
    assert "another certificate" in look.key_matches(context, host).got
    host.put(private, "nonsense", 0o600)
    assert look.key_matches(context, host).got == "no private key"


@pytest.mark.parametrize(
    ("days", "lifetime", "status"),
    [(80, 90, "pass"), (29, 90, "warn"), (13, 90, "fail"), (-1, 90, "fail"), (12, 45, "warn"), (6, 45, "fail"),
     (100, 90, "fail")],
)  # fmt: skip
def test_dates(context: Context, days: float, lifetime: float, status: str) -> None:
    install(fake(context), *ROOT.issue(*NAMES, days_left=days, lifetime=lifetime))
    assert look.in_date(context, fake(context)).status.value == status


def test_chain(context: Context) -> None:
    host = fake(context)
    assert look.trusted(context, host).status is Status.PASS
    install(host, *Authority("Another root").issue(*NAMES))
    assert look.trusted(context, host).status is Status.FAIL
    install(host, *ROOT.issue("other.test"))
    assert look.trusted(context, host).status is Status.FAIL
    install(host, *ROOT.issue(*NAMES))
    del host.files[BUNDLE]
    assert "no authority is known here" in look.trusted(context, host).got
    host.put("/etc/ssl/certs/ca-certificates.crt", ROOT.pem)
    assert look.trusted(context, host).status is Status.PASS


def test_an_authority_for_trials_only(context: Context) -> None:
    server = "https://acme-staging-v02.api.letsencrypt.org/directory"
    tried = replace(context, answers=replace(context.answers, certbot=replace(context.answers.certbot, server=server)))
    fake(context).put(BUNDLE, Authority().pem)
    assert "real address" in look.trusted(tried, fake(context)).do


def test_timer(context: Context) -> None:
    host = fake(context)
    host.commands |= {("systemctl", "is-active"): "active\n", ("systemctl", "is-enabled"): "enabled\n"}
    assert look.timer_runs("certbot", host).status is Status.PASS
    host.commands["systemctl", "is-active"] = Completed((), 3, "inactive\n")
    assert look.timer_runs("certbot", host).status is Status.FAIL


def test_authority_of_the_timer(context: Context) -> None:
    host = fake(context)
    host.commands["systemctl", "show"] = f"REQUESTS_CA_BUNDLE={BUNDLE}\n"
    assert look.authority_trusted("certbot", BUNDLE, host).status is Status.PASS
    host.commands["systemctl", "show"] = "\n"
    assert look.authority_trusted("certbot", BUNDLE, host).status is Status.FAIL
    host.put(BUNDLE, "nothing")
    assert "ca_bundle" in look.authority_trusted("certbot", BUNDLE, host).do


def test_hooks(context: Context) -> None:
    host = fake(context)
    for path in (PRE, POST, DEPLOY):
        host.put(path, "#!/bin/sh\n", 0o755)
    assert look.hooks_in_place(host).status is Status.PASS
    host.files[POST].mode = 0o777
    assert look.hooks_in_place(host).status is Status.FAIL
    del host.files[PRE]
    assert "missing" in look.hooks_in_place(host).got


def test_rehearsal(context: Context) -> None:
    host = fake(context)
    host.commands["env",] = "Congratulations, all simulated renewals succeeded"
    found = look.renews(context, host)
    assert found.status is Status.PASS
    # Without --server, certbot would ask the usual authority's test server.
    assert found.asked.endswith(f"--cert-name mail.brightmail.example --server {SERVER}")
    assert host.ran == []
    host.put("/etc/ufw/user.rules", "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment="
             + b"certificate renewal".hex() + "\n")  # fmt: skip
    assert "left open" in look.renews(context, host).got
    host.commands["env",] = Completed((), 1, "  Detail: 192.0.2.10: Timeout during connect (likely firewall problem)")
    assert "port 80" in look.renews(context, host).do
    host.commands["env",] = Completed((), 1, "", "Another instance of Certbot is already running.")
    assert look.renews(context, host).status is Status.SKIP
    del host.files[f"{FOLDER}/fullchain.pem"]
    assert look.renews(context, host).status is Status.FAIL


def test_port_80(context: Context) -> None:
    host = fake(context)
    assert look.port_80_free("", host).status is Status.PASS
    host.listening = (Listener("0.0.0.0", 80, "certbot"),)
    assert look.port_80_free("", host).status is Status.PASS
    host.listening = (Listener("0.0.0.0", 80, "nginx"),)
    assert "nginx" in look.port_80_free("", host).do
    host.listening = (Listener("0.0.0.0", 80, "apache2"),)
    assert 'web.method = "apache"' in look.port_80_free("", host).do
    assert look.port_80_free("apache2", host).status is Status.PASS


def test_the_web_server_sleeps(context: Context) -> None:
    host = fake(context)
    host.commands |= {("systemctl", "is-enabled"): "masked\n", ("systemctl", "is-active"): "inactive\n"}
    assert look.web_server_sleeps("apache2", host).status is Status.PASS
    host.commands |= {("systemctl", "is-enabled"): "disabled\n", ("systemctl", "is-active"): "active\n"}
    assert look.web_server_sleeps("apache2", host).status is Status.FAIL
    assert host.ticks == 0
    # While certbot is at work, it is waited for.
    host.put(look.LOCKS[0], "")
    assert look.web_server_sleeps("apache2", host).status is Status.FAIL
    assert host.ticks > 0


def test_blank_page(context: Context) -> None:
    host = fake(context)
    path = "/var/www/html/index.html"
    assert look.blank_page(path, host).status is Status.FAIL
    host.put(path, "<html><body>It works!</body></html>")
    assert look.blank_page(path, host).status is Status.FAIL
    host.put(path, "<html><body></body></html>")
    assert look.blank_page(path, host).status is Status.PASS


def test_the_steps_ask_all_of_it(context: Context) -> None:
    ids = [check.id for check in certbot.checks(context)]
    assert len(ids) == len(set(ids)) == 8
    assert [check.id for check in web.checks(context)] == ["web.port_80"]
    assert web.plan(context) == ()
    apache = replace(context, answers=replace(context.answers, web=replace(context.answers.web, method="apache")))
    assert [check.id for check in web.checks(apache)] == ["web.port_80", "web.sleeps", "web.page"]
    assert isinstance(web.plan(apache)[0], InstallPackages)
    obtain = next(entry for entry in certbot.plan(apache) if isinstance(entry, ObtainCertificate))
    assert obtain.webroot == "/var/www/html"


def test_without_agreement_there_is_no_plan(context: Context) -> None:
    answers = replace(context.answers, certbot=replace(context.answers.certbot, agree_tos=False))
    with pytest.raises(AnswersError, match=r"certbot\.agree_tos"):
        certbot.plan(replace(context, answers=answers))
