"""What the steps of names and certificates write, and the record sheet, as files to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fake_dns import NamedHost, published, world_of
from wizard import records
from wizard.operations.files import WriteFile
from wizard.steps import certbot, web

Golden = Callable[[str, str], None]
ALMA = {"id": "almalinux", "id_like": "rhel centos fedora", "version_id": "9.6"}
KEY = "v=DKIM1; h=sha256; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12


@pytest.mark.parametrize(
    ("name", "release", "method"),
    [
        ("standalone", {"id": "debian"}, "standalone"),
        ("apache", {"id": "debian"}, "apache"),
        ("apache-redhat", ALMA, "apache"),
    ],
)
def test_hooks(golden: Golden, name: str, release: dict[str, str], method: str) -> None:
    host = NamedHost(records=published(), release=release)
    raw: dict[str, object] = {"web": {"method": method}, "certbot": {"ca_bundle": '/root/my "own" 100%.pem'}}
    context, _ = world_of(host, raw)
    for operation in (*web.plan(context), *certbot.plan(context)):
        if isinstance(operation, WriteFile):
            parts = operation.path.split("/")
            short = parts[-2] if parts[-1] == "relay-wizard" else parts[-1]
            golden(f"certbot/{name}/{short}", operation.content)


def test_sheet(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "public_record", lambda *_: KEY)
    sheet = records.sheet(world_of(NamedHost())[0])
    golden("records/table.txt", records.as_table(sheet))
    golden("records/zone.txt", records.as_zone(sheet))
