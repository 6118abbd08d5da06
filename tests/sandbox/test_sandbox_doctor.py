"""What the doctor finds, says and decides."""

import pytest
from sandbox_rig import IDS

from cloister.errors import NotReady, SettingInvalid
from cloister.settings import Settings
from executor import doctor
from executor.isolates import IsolatePool
from executor.sandbox import enclosure_steps, isolate_steps
from executor.sandbox.probe import Finding, facilities, probe
from executor.sandbox.users import Block


def finding(name, found=True, required=True):
    return Finding(name=name, found=found, required=required, bounds="something")


FOUND = [finding("landlock"), finding("seccomp"), finding("cgroup2", found=False, required=False)]
LACKING = [finding("landlock", found=False), *FOUND[1:]]


def test_the_probe_finds_what_this_machine_has():
    """A machine on which the other tests pass has every required facility."""
    found = {one.name: one.found for one in probe(IDS) if one.required}
    assert found
    assert all(found.values()), found


def test_every_step_is_a_facility_that_can_be_named():
    """Whatever can fail and be accepted is probed under the name of its step."""
    taken = [
        *enclosure_steps((), Block(IDS)),
        *enclosure_steps(("ids",), Block(IDS)),
        *isolate_steps((), 1, 0, 0),
    ]
    always = {"parent", "session", "group", "priority", "randomness", "memory"}
    assert {step.facility for step in taken} - always <= {
        one.name for one in facilities(IDS, has_users=True)
    }


def test_tenants_are_admitted_where_nothing_is_missing(monkeypatch):
    """What is not needed may be missing; it is then done without."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: FOUND)
    assert doctor.admit(Settings()) == {"cgroup2"}


def test_a_missing_facility_refuses_tenants_by_name(monkeypatch):
    """The refusal names it, and how to accept it."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: LACKING)
    with pytest.raises(NotReady, match=r"landlock.*CLOISTER_SANDBOX_ACCEPT"):
        doctor.admit(Settings())


def test_the_operator_may_accept_what_is_missing(monkeypatch):
    """Only what is accepted by name, and only what is missing, is done without."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: LACKING)
    assert doctor.admit(Settings(sandbox_accept=("landlock",))) == {"landlock", "cgroup2"}
    with pytest.raises(NotReady, match="landlock"):
        doctor.admit(Settings(sandbox_accept=("seccomp",)))
    monkeypatch.setattr(doctor, "probe", lambda _ids: FOUND)
    assert doctor.admit(Settings(sandbox_accept=("seccomp",))) == {"cgroup2"}


def test_an_unknown_name_is_refused(monkeypatch):
    """A slip in the setting is not taken for an acceptance."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: FOUND)
    with pytest.raises(SettingInvalid, match="landlok"):
        doctor.admit(Settings(sandbox_accept=("landlok",)))


async def test_a_pool_does_not_start_where_tenants_are_refused(monkeypatch):
    """No zygote is started before the kernel is found good."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: LACKING)
    pool = IsolatePool(Settings(), command=("/nonexistent",))
    with pytest.raises(NotReady, match="landlock"):
        await pool.start()


@pytest.mark.parametrize(
    ("findings", "accept", "code", "words"),
    [
        (FOUND, "", 0, "can be served"),
        (LACKING, "", 1, "are refused"),
        (LACKING, "landlock", 0, "MISSING, accepted"),
    ],
)
def test_the_report_and_its_exit_code(monkeypatch, capsys, findings, accept, code, words):
    """One line a facility, a verdict, and an exit code that scripts can read."""
    monkeypatch.setattr(doctor, "probe", lambda _ids: findings)
    monkeypatch.setenv("CLOISTER_SANDBOX_ACCEPT", accept)
    assert doctor.main() == code
    said = capsys.readouterr().out
    assert words in said
    assert all(one.name in said for one in findings)
