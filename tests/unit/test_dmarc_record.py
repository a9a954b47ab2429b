"""DMARC records as receivers read them."""

from __future__ import annotations

import pytest

from wizard.checks.dmarc_record import aligned, discover, is_dmarc, parse, walk

ZONE = {
    "_dmarc.brightmail.example": ("v=DMARC1; p=none",),
    "_dmarc.strict.example": ("v=DMARC1; p=reject; adkim=s; aspf=s",),
    "_dmarc.two.example": ("v=DMARC1; p=none", "v=DMARC1; p=reject"),
    "_dmarc.co.example": ("v=DMARC1; p=none; psd=y",),
    "_dmarc.unit.corp.example": ("v=DMARC1; p=quarantine; psd=n",),
    "_dmarc.corp.example": ("v=DMARC1; p=reject",),
    "_dmarc.other.example": ("hello", "v=DMARC1;p=reject"),
}


def texts(name: str) -> tuple[str, ...] | None:
    return ZONE.get(name, ())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("v=DMARC1; p=none", True), ("v=DMARC1", True), ("v = DMARC1 ;", True), ("v=DMARC2; p=none", False),
     (" v=DMARC1; p=none", False), ("v=dmarc1; p=none", False), ("v=spf1 -all", False)],
)  # fmt: skip
def test_is_dmarc(text: str, wanted: bool) -> None:  # noqa: FBT001
    assert is_dmarc(text) is wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("v=DMARC1; rua=mailto:a@b.example", "there is no p"),
        ("v=DMARC1; p=block", "p=block is none of none, quarantine, reject"),
        ("v=DMARC1; p=none; adkim=x", "adkim=x"),
        ("v=DMARC1; p=none; colour=red", "there is no tag colour"),
        ("v=DMARC1; p=none; p=reject", "p is there twice"),
        ("v=DMARC1; p=none; rua=a@b.example", "rua=a@b.example is no mailto:"),
        ("v=DMARC1; p=none rua", "is none of"),
        ("v=DMARC1; nonsense; p=none", "'nonsense' is no tag"),
    ],
)
def test_errors_are_named(text: str, complaint: str) -> None:
    assert any(complaint in error for error in parse(text).errors)


def test_a_sound_record() -> None:
    found = parse("v=DMARC1; p=Quarantine; t=y; rua=mailto:a@b.example!10m, mailto:c@d.example; fo=1; np=reject;")
    assert found.errors == ()
    assert found.removed == ()
    assert (found.policy, found.testing) == ("quarantine", True)
    assert found.report_addresses == ("a@b.example", "c@d.example")
    assert not found.strict("adkim")


def test_removed_tags_are_told_apart_from_unknown_ones() -> None:
    found = parse("v=DMARC1; p=none; pct=50; ri=86400")
    assert found.removed == ("pct", "ri")
    assert found.errors == ()


def test_a_long_name_is_cut_before_the_walk_goes_on() -> None:
    assert walk("brightmail.example") == ("brightmail.example", "example")
    names = walk("a.b.c.d.e.f.g.h.i.j.example")
    assert names[:3] == ("a.b.c.d.e.f.g.h.i.j.example", "e.f.g.h.i.j.example", "f.g.h.i.j.example")


@pytest.mark.parametrize(
    ("domain", "policy", "organization"),
    [
        ("brightmail.example", "none", "brightmail.example"),
        ("mail.brightmail.example", "none", "brightmail.example"),
        ("two.example", None, "two.example"),
        ("shop.co.example", "none", "shop.co.example"),
        ("www.shop.co.example", "none", "shop.co.example"),
        ("x.unit.corp.example", "quarantine", "unit.corp.example"),
        ("y.corp.example", "reject", "corp.example"),
        ("other.example", "reject", "other.example"),
    ],
)
def test_discover(domain: str, policy: str | None, organization: str) -> None:
    record, found = discover(domain, texts)
    assert (record.policy if record else None) == policy
    assert found == organization


def test_silence_is_no_answer() -> None:
    with pytest.raises(LookupError):
        discover("brightmail.example", lambda _name: None)


@pytest.mark.parametrize(
    ("domain", "author", "strict", "wanted"),
    [
        ("brightmail.example", "brightmail.example", True, True),
        ("mail.brightmail.example", "brightmail.example", False, True),
        ("mail.brightmail.example", "brightmail.example", True, False),
        ("Mail.Brightmail.Example.", "brightmail.example", False, True),
        ("corp.example", "x.unit.corp.example", False, False),
        ("bank.example", "brightmail.example", False, False),
    ],
)
def test_aligned(domain: str, author: str, strict: bool, wanted: bool) -> None:  # noqa: FBT001
    assert aligned(domain, author, strict=strict, texts=texts) is wanted
