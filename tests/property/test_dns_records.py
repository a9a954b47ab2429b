"""Whatever DNS says, the judges come to an end with a verdict; whatever is published can be read back."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.checks import dkim_record, spf_record
from wizard.host import DnsRecord, DnsReply
from wizard.records import quoted

WANTED = base64.b64encode(bytes(range(256)) + b"\x01\x02").decode()
mechanisms = st.lists(
    st.one_of(
        st.sampled_from(["a", "mx", "ptr", "-all", "include:x.test", "redirect=x.test", "exists:%{i}.x.test"]),
        st.text(max_size=20),
    ),
    max_size=12,
)  # fmt: skip


@given(st.lists(st.text(max_size=300), max_size=4))
def test_any_dkim_texts_get_an_opinion(texts: list[str]) -> None:
    assert dkim_record.compare(texts, WANTED).state in {"missing", "wrong"}


@given(st.integers(min_value=0, max_value=len(WANTED)), st.sampled_from(['"', "\\", "%", " ", "A"]))
def test_one_character_more_is_never_taken_for_the_key_unless_it_is_a_space(at: int, extra: str) -> None:
    found = dkim_record.compare([f"v=DKIM1; p={WANTED[:at]}{extra}{WANTED[at:]}"], WANTED)
    # The bytes are no RSA key: only the comparison of the texts is of interest here.
    same = "bits" in found.got
    assert same == (extra == " ")


@settings(deadline=None)
@given(mechanisms, st.sampled_from(["192.0.2.10", "2001:db8::1"]))
def test_any_spf_record_comes_to_an_end(words: list[str], ip: str) -> None:
    text = " ".join(["v=spf1", *words])

    def ask(name: str, rdtype: str) -> DnsReply:
        values = {"TXT": text, "A": "192.0.2.10", "AAAA": "2001:db8::1", "MX": "10 x.test.", "PTR": "x.test."}
        return DnsReply("NOERROR", (DnsRecord(f"{name}.", rdtype, 1, values[rdtype]),))

    found = spf_record.evaluate(ask, ip, "a@x.test", "x.test", lambda: 0.0)
    assert found.result in {"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=900))
def test_a_quoted_value_reads_back_to_the_same(value: str) -> None:
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    read = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, quoted(value))
    assert b"".join(read.strings).decode() == value  # type: ignore[attr-defined]
    assert all(len(chunk) <= 255 for chunk in read.strings)  # type: ignore[attr-defined]
