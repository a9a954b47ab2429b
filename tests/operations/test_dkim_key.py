"""DKIM keys: made once, for the signer alone, and never again."""

from __future__ import annotations

import pytest

from tests.fake_dns import world_of
from tests.fake_host import FakeFile, FakeHost
from wizard.fact import Context
from wizard.operation import OperationFailed
from wizard.operations.dkim_key import BITS, key_path, make_key, public_key, public_record, record_name

PATH = "/etc/dkimkeys/brightmail.example/default.private"


@pytest.fixture
def context() -> Context:
    from tests.fake_dns import NamedHost

    return world_of(NamedHost())[0]


def fake(context: Context) -> FakeHost:
    assert isinstance(context.host, FakeHost)
    return context.host


def test_a_key_is_made_once(context: Context) -> None:
    host = fake(context)
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nopendkim:x:105:110::/run/opendkim:/usr/sbin/nologin\n")
    operation = make_key(context, "brightmail.example")
    change = operation.diff(host)
    assert change is not None
    assert change.kept
    assert not change.paths, "a snapshot of the key would put it into the store"
    operation.apply(host)
    made = host.files[PATH]
    assert (made.mode, made.owner, made.group) == (0o600, "opendkim", "opendkim")
    folder = host.files["/etc/dkimkeys/brightmail.example"]
    assert (folder.mode, folder.owner) == (0o700, "opendkim")
    assert operation.diff(host) is None
    assert "PRIVATE KEY" not in f"{change}{operation}"


def test_root_owns_it_while_there_is_no_signer(context: Context) -> None:
    host = fake(context)
    make_key(context, "brightmail.example").apply(host)
    assert host.files[PATH].owner == "root"


def test_the_record_is_the_public_half(context: Context) -> None:
    import base64

    from cryptography.hazmat.primitives import serialization

    assert public_record(context, "brightmail.example") == ""
    make_key(context, "brightmail.example").apply(fake(context))
    record = public_record(context, "brightmail.example")
    assert record.startswith("v=DKIM1; h=sha256; k=rsa; p=")
    key = serialization.load_der_public_key(base64.b64decode(record.partition("p=")[2]))
    assert key.key_size == BITS  # type: ignore[union-attr]
    assert record_name(context, "brightmail.example") == "default._domainkey.brightmail.example"
    assert key_path(context, "brightmail.example") == PATH


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_never_overwritten(context: Context, content: bytes) -> None:
    host = fake(context)
    host.put(PATH, content, 0o600)
    with pytest.raises(OperationFailed) as failure:
        make_key(context, "brightmail.example").diff(host)
    assert "Move" in failure.value.do
    assert host.files[PATH].data == content


def test_a_key_of_another_kind_and_a_link(context: Context) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.certificates import pem_key

    host = fake(context)
    host.put(PATH, pem_key(ec.generate_private_key(ec.SECP256R1())), 0o600)
    with pytest.raises(ValueError, match="not an RSA key"):
        public_key(host, PATH)
    host.files[PATH] = FakeFile(kind="symlink", target="/root/elsewhere")
    with pytest.raises(OperationFailed, match="symlink"):
        make_key(context, "brightmail.example").diff(host)
