"""Each record of the sheet: right, missing, wrong in the ways that happen, and not yet seen everywhere."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fake_dns import (
    NS1,
    NS2,
    RAW,
    RESOLVER,
    SECOND,
    THIRD,
    V6_REVERSE,
    NamedHost,
    Records,
    published,
    world_of,
)
from wizard.check import Finding, Severity, Status
from wizard.checks import dns
from wizard.operations.dkim_key import public_record
from wizard.records import live, sheet
from wizard.steps import dns as dns_step
from wizard.steps import ptr as ptr_step

D, HOME = "brightmail.example", "hearth.example"
USUAL = "https://acme-v02.api.letsencrypt.org/directory"
DKIM = f"default._domainkey.{D}"


def make_pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def pem() -> bytes:
    return make_pem()


@pytest.fixture
def host(pem: bytes) -> NamedHost:
    """A machine whose records are all published."""
    made = NamedHost(records=published())
    for domain in (D, HOME):
        made.put(f"/etc/dkimkeys/{domain}/default.private", pem, 0o600)
    context, _ = world_of(made)
    for domain in (D, HOME):
        made.records[f"default._domainkey.{domain}", "TXT"] = [public_record(context, domain)]
    return made


def ask(host: NamedHost, check_id: str, raw: dict[str, object] | None = None) -> Finding:
    context, _ = world_of(host, raw)
    checks = ptr_step.checks(context) if check_id.startswith("ptr.") else dns_step.checks(context)
    check = next(check for check in checks if check.id == check_id)
    return check.ask(host)


def test_all_is_well_and_every_check_has_its_own_id(host: NamedHost) -> None:
    context, _ = world_of(host)
    checks = [*dns_step.checks(context), *ptr_step.checks(context)]
    assert len({check.id for check in checks}) == len(checks)
    statuses = {check.id: check.ask(host).status for check in checks}
    unsigned = {f"dns.dnssec.{D}", f"dns.dnssec.{HOME}"}
    assert {name for name, status in statuses.items() if status is not Status.PASS} == unsigned
    assert all(check.outside for check in checks if check.severity is Severity.REQUIRED)


def test_nothing_is_published_yet(host: NamedHost) -> None:
    kept = {key: texts for key, texts in host.records.items() if key[1] == "NS" or "registrar" in key[0]}
    host.records = kept
    context, _ = world_of(host)
    for check in dns_step.checks(context):
        if check.severity is Severity.REQUIRED:
            found = check.ask(host)
            assert found.status is Status.FAIL, check.id
            assert "add:" in found.do, check.id


CASES = [
    # id, record, what it becomes, status, in got, in do
    (f"dns.a.mail.{D}", (f"mail.{D}", "A"), ["192.0.2.10", "198.51.100.80"], "fail", "198.51.100.80", "change it"),
    (f"dns.a.{D}", (D, "A"), ["198.51.100.80"], "warn", "198.51.100.80", "web site"),
    (f"dns.a.{D}", (D, "A"), [], "fail", "no A record", "A  @  192.0.2.10"),
    (f"dns.aaaa.mail.{D}", (f"mail.{D}", "AAAA"), ["2001:db8::1"], "fail", "2001:db8::1", "AAAA  mail"),
    (f"dns.mx.{D}", (D, "MX"), ["5 mx.other.test.", f"10 mail.{D}."], "fail", "asked first", "take away"),
    (f"dns.mx.{D}", (D, "MX"), ["10 mx.other.test.", f"10 mail.{D}."], "fail", "as often", "take away"),
    (f"dns.mx.{D}", (D, "MX"), [f"10 mail.{D}.", "50 mx.other.test."], "pass", "50 mx.other.test", ""),
    (f"dns.mx.{D}", (D, "MX"), ["0 ."], "fail", "not among them", "change it"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 a:mail.brightmail.example -all", "v=spf1 mx ~all"], "fail", "2 SPF",
     "keep one"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 ip4:198.51.100.1 -all"], "fail", "fail for 192.0.2.10",
     "v=spf1 ip4:198.51.100.1 a:mail.brightmail.example -all"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 mx ip4:198.51.100.1 ~all", "another text"], "pass", "pass for", ""),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 ip4:192.0.2.10 -all"], "fail", "fail for 2001:db8:2::10", "a:mail"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 +all"], "fail", "everybody", "change it"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 mx"], "warn", "does not say", ""),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 ipv4:192.0.2.10 -all"], "fail", "permerror", "change it"),
    (f"dns.spf.{D}", (D, "TXT"), ["v=spf1 mx include:nowhere.test -all"], "warn", "meet an error", ""),
    (f"dns.spf.{HOME}", (D, "TXT"), ["v=spf1 -all"], "fail", "fail for", "mend first"),
    (f"dns.spf.mail.{D}", (f"mail.{D}", "TXT"), ["google-verification=1"], "fail", "no SPF record", "TXT  mail"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=DMARC1; p=none; pct=50; rua=mailto:a@brightmail.example"], "warn",
     "pct", "change it"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=DMARC1; p=none"], "warn", "no rua", "change it"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=DMARC1; p=none; rua=mailto:a@other.test"], "warn", "does not allow",
     "change it"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=DMARC1; p=perhaps"], "fail", "perhaps", "change it"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=dmarc1; p=none"], "fail", "has to begin", "change it"),
    (f"dns.dmarc.{D}", (f"_dmarc.{D}", "TXT"), ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "fail", "2 DMARC", "change"),
    (f"dns.report.{HOME}.to.{D}", (f"{HOME}._report._dmarc.{D}", "TXT"), ["nonsense"], "fail", "nonsense", "change it"),
    ("ptr.ipv4", ("10.2.0.192.in-addr.arpa", "PTR"), [], "fail", "no PTR", "ticket"),
    ("ptr.ipv4", ("10.2.0.192.in-addr.arpa", "PTR"), ["vps-10.provider.example."], "fail", "generic", "panel"),
    ("ptr.ipv4", ("10.2.0.192.in-addr.arpa", "PTR"), [f"mail.{D}.", "x.test."], "warn", "several", "panel"),
    ("ptr.ipv6", (V6_REVERSE, "PTR"), [], "fail", "no PTR", "IPv4 only"),
    ("ptr.ipv6_confirmed", (f"mail.{D}", "AAAA"), [], "fail", "does not lead back", "AAAA record"),
    ("ptr.ipv4_confirmed", ("10.2.0.192.in-addr.arpa", "PTR"), [], "fail", "no name", "ptr"),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "key", "texts", "status", "got", "do"), CASES)
def test_one_record_changed(  # noqa: PLR0917
    host: NamedHost, check_id: str, key: tuple[str, str], texts: list[str], status: str, got: str, do: str
) -> None:
    host.records[key] = texts
    found = ask(host, check_id)
    assert (found.status.value, got in found.got, do in found.do) == (status, True, True), found


@pytest.mark.parametrize(
    ("mangle", "status", "got"),
    [
        (lambda text: [f'"{text}"'], "fail", "quotation marks"),
        (lambda text: [text.replace(";", "\\;")], "fail", "backslashes"),
        (lambda text: [text[:200], text[200:]], "fail", "instead of one"),
        (lambda text: [text, text.replace("p=MII", "p=MIJ")], "fail", "where there has to be one"),
        (lambda text: [text[:255]], "fail", "cut off after"),
        (lambda text: [f"{text[:300]}{'A' if text[300] != 'A' else 'B'}{text[301:]}"], "fail", "differs at character"),
        (lambda text: [f"{text[:200]} {text[200:]}"], "pass", "2048 bits"),
        (lambda text: [text, "some other text"], "pass", "2048 bits"),
        (lambda text: [f"{text}; t=y"], "warn", "ignore the signature"),
        (lambda _: ["v=DKIM1; k=rsa; p="], "fail", "revoked"),
        (lambda _: ["v=DKIM1"], "fail", "no key in it"),
        (lambda text: [text.replace("sha256", "sha1")], "fail", "sha256"),
        (lambda text: [text.replace("k=rsa", "k=ed25519")], "fail", "RSA"),
        (lambda text: [f"{text}; s=tlsrpt"], "fail", "not for e-mail"),
        (lambda text: [text.replace("DKIM1", "DKIM2")], "fail", "do not know"),
        (lambda text: [text.replace("p=", "p=%")], "fail", "the character"),
        (lambda _: [], "fail", "no TXT record"),
    ],
)
def test_a_dkim_record_as_forms_mangle_it(host: NamedHost, mangle: object, status: str, got: str) -> None:
    host.records[DKIM, "TXT"] = mangle(host.records[DKIM, "TXT"][0])  # type: ignore[operator]
    found = ask(host, f"dns.dkim.{D}")
    assert (found.status.value, got in found.got) == (status, True), found


def test_the_dkim_record_of_another_key(host: NamedHost) -> None:
    host.put(f"/etc/dkimkeys/{D}/default.private", make_pem(), 0o600)
    found = ask(host, f"dns.dkim.{D}")
    assert found.status is Status.FAIL
    assert "another key" in found.got
    assert "private half" in found.do


def test_no_key_yet_and_a_file_that_is_none(host: NamedHost) -> None:
    del host.files[f"/etc/dkimkeys/{D}/default.private"]
    assert "not made yet" in ask(host, f"dns.dkim.{D}").got
    host.put(f"/etc/dkimkeys/{D}/default.private", "not a key", 0o600)
    found = ask(host, f"dns.dkim.{D}")
    assert found.status is Status.FAIL
    assert "not a private key" in found.got


def test_one_server_lags_behind(host: NamedHost) -> None:
    host.views[NS2] = {(D, "MX"): []}
    found = ask(host, f"dns.mx.{D}")
    assert found.status is Status.FAIL
    assert NS2 in found.got
    assert "the others have it already" in found.got


def test_one_server_is_down(host: NamedHost) -> None:
    host.silent = {NS2}
    found = ask(host, f"dns.mx.{D}")
    assert found.status is Status.WARN
    assert f"ns2.registrar.example ({NS2}): no answer" in found.got


def seen(host: NamedHost, resolvers: list[str]) -> list[str]:
    context, _ = world_of(host, {**RAW, "dns": {"resolvers": resolvers}})
    mx = next(record for record in sheet(context) if record.kind == "mx" and record.subject == D)
    return [f"{entry.server}: {entry.says}" for entry in live(context, [mx])[mx].seen]


def test_what_each_server_says(host: NamedHost) -> None:
    first, second = (f"ns1.registrar.example ({NS1})", f"ns2.registrar.example ({NS2})")
    old: Records = {(D, "MX"): ["10 old.example."]}
    host.views |= {SECOND: old, THIRD: {(D, "MX"): []}}
    assert seen(host, [RESOLVER, SECOND, THIRD]) == [
        f"{first}: published, TTL 120",
        f"{second}: published, TTL 120",
        f"{RESOLVER}: published, 120 s left",
        f"{SECOND}: still the old value, 120 s left",
        f"{THIRD}: still remembers that there was nothing, 300 s left",
    ]
    host.views[NS1] = {(D, "MX"): []}
    host.silent = {NS2}
    host.questions.clear()
    assert seen(host, [RESOLVER]) == [
        f"{first}: nothing yet (remembered for 300 s)",
        f"{second}: no answer (TIMEOUT)",
    ]
    assert (RESOLVER, D, "MX") not in host.questions, "a resolver would remember that there was nothing"
    host.views[NS1] = old
    assert seen(host, [RESOLVER])[0] == f"{first}: another value, TTL 120"


def test_published_but_the_resolver_remembers_that_there_was_nothing(host: NamedHost) -> None:
    host.views[RESOLVER] = {(f"_dmarc.{D}", "TXT"): []}
    found = ask(host, f"dns.dmarc.{D}")
    assert found.status is Status.FAIL
    assert "published, but 203.0.113.55 still remembers an older answer, for 5 minutes" in found.got
    assert "Nothing but wait" in found.do


def test_a_quorum_of_resolvers_is_enough(host: NamedHost) -> None:
    raw: dict[str, object] = {"dns": {"resolvers": [RESOLVER, SECOND, THIRD]}}
    host.views[SECOND] = {(D, "MX"): ["10 old.test."]}
    assert ask(host, f"dns.mx.{D}", raw).status is Status.PASS
    host.views[THIRD] = {(D, "MX"): ["10 old.test."]}
    assert "still remembers" in ask(host, f"dns.mx.{D}", raw).got


def test_resolvers_that_refuse_what_is_published(host: NamedHost) -> None:
    raw: dict[str, object] = {"dns": {"resolvers": [SECOND, RESOLVER]}}
    found = ask(host, f"dns.mx.{D}", raw)
    assert found.status is Status.PASS
    context, world = world_of(host)
    mx = next(record for record in sheet(context) if record.kind == "mx")
    world.zone(D)
    host.refusing = {RESOLVER}
    verdict = dns.judge(context, world, mx)
    assert verdict.state == "wrong"
    assert "SERVFAIL" in verdict.got


def test_a_domain_that_nobody_has_registered(host: NamedHost) -> None:
    host.records = {key: texts for key, texts in host.records.items() if D not in key[0]}
    found = ask(host, f"dns.mx.{D}")
    assert found.status is Status.FAIL
    assert "add: MX" in found.do or "Register" in found.do


def test_nobody_can_be_asked(host: NamedHost) -> None:
    host.silent = {RESOLVER}
    found = ask(host, f"dns.mx.{D}")
    assert found.status is Status.FAIL
    assert "do not answer" in found.got


def test_only_the_resolvers_can_be_asked(host: NamedHost) -> None:
    host.silent = {NS1, NS2}
    assert ask(host, f"dns.mx.{D}").status is Status.WARN


def test_the_form_has_added_the_domain_by_itself(host: NamedHost) -> None:
    texts = host.records.pop((f"_dmarc.{D}", "TXT"))
    host.records[f"_dmarc.{D}.{D}", "TXT"] = texts
    found = ask(host, f"dns.dmarc.{D}")
    assert f"there is one at _dmarc.{D}.{D}" in found.got
    assert "enter only _dmarc as host" in found.do


def test_an_alias_in_the_way(host: NamedHost) -> None:
    del host.records[f"_dmarc.{D}", "TXT"]
    host.records[f"_dmarc.{D}", "CNAME"] = [f"loop.{D}."]
    host.records[f"loop.{D}", "CNAME"] = [f"_dmarc.{D}."]
    found = ask(host, f"dns.dmarc.{D}")
    assert found.status is Status.FAIL
    assert "alias (CNAME)" in found.got
    assert "take away the CNAME _dmarc" in found.do


def test_the_mail_host_is_an_alias(host: NamedHost) -> None:
    host.records[f"mail.{D}", "CNAME"] = ["vps.provider.example."]
    host.records["vps.provider.example", "A"] = host.records.pop((f"mail.{D}", "A"))
    found = ask(host, f"dns.mx.{D}")
    assert found.status is Status.FAIL
    assert "alias (CNAME) of vps.provider.example" in found.got


def test_ipv4_only_must_not_promise_ipv6(host: NamedHost) -> None:
    raw: dict[str, object] = {"relay": {**RAW["relay"], "ipv6": ""}}  # type: ignore[dict-item]
    assert ask(host, f"dns.no_aaaa.mail.{D}", raw).status is Status.FAIL
    host.records[f"mail.{D}", "AAAA"] = []
    assert ask(host, f"dns.no_aaaa.mail.{D}", raw).status is Status.PASS


@pytest.mark.parametrize(
    ("server", "texts", "status"),
    [
        (USUAL, ['0 issue "letsencrypt.org"'], "pass"),
        (USUAL, ['0 issue "letsencrypt.org; validationmethods=http-01"'], "pass"),
        (USUAL, ['0 issue "digicert.com"'], "fail"),
        (USUAL, ['0 issue ";"'], "fail"),
        (USUAL, ['0 iodef "mailto:a@b.test"'], "pass"),
        ("https://acme.certifier.example:14000/dir", ['0 issue "digicert.com"'], "skip"),
        ("https://acme.certifier.example:14000/dir", [], "pass"),
    ],
)
def test_certificate_authorities(host: NamedHost, server: str, texts: list[str], status: str) -> None:
    host.records[D, "CAA"] = texts
    assert ask(host, f"dns.caa.mail.{D}", {"certbot": {"server": server}}).status.value == status


def test_dnssec(host: NamedHost) -> None:
    assert ask(host, f"dns.dnssec.{D}").status is Status.SKIP
    host.records[D, "DS"] = ["1 8 2 ab"]
    assert ask(host, f"dns.dnssec.{D}").status is Status.SKIP
    host.validated = True
    assert ask(host, f"dns.dnssec.{D}").status is Status.PASS
    context, world = world_of(host)
    host.validated = False
    world.lookup(D, "DS")
    host.refusing = {RESOLVER}
    assert dns.dnssec(world, D).status is Status.FAIL
    assert context.domain == D


def test_names_that_machines_give() -> None:
    generated = (
        "vps-10.provider.example",
        "static.10-2-0-192.isp.test",
        "10-2-0-192.isp.test",
        "host80.isp.test",
        "dhcp.x.test",
    )
    chosen = (
        "mail.brightmail.example",
        "mx1.example.org",
        "relay.host.example",
        "vps.example.org",
        "client.example.org",
    )
    assert all(dns.generic(name) for name in generated)
    assert not any(dns.generic(name) for name in chosen)
    host = NamedHost()
    raw: dict[str, object] = {"relay": {**RAW["relay"], "hostname": "vps-10.brightmail.example"}}  # type: ignore[dict-item]
    assert ask(host, "ptr.chosen_name", raw).status is Status.WARN
    assert ask(host, "ptr.chosen_name").status is Status.PASS


def test_whether_a_name_points_here(host: NamedHost) -> None:
    def points(records: Records) -> bool | None:
        host.records |= records
        return dns.points_here(*world_of(host), D)

    assert points({}) is True
    assert points({(D, "AAAA"): ["2001:db8::1"]}) is False
    assert points({(D, "AAAA"): [], (D, "A"): []}) is None


def test_for_other_steps(host: NamedHost) -> None:
    resolvers = (RESOLVER,)
    assert dns.spf_records(host, resolvers, HOME) == ("v=spf1 include:brightmail.example -all",)
    assert dns.dkim_texts(host, resolvers, "default", D) == tuple(host.records[DKIM, "TXT"])
    assert dns.evaluate_spf(host, resolvers, "192.0.2.10", f"a@{HOME}", f"mail.{D}")[0] == "pass"
    assert dns.evaluate_spf(host, resolvers, "198.51.100.9", f"a@{HOME}", "x.test")[0] == "fail"
    assert dns.evaluate_spf(host, resolvers, "192.0.2.10", "", f"mail.{D}")[0] == "pass"
    host.silent = {RESOLVER}
    assert dns.txt(host, resolvers, D) is None
    assert dns.evaluate_spf(host, resolvers, "192.0.2.10", f"a@{D}", "x.test")[0] == "temperror"


def test_what_the_world_sees_of_the_sheet(host: NamedHost) -> None:
    host.records[D, "MX"] = []
    host.records[D, "TXT"] = ["v=spf1 -all"]
    host.views[RESOLVER] = {(f"_dmarc.{D}", "TXT"): []}
    del host.files[f"/etc/dkimkeys/{HOME}/default.private"]
    context, _ = world_of(host)
    records = sheet(context)
    states = {(record.kind, record.subject): state.state for record, state in live(context, records).items()}
    assert states["mx", D] == "missing"
    assert states["spf", D] == "wrong"
    assert states["dmarc", D] == "published"
    assert states["dkim", HOME] == "unknown"
    assert states["ptr", "192.0.2.10"] == "published"
