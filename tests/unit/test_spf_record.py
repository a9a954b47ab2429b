"""SPF evaluated as receivers do, bounded as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wizard.checks.spf_record import SpfResult, evaluate, is_spf, with_mechanism
from wizard.host import DnsRecord, DnsReply

Zone = dict[tuple[str, str], list[str]]


def answering(zone: Zone) -> Callable[[str, str], DnsReply]:
    def ask(name: str, rdtype: str) -> DnsReply:
        found = tuple(DnsRecord(f"{name}.", rdtype, 60, text) for text in zone.get((name, rdtype), []))
        return DnsReply("NOERROR" if found else "NXDOMAIN", found)

    return ask


def judge(zone: Zone, ip: str = "192.0.2.10", clock: Callable[[], float] = lambda: 0.0) -> SpfResult:
    return evaluate(answering(zone), ip, "a@brightmail.example", "mail.brightmail.example", clock)


@pytest.mark.parametrize(
    ("record", "more", "ip", "result"),
    [
        ("v=spf1 a -all", {("brightmail.example", "A"): ["192.0.2.10"]}, "192.0.2.10", "pass"),
        ("v=spf1 a -all", {("brightmail.example", "AAAA"): ["2001:db8:2::10"]}, "2001:db8:2::10", "pass"),
        ("v=spf1 mx -all", {("brightmail.example", "MX"): ["10 m.test."], ("m.test", "A"): ["192.0.2.10"]},
         "192.0.2.10", "pass"),
        ("v=spf1 ptr:brightmail.example -all", {("10.2.0.192.in-addr.arpa", "PTR"): ["m.brightmail.example."],
         ("m.brightmail.example", "A"): ["192.0.2.10"]}, "192.0.2.10", "pass"),
        ("v=spf1 redirect=o.test", {("o.test", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"]}, "192.0.2.10", "pass"),
        ("v=spf1 exists:%{i}.o.test -all", {("192.0.2.10.o.test", "A"): ["127.0.0.2"]}, "192.0.2.10", "pass"),
        ("v=spf1 ~all", {}, "192.0.2.10", "softfail"),
        ("v=spf1 include:o.test -all", {}, "192.0.2.10", "permerror"),
        ("v=spf1 a:" + "x." * 130 + "test -all", {}, "192.0.2.10", "fail"),
    ],
)  # fmt: skip
def test_results(record: str, more: Zone, ip: str, result: str) -> None:
    assert judge({("brightmail.example", "TXT"): [record], **more}, ip).result == result


def test_no_record_and_two() -> None:
    assert judge({}).result == "none"
    assert judge({("brightmail.example", "TXT"): ["v=spf1 -all", "v=spf1 ~all"]}).result == "permerror"


def test_more_than_ten_lookups() -> None:
    zone: Zone = {(f"o{n}.test", "TXT"): ["v=spf1 ip4:198.51.100.1 -all"] for n in range(11)}
    zone["brightmail.example", "TXT"] = ["v=spf1 " + " ".join(f"include:o{n}.test" for n in range(11)) + " -all"]
    assert judge(zone).result == "permerror"


def test_more_than_two_lookups_that_find_nothing() -> None:
    zone: Zone = {("brightmail.example", "TXT"): ["v=spf1 a:a.test a:b.test a:c.test ip4:192.0.2.10 -all"]}
    assert "nothing" in judge(zone).explanation


def test_an_endless_chain_and_an_endless_wait() -> None:
    zone: Zone = {(f"o{n}.test", "TXT"): [f"v=spf1 include:o{n + 1}.test -all"] for n in range(40)}
    zone["brightmail.example", "TXT"] = ["v=spf1 include:o0.test -all"]
    assert judge(zone).result == "permerror"
    ticks = iter(range(0, 4000, 7))
    assert judge(zone, clock=lambda: float(next(ticks))).result == "temperror"


def test_a_name_server_that_fails() -> None:
    found = evaluate(lambda *_: DnsReply("SERVFAIL"), "192.0.2.10", "a@b.test", "b.test", lambda: 0.0)
    assert found.result == "temperror"


def test_what_is_an_spf_record() -> None:
    assert is_spf("v=spf1")
    assert is_spf("V=SPF1 -all")
    assert not is_spf("v=spf10 -all")
    assert not is_spf("spf1 -all")


def test_one_more_mechanism() -> None:
    assert with_mechanism("v=spf1 mx ~all", "a:m.test") == "v=spf1 mx a:m.test ~all"
    assert with_mechanism("v=spf1 redirect=o.test", "a") == "v=spf1 a redirect=o.test"
    assert with_mechanism("v=spf1", "a") == "v=spf1 a"
    assert with_mechanism("v=spf1 a -all", "a") == "v=spf1 a -all"
