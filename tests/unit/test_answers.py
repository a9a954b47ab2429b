"""What the operator may answer, and how a wrong answer is told."""

from __future__ import annotations

import pytest

from wizard.answers import Answers, AnswersError, as_tables, as_toml, load, parse, validate

WHOLE = b"""
schema = 1
[relay]
domain = "Brightmail.example."
hostname = "mail.brightmail.example"
ipv4 = "192.0.2.10"
ipv6 = ""
admin_email = "you@brightmail.example"
[home]
domains = ["hearth.example", "b\xc3\xbccher.example"]
address = "198.51.100.80"
recipients = ["anna@hearth.example"]
[[users]]
name = "you"
password_file = "/root/you.password"
[[users]]
name = "boss"
role = "admin"
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICVGGkgqO9Oi/lzyE80xzlvZNrnDeG7XdLDRRN2L8w/n boss@laptop"]
[dmarc]
rua = ["mailto:reports@brightmail.example"]
[access]
reject = ["aol.example", "203.0.113.0/24", "spam@x.example"]
"""


def test_a_whole_file_is_read_typed_and_normalised() -> None:
    answers = load(WHOLE, "answers.toml")
    assert answers.relay.domain == "brightmail.example"
    assert answers.home is not None
    assert answers.home.domains == ("hearth.example", "xn--bcher-kva.example")
    assert answers.home.port == 10025
    assert [user.name for user in answers.mail_users] == ["you"]
    assert answers.ssh.port == 2222
    assert answers.access.reject == ("aol.example", "203.0.113.0/24", "spam@x.example")


def test_answers_written_out_are_read_back_the_same() -> None:
    answers = load(WHOLE, "answers.toml")
    assert load(as_toml(answers).encode(), "again") == answers
    assert parse(as_tables(answers)) == answers
    assert load(as_toml(Answers()).encode(), "empty") == Answers()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[relay]\ndomian = "x.example"', "relay.domian: there is no such key; did you mean relay.domain?"),
        ('[rely]\ndomain = "x.example"', "rely: there is no such key; did you mean relay?"),
        ('[relay]\ndomain = "bright mail.example"', "relay.domain: the part 'bright mail' cannot stand in a DNS name"),
        ('[relay]\ndomain = "brightmail"', "has no dot"),
        ('[relay]\ndomain = "müller"', "'müller' has no dot; write the whole domain, such as müller.example"),
        ('[relay]\ndomain = "a♥b.example"', "'a♥b.example' holds a character that domain names cannot have"),
        ('[relay]\ndomain = "you@x.example"', "is a mail address; the domain is what follows the @"),
        ('[relay]\ndomain = "192.0.2.1"', "looks like an IP address"),
        ('[relay]\ndomain = "-x.example"', "the part '-x'"),
        ('[relay]\ndomain = "x.example\\nfoo = bar"', "control or invisible character"),
        ('[relay]\nhostname = "m\\u202eail.x.example"', "control or invisible character"),
        ('[relay]\nipv4 = "192.0.2.256"', "relay.ipv4: '192.0.2.256' is not an IPv4 address"),
        ('[relay]\nadmin_email = "you"', "has no @"),
        ('[relay]\nadmin_email = "a b@x.example"', "'a b' before the @"),
        ("[ssh]\nport = 70000", "ssh.port: 70000 is not a port"),
        ("[ssh]\nport = 465", "port 465 is needed by the mail relay"),
        ('[ssh]\npermit_root_login = "maybe"', "'maybe' is not one of"),
        ('[firewall]\nblock = ["203.0.113.66/24"]', "write 203.0.113.0/24 for the range, or 203.0.113.66 alone"),
        ('[firewall]\nblock = ["0.0.0.0/0"]', "the whole Internet"),
        ('[firewall]\nblock = "203.0.113.66"', "is not a list"),
        ('[[users]]\nname = "Root"', "is not a login name"),
        ('[[users]]\nname = "root"', "belongs to the system"),
        ('[[users]]\nname = "-rf"', "is not a login name"),
        ('[[users]]\nname = "a"\n[[users]]\nname = "a"', "users[1].name: 'a' is there twice"),
        ('[[users]]\nrole = "mail"', "users[0].name: it is missing"),
        ('[[users]]\nname = "a"\nssh_keys = ["command=\\"x\\" ssh-rsa AAAA"]', "is not a public SSH key"),
        ('[[users]]\nname = "a"\npassword_file = "../x"', "is not a full path"),
        ('[home]\ndomains = ["h.example"]', "home.address: it is missing"),
        ('[home]\naddress = "h.example"', "home.domains: it is missing"),
        ('[relay]\ndomain = "h.example"\n[home]\ndomains = ["h.example"]\naddress = "x.example"', "own domain"),
        (
            '[home]\ndomains = ["h.example"]\naddress = "x.example"\nrecipients = ["a@b.example"]',
            "not in one of home's",
        ),
        ('[dmarc]\nrua = ["reports@x.example"]', "has to begin with mailto:"),
        ('[dkim]\nselector = "a_b"', "is not a selector"),
        ("schema = 9", "schema: got 9, want 1"),
        ("[relay", "it is not TOML"),
        # What would mean something else where it is written.
        ('[relay]\nadmin_email = "-f@x.example"', "before the @ is not usable"),
        ('[relay]\nadmin_email = "|id@x.example"', "before the @ is not usable"),
        ('[access]\nreject = ["#a@x.example"]', "before the @ is not usable"),
        ('[relay]\nipv6 = "fe80::1%a b"', "is not an IPv6 address"),
        ('[firewall]\nblock = ["fe80::1%a 0.0.0.0/1"]', "one of a single cable"),
        ('[home]\nnetworks = ["0.0.0.0/1"]', "large part of the Internet"),
        ('[home]\nnetworks = ["::ffff:0:0/96"]', "stands for IPv4 addresses"),
        ('[home]\naddress = "fe80::1%x] smtp:[evil"', "cannot stand in a DNS name"),
        ('[relay]\ntimezone = "../../etc/passwd"', "is not a time zone"),
        ('[relay]\ndomain = "br\u0456ghtmail.example"', "mixes letters that may look alike (CYRILLIC, LATIN)"),
        ('[relay]\ndomain = "\u0430\u0440\u0440\u04cf\u0435.example"', "look like Latin ones and are not"),
        ('[relay]\ndomain = "a\u115fb.example"', "control or invisible character"),
        ('[relay]\ndomain = "a\u00a0b.example"', "control or invisible character"),
        ('[[users]]\nname = "sshd"', "belongs to the system"),
        ('[[users]]\nname = "a"\nssh_keys = ["command=\\"x\\" ssh-rsa AAAA"]', "options are not taken"),
        ('[[users]]\nname = "a"\nssh_keys = ["ssh-ed25519 AAAAC3Nz"]', "is not whole; paste all of its line"),
        ('[certbot]\nserver = "https://-x/"', "cannot stand in a DNS name"),
        ('[ssh]\nport = "\u00b2"', "is not a port"),
        (f'[relay]\ndomain = "{"a" * 5000}"', "no answer is longer"),
        (f"[access]\nreject = {['a.example'] * 5001}", "5000 are the most"),
        # What is wrong with the file itself is told without repeating what it does to a terminal.
        ('"\\u001b[2J\\u202e" = 1', "\\x1b[2J\\u202e: there is no such key"),
        ("a = " + "[" * 100_000, "it is not TOML"),
        ("a = " + "9" * 10_000, "it is not TOML"),
        ("#" * (1 << 21), "no answers file is longer"),
    ],
)
def test_a_wrong_answer_names_the_key_and_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(AnswersError) as error:
        load(text.encode(), "answers.toml")
    assert told in str(error.value)
    assert str(error.value).startswith("answers.toml: ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("例え.example", "xn--r8jz45g.example"),
        ("почта.example", "xn--80a1acny.example"),
        ("ＭＡＩＬ．example", "mail.example"),  # noqa: RUF001 - full-width letters of an input method
        # Written so, nobody is deceived: what is typed is what is shown.
        ("xn--brghtmail-w9h.example", "xn--brghtmail-w9h.example"),
    ],
)
def test_a_domain_in_other_letters_is_kept_as_registries_have_it(typed: str, meant: str) -> None:
    assert validate("relay.domain", typed) == meant


def test_the_hosts_usual_name_is_the_default() -> None:
    assert load(b'[relay]\ndomain = "a.example"', "x").relay.hostname == "mail.a.example"


def test_one_answer_is_judged_as_it_is_typed() -> None:
    assert validate("ssh.port", "2200") == 2200
    assert validate("users.name", "you") == "you"
    assert validate("relay.ipv4", "") == ""
    with pytest.raises(AnswersError, match=r"ssh\.port"):
        validate("ssh.port", "x")
    with pytest.raises(AnswersError, match="no such answer"):
        validate("ssh.colour", "x")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("home.address: it is missing", "home.address"),
        ("users[2].name: it is missing", "users"),
        ("home: it is missing", "home"),
        ("/root/password: there is no such file", ""),
        ("something else went wrong", ""),
    ],
)
def test_an_error_tells_which_answer_it_is_about(text: str, key: str) -> None:
    assert AnswersError(text).key == key
