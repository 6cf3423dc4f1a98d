"""Packages: what is noted before, what is run, and what an undo takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import CommandFailedError
from gpujobs.bootstrap.steps import Packages

if TYPE_CHECKING:
    from gpujobs.bootstrap import Machine
    from tests.bootstrap.conftest import ScriptedShell

APT = "env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y"
WAIT = "-o DPkg::Lock::Timeout=300"
QUERY = "dpkg-query -W -f ${db:Status-Status} ${binary:Package}\\n"
STEP = Packages("there", "Install", ("a", "b"), accounts=("u1", "u2"), directories=("/no/such/d",))
COMING = "Inst liba (1.0 Debian:12 [amd64])\nInst a (1 Debian:12 [all])\nInst b (2 Debian:12 [all])\nConf a (1)\n"


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ("installed a\ninstalled b\n", "installed"),
        ("installed a:amd64\ninstalled b\n", "installed"),
        ("installed a\nnot-installed b\n", "not installed: b"),
        ("installed a\nhalf-configured b\n", "not installed: b"),
        ("config-files a\nunpacked b\n", "not installed: a b"),
        ("", "not installed: a b"),
    ],
)
def test_only_a_configured_package_is_installed(
    scripted: ScriptedShell, scripted_machine: Machine, listed: str, why: str
) -> None:
    """Half-installed counts as not installed."""
    scripted.answer(QUERY, listed)

    finding = STEP.check(scripted_machine)

    assert (finding.done, finding.why) == (why == "installed", why)


def test_an_installation_is_noted_before_it_is_made(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Everything that comes along, new accounts, and that a purge is allowed: all in the journal first."""
    scripted.answer(f"{APT} -s install", COMING)
    scripted.answer("id -u u1", 1)
    scripted.answer("sh -c", 10)  # the directory is absent

    STEP.apply(scripted_machine)

    entry = scripted_machine.journal.find(STEP.key)
    assert entry is not None
    assert entry.data["names"] == ["a", "b", "liba"]
    assert entry.data["accounts"] == ["u1"]
    assert entry.data["purge"] is True
    assert scripted.ran[-1] == f"{APT} {WAIT} install --no-install-recommends a b"
    assert f"{APT} update" in scripted.ran
    assert not any("--configure" in line for line in scripted.ran)


@pytest.mark.parametrize(
    ("audits", "repairs"),
    [
        (("half configured", ""), ["dpkg --configure -a"]),
        (("half configured", "missing"), ["dpkg --configure -a", f"apt-get -q -y {WAIT} --fix-broken install"]),
        (("",), []),
    ],
)
def test_a_half_installed_machine_is_finished_first(
    scripted: ScriptedShell, scripted_machine: Machine, audits: tuple[str, ...], repairs: list[str]
) -> None:
    """What dpkg calls broken is configured before anything else, and completed where something is missing."""
    scripted.answer("sh -c", 10)
    scripted.answer("dpkg --audit", *audits)

    STEP.apply(scripted_machine)

    before = scripted.ran[: scripted.ran.index(f"{APT} update")]
    assert [line.removeprefix("env DEBIAN_FRONTEND=noninteractive ").removeprefix("NEEDRESTART_SUSPEND=1 ")
            for line in before if "audit" not in line] == repairs  # fmt: skip


def test_a_second_install_adds_to_the_note(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """After a run that was cut off, the packages of both runs are ours, and the first note stays."""
    scripted.answer("id -u", 1)
    scripted.answer("sh -c", 10)
    scripted.answer(f"{APT} -s install", COMING)
    STEP.apply(scripted_machine)
    scripted.answer("id -u", "64030")
    scripted.answer(f"{APT} -s install", "Inst c (1)\n")

    STEP.apply(scripted_machine)

    entry = scripted_machine.journal.find(STEP.key)
    assert entry is not None
    assert entry.data["names"] == ["a", "b", "c", "liba"]
    assert entry.data["accounts"] == ["u1", "u2"]


def test_offline_packages_are_named_one_by_one(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """A directory of packages replaces the server: no update, and every file is a source."""
    scripted.answer("find /srv", "/srv/b.deb\n/srv/a.deb\n")
    step = Packages("there", "Install", ("a",), source="/srv")

    step.apply(scripted_machine)

    assert not any("update" in line for line in scripted.ran)
    assert scripted.ran[-1] == (
        f"{APT} {WAIT} -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null "
        "install --no-install-recommends a --with-source=/srv/a.deb --with-source=/srv/b.deb"
    )


def test_a_failed_update_is_the_error_when_it_matters(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Without a network, and with nothing to install from, the update is what is told; with enough here it is not."""
    scripted.answer("sh -c", 10)
    scripted.answer(f"{APT} update", 100)
    scripted.answer(f"{APT} -s install", 100)
    with pytest.raises(CommandFailedError, match="apt-get -q -y update` exited 100"):
        STEP.apply(scripted_machine)

    scripted.answer(f"{APT} -s install", COMING)
    STEP.apply(scripted_machine)
    assert scripted.ran[-1].startswith(f"{APT} {WAIT} install")


DATA = {"names": ["a", "b", "liba"], "accounts": ["u1"], "purge": True, "absent": ["/etc/a"], "leaves": []}


def test_an_undo_purges_exactly_what_came(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Packages, then what came with them, then the accounts; what was removed meanwhile is left out."""
    scripted.answer(QUERY, "installed a\nconfig-files liba\nnot-installed b\n")

    assert Packages.undo(scripted_machine, DATA).kept == ""

    assert scripted.ran[1:] == [
        f"{APT} purge -s a liba",
        f"{APT} {WAIT} purge a liba",
        "userdel u1",
        "groupdel u1",
        "rm -rf --one-file-system -- /etc/a",
    ]


def test_an_undo_that_may_not_purge_removes(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Where configuration was there before, it stays."""
    scripted.answer(QUERY, "installed a\n")

    Packages.undo(scripted_machine, {**DATA, "purge": False})

    assert f"{APT} {WAIT} remove a" in scripted.ran
    assert not any(line.startswith(("rm", f"{APT} {WAIT} purge")) for line in scripted.ran)


def test_what_others_need_by_now_stays(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """A library that a package of somebody else uses is left, and said; so are our accounts."""
    scripted.answer(QUERY, "installed a\ninstalled b\ninstalled liba\n")
    scripted.answer(f"{APT} purge -s a b", "Purg a [1]\nPurg b [1]\n")
    scripted.answer(f"{APT} purge -s a b liba", "Purg a [1]\nPurg liba [1]\nPurg theirs [1]\n")
    scripted.answer("apt-cache depends", "theirs\n  Depends: liba\nliba\n")

    assert Packages.undo(scripted_machine, DATA).kept == "other packages need liba"
    assert scripted.ran[-1] == f"{APT} {WAIT} purge a b"


def test_data_of_the_user_is_named(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """What the packages leave because it is the user's is said."""
    scripted.answer("sh -c", "755 mysql mysql directory\n")

    kept = Packages.undo(scripted_machine, {**DATA, "names": [], "leaves": ["/var/lib/mysql"]}).kept

    assert kept == "/var/lib/mysql stays: it holds your data"
