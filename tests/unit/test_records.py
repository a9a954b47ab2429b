"""The record sheet: what is on it, and its three forms."""

from __future__ import annotations

import re

import pytest

from tests.fake_dns import RAW, NamedHost, world_of
from wizard import records
from wizard.records import Live, PublishedRecord

KEY = "v=DKIM1; h=sha256; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12


@pytest.fixture(autouse=True)
def known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "public_record", lambda *_: KEY)


def sheet(raw: dict[str, object] | None = None) -> tuple[PublishedRecord, ...]:
    return records.sheet(world_of(NamedHost(), raw)[0])


def relay(**more: object) -> dict[str, object]:
    return {"relay": {**RAW["relay"], **more}}  # type: ignore[dict-item]


def texts(made: tuple[PublishedRecord, ...], kind: str) -> dict[str, str]:
    return {record.name: record.value for record in made if record.kind == kind}


def test_everything_is_on_one_sheet() -> None:
    made = sheet()
    assert texts(made, "spf") == {
        "mail.brightmail.example": "v=spf1 a -all",
        "brightmail.example": "v=spf1 a:mail.brightmail.example -all",
        "hearth.example": "v=spf1 include:brightmail.example -all",
    }
    assert texts(made, "mx") == dict.fromkeys(("brightmail.example", "hearth.example"), "mail.brightmail.example")
    assert set(texts(made, "dkim")) == {"default._domainkey.brightmail.example", "default._domainkey.hearth.example"}
    assert set(texts(made, "report")) == {"hearth.example._report._dmarc.brightmail.example"}
    assert {record.where for record in made if record.kind == "ptr"} == {"provider"}
    assert len(texts(made, "ptr")) == 2
    assert all(record.why.endswith(".") for record in made)
    for value in texts(made, "dmarc").values():
        assert not re.search(r"\b(pct|rf|ri)=", value)


def test_ipv4_only_without_home() -> None:
    context, _ = world_of(NamedHost(), relay(ipv6=""))
    made = records.sheet(context)
    assert not texts(made, "aaaa")
    without = {key: value for key, value in RAW.items() if key != "home"}
    from wizard.answers import parse
    from wizard.fact import Context, Facts

    host = NamedHost()
    alone = records.sheet(Context(host, parse(without), Facts(host)))
    assert set(texts(alone, "mx")) == {"brightmail.example"}
    assert not texts(alone, "report")


def test_the_mail_host_is_the_domain_itself() -> None:
    made = sheet(relay(hostname="brightmail.example"))
    assert texts(made, "spf")["brightmail.example"] == "v=spf1 a -all"
    names = [(record.kind, record.name, record.value) for record in made]
    assert len(names) == len(set(names))
    assert [record.may_differ for record in made if record.kind == "a"] == [False]


def test_the_mail_host_is_inside_homes_domain() -> None:
    made = sheet(relay(hostname="mx.hearth.example"))
    assert texts(made, "a")["mx.hearth.example"] == "192.0.2.10"
    zone = {record.name: record.zone for record in made}
    assert zone["mx.hearth.example"] == "hearth.example"
    assert texts(made, "spf")["hearth.example"] == "v=spf1 include:brightmail.example -all"


def test_the_mail_host_is_a_mail_domain_of_home_as_well() -> None:
    made = sheet({"home": {"domains": ["mail.brightmail.example"], "address": "198.51.100.80"}})
    assert [record.value for record in made if record.kind == "spf" and record.name == "mail.brightmail.example"] == [
        "v=spf1 a -all"
    ]


def test_reports_that_go_to_strangers_need_no_record_of_ours() -> None:
    assert not texts(sheet({"dmarc": {"rua": ["mailto:a@dmarc.other.test"]}}), "report")
    assert not texts(sheet({"dmarc": {"rua": ["mailto:a@reports.hearth.example"]}}), "report").get(
        "hearth.example._report._dmarc.reports.hearth.example"
    )


def test_json_has_the_rows_of_the_contract() -> None:
    made = sheet()
    rows = records.as_json(made, {made[0]: Live("published")})
    assert set(rows[0]) == {"name", "type", "value", "priority", "ttl", "where", "why", "live"}
    assert [row["live"] for row in rows[:2]] == ["published", "unknown"]
    mx = next(row for row in rows if row["type"] == "MX")
    assert (mx["priority"], mx["value"]) == (10, "mail.brightmail.example")


def test_a_table_keeps_every_value_whole_on_its_line() -> None:
    made = sheet()
    table = records.as_table(made, {made[0]: Live("missing", "no A record")})
    for record in made:
        assert any(line.endswith(f"  {record.value}") for line in table.splitlines()), record
    assert "missing: no A record" in table
    assert "At the registrar of hearth.example:" in table
    assert records.quoted(KEY) in table


def test_a_zone_file_is_one_that_dns_software_reads() -> None:
    import dns.rdatatype
    import dns.zone

    made = sheet()
    text = records.as_zone(made)
    zone = dns.zone.from_text("$TTL 60\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\n" + text, origin=".", relativize=False)
    found = zone.get_rdataset("default._domainkey.hearth.example.", dns.rdatatype.TXT)
    assert found is not None
    assert b"".join(found[0].strings).decode() == KEY
    assert all(len(chunk) <= 255 for chunk in found[0].strings)


def test_a_key_that_is_not_made_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "public_record", lambda *_: "")
    made = sheet()
    assert "apply the step “DNS records”" in records.as_table(made)
    assert "; default._domainkey.brightmail.example. TXT" in records.as_zone(made)


def test_a_file_that_is_no_key_does_not_hide_the_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ValueError("it is not a private key")

    monkeypatch.setattr(records, "public_record", broken)
    assert texts(sheet(), "dkim")["default._domainkey.brightmail.example"] == ""


def test_hosts_as_forms_want_them() -> None:
    hosts = {record.name: record.host for record in sheet()}
    assert hosts["brightmail.example"] == "@"
    assert hosts["_dmarc.hearth.example"] == "_dmarc"
    assert hosts["hearth.example._report._dmarc.brightmail.example"] == "hearth.example._report._dmarc"
    assert hosts["10.2.0.192.in-addr.arpa"] == "192.0.2.10"
