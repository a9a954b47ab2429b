"""The lab itself: the world refuses what it must refuse, so that what it accepts means something."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from . import receiver
from .client import HELO, letter
from .mailbox import verdict, wait_for
from .nameservers import BLOCKLIST
from .places import MX, NS2, RESOLVER

if TYPE_CHECKING:
    from .relay import Relay

READER = receiver.READER


def test_the_receiver_judges_by_spf_and_dmarc(relay: Relay) -> None:
    outside = replace(relay.client, server=MX, name=receiver.HOST)
    honest = letter("me@stranger.example", READER, "honest")
    said = outside.deliver("me@stranger.example", READER, honest)
    assert said.code == 250, said.told()
    judged = verdict(wait_for(relay.lab.world, "reader", str(honest["Message-ID"])), receiver.HOST)
    assert (judged.result("spf"), judged.result("dmarc")) == ("pass", "none"), judged.headers

    said = outside.deliver("me@forged.example", READER)
    assert said.code == 550, f"a sender that SPF forbids: wanted a refusal\n{said.told()}"
    said = outside.deliver("me@stranger.example", READER, letter("me@forged.example", READER, "forged"))
    assert said.code == 550, f"a From that DMARC forbids: wanted a refusal\n{said.told()}"
    said = replace(outside, helo="no.such.name.example").deliver("me@stranger.example", READER)
    assert said.code == 550, f"a HELO name that does not exist: wanted a refusal\n{said.told()}"


def test_the_servers_of_the_lab_agree_on_the_operators_records(relay: Relay) -> None:
    name, long = "_lab.brightmail.example", "x" * 300 + ' "quoted" \\ ; end'
    relay.operator.set(name, "TXT", [long])
    assert [relay.operator.get(name, "TXT", server) for server in (NS2, RESOLVER)] == [[long], [long]]
    relay.operator.set(name, "TXT", [])
    assert relay.operator.get(name, "TXT", RESOLVER) == []


@pytest.mark.parametrize(("entry", "listed"), [("2.0.0.127", True), ("1.0.0.127", False), ("10.2.0.192", False)])
def test_the_block_list_has_the_entries_that_prove_it_works(relay: Relay, entry: str, *, listed: bool) -> None:
    assert bool(relay.operator.get(f"{entry}.{BLOCKLIST}", "A", RESOLVER)) == listed


def test_no_packet_finds_a_way_out(relay: Relay) -> None:
    routes = relay.lab.vps.run("ip", "route").out
    assert "default via 192.0.2.1" in routes
    outward = relay.lab.vps.run("ping", "-c1", "-W1", "8.8.8.8", check=False)
    assert outward.status != 0, outward.told()
    assert relay.client.helo == HELO


def test_no_machine_counts_the_processes_of_another(relay: Relay) -> None:
    # A process that is not seen from inside is told as 0: it would keep systemd waiting for a service of that name.
    for name, machine in relay.lab.machines.items():
        groups = machine.run("sh", "-c", "find /sys/fs/cgroup -name cgroup.procs -exec cat {} +").out.split()
        assert "1" in groups
        assert "0" not in groups, f"{name} shares a control group with somebody"
