"""DKIM: every message that leaves is signed by its domain; what comes in is verified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.hooks import DKIM_MILTER
from wizard.step import TRUST, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.checks.dkim import Key
    from wizard.fact import Context
    from wizard.lookup import World
    from wizard.operation import Operation

INTERNAL = "/etc/opendkim-internal.hosts"
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Entry:
    """A key and the sender domains that are signed with it."""

    key: Key
    senders: tuple[str, ...]


def plan(context: Context) -> Sequence[Operation]:
    """The signer with its keys and tables first, running, and only then Postfix's word with it."""
    from wizard.checks.dkim import KEYS, MILTER, SIGNING
    from wizard.checks.network import system_resolvers
    from wizard.operations.files import write_template
    from wizard.operations.key_owner import GiveKey
    from wizard.operations.packages import InstallPackages
    from wizard.operations.postfix import SetPostfixParameters
    from wizard.operations.services import RunService

    platform = context.platform
    service, user = platform.services["dkim"], platform.users["dkim"]
    found = entries(context)
    return (
        InstallPackages(platform, platform.packages["dkim"]),
        *(GiveKey(entry.key.path, user) for entry in found),
        write_template("dkim", KEYS, notify=(service,), entries=found),
        write_template("dkim", SIGNING, notify=(service,), entries=found),
        write_template("dkim", INTERNAL, notify=(service,), networks=internal_networks(context)),
        # A restart: a reload opens no new socket.
        write_template(
            "dkim", platform.paths["dkim_conf"], restart=(service,),
            check_candidate=("opendkim", "-n", "-x", "{candidate}"), hostname=context.hostname, user=user, keys=KEYS,
            signing=SIGNING, internal=INTERNAL, resolvers=system_resolvers(context.host),
        ),
        RunService(service),
        SetPostfixParameters(
            ((DKIM_MILTER, MILTER), ("internal_mail_filter_classes", "bounce")),
            notify=(platform.services["postfix"],),
        ),
    )  # fmt: skip


def entries(context: Context) -> tuple[Entry, ...]:
    """Which key signs for which senders: the wanted one, once receivers can find it.

    A signature that receivers cannot verify is worse than none. So a key that DNS has not is not taken into use (unless
    dkim.sign_unpublished says so), and while a new selector is not published the old one goes on signing. A key that
    is in use stays in use whatever DNS says today: one hiccup must not take the signer out of service.
    """
    from wizard.checks import dkim
    from wizard.lookup import World

    world = World(context.host, context.resolvers)
    in_use = dkim.keys_in_use(context.host)
    found = []
    for domain in context.answers.mail_domains:
        key = _key(context, world, dkim.wanted_key(context, domain), in_use.get(domain))
        # Mail From the host name itself, of other daemons, is the relay's domain's too (relaxed alignment).
        senders = (domain, context.hostname) if domain == context.domain != context.hostname else (domain,)
        found += [Entry(key, senders)] if key else []
    return tuple(found)


def _key(context: Context, world: World, wanted: Key, current: Key | None) -> Key | None:
    from wizard.checks import dkim
    from wizard.operations.dkim_key import public_key

    if current == wanted or context.answers.dkim.sign_unpublished:
        return wanted
    try:
        public = public_key(context.host, wanted.path)
    except ValueError:
        return current
    if not public:
        # Nothing is made yet, as in the preview on a fresh machine: the step `dns` makes the key before this one runs.
        return current or wanted
    match dkim.in_dns(world, wanted, public):
        case "ok":
            return wanted
        case "unknown":
            return current or wanted
        case _:
            return current


def internal_networks(context: Context) -> tuple[str, ...]:
    """Whose mail is signed without a login: this machine's, and that of the networks that may relay."""
    home = context.answers.home
    return (*LOOPBACK, *(home.networks if home else ()))


def checks(context: Context) -> Sequence[Check]:
    """The signer itself, its keys, and the keys in DNS."""
    from wizard.checks import dkim, milter
    from wizard.checks.published import record_checks
    from wizard.lookup import World
    from wizard.operations.postfix import submissions_name

    platform = context.platform
    world = World(context.host, context.resolvers)
    port = submissions_name(context.host)
    return (
        Check(
            "dkim.milter", "OpenDKIM runs and speaks with Postfix",
            partial(milter.answers, address="127.0.0.1", port=8891, service=platform.services["dkim"], mend="dkim"),
        ),
        Check(
            "dkim.configuration", "OpenDKIM's configuration is sound",
            partial(dkim.configuration, path=platform.paths["dkim_conf"]),
        ),
        Check("dkim.asked", "All mail that leaves passes the signer", partial(dkim.wired, submissions=port)),
        *record_checks(
            context, world, "dkim.key", "dkim", subjects=context.answers.mail_domains,
            title="DNS has the key that signs mail of {}",
        ),
        *(
            check
            for number, domain in enumerate(context.answers.mail_domains)
            for check in _domain_checks(context, domain, f"_{number}" if number else "")
        ),
    )  # fmt: skip


def _domain_checks(context: Context, domain: str, suffix: str) -> tuple[Check, ...]:
    from wizard.checks import dkim

    wanted = dkim.wanted_key(context, domain)
    user = context.platform.users["dkim"]
    return (
        Check(
            f"dkim.signs{suffix}", f"Mail of {domain} is signed", partial(dkim.signs, domain=domain, wanted=wanted),
        ),
        Check(
            f"dkim.key_file{suffix}", f"The key of {domain} is long, and OpenDKIM's alone",
            partial(dkim.key_file, path=wanted.path, user=user),
        ),
    )  # fmt: skip


STEP = Step(
    id="dkim",
    title="DKIM",
    group=TRUST,
    why="Every message that leaves carries a signature of its domain: receivers see that it is yours and that nobody\n"
    "has changed it. The signatures on what comes in are verified.",
    better="Mail of this machine and bounces are signed too, with a key that only OpenDKIM can read. A key signs once\n"
    "DNS has it, not before; and mail that cannot be signed waits instead of leaving unsigned.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "dkim.selector", "What is the key called in DNS?",
            "A name with a date, such as s2026, lets you change keys later: the old one stays published for a while.",
        ),
        Field("dkim.sign_unpublished", "Sign before DNS has the key?", "Only for tests: receivers distrust that."),
    ),
    requires=("postfix", "dns"),
)  # fmt: skip
