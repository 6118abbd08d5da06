"""What the doctor finds, says and decides."""

import pytest

from cloister.errors import NotReady, SettingInvalid
from cloister.settings import Settings
from executor import doctor
from executor.isolates import IsolatePool
from executor.sandbox import ISOLATE_STEPS, enclosure_steps
from executor.sandbox.probe import FACILITIES, Finding, probe


def finding(name, found=True, required=True):
    return Finding(name=name, found=found, required=required, bounds="something")


FOUND = [finding("landlock"), finding("seccomp"), finding("cgroup2", found=False, required=False)]
LACKING = [finding("landlock", found=False), *FOUND[1:]]


def test_the_probe_finds_what_this_machine_has():
    """A machine on which the other tests pass has every required facility."""
    found = {one.name: one.found for one in probe() if one.required}
    assert found
    assert all(found.values()), found


def test_every_step_is_a_facility_that_can_be_named():
    """Whatever can fail and be accepted is probed under the name of its step."""
    steps = {step.facility for step in (*enclosure_steps(()), *ISOLATE_STEPS)}
    always = {"parent", "session", "group", "priority", "randomness"}
    assert steps - always <= {facility.name for facility in FACILITIES}


def test_tenants_are_admitted_where_nothing_is_missing(monkeypatch):
    """What is not needed may be missing; it is then done without."""
    monkeypatch.setattr(doctor, "probe", lambda: FOUND)
    assert doctor.admit(Settings()) == {"cgroup2"}


def test_a_missing_facility_refuses_tenants_by_name(monkeypatch):
    """The refusal names it, and how to accept it."""
    monkeypatch.setattr(doctor, "probe", lambda: LACKING)
    with pytest.raises(NotReady, match=r"landlock.*CLOISTER_SANDBOX_ACCEPT"):
        doctor.admit(Settings())


def test_the_operator_may_accept_what_is_missing(monkeypatch):
    """Only what is accepted by name, and only what is missing, is done without."""
    monkeypatch.setattr(doctor, "probe", lambda: LACKING)
    assert doctor.admit(Settings(sandbox_accept=("landlock",))) == {"landlock", "cgroup2"}
    with pytest.raises(NotReady, match="landlock"):
        doctor.admit(Settings(sandbox_accept=("seccomp",)))
    monkeypatch.setattr(doctor, "probe", lambda: FOUND)
    assert doctor.admit(Settings(sandbox_accept=("seccomp",))) == {"cgroup2"}


def test_an_unknown_name_is_refused(monkeypatch):
    """A slip in the setting is not taken for an acceptance."""
    monkeypatch.setattr(doctor, "probe", lambda: FOUND)
    with pytest.raises(SettingInvalid, match="landlok"):
        doctor.admit(Settings(sandbox_accept=("landlok",)))


async def test_a_pool_does_not_start_where_tenants_are_refused(monkeypatch):
    """No zygote is started before the kernel is found good."""
    monkeypatch.setattr(doctor, "probe", lambda: LACKING)
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
    monkeypatch.setattr(doctor, "probe", lambda: findings)
    monkeypatch.setenv("CLOISTER_SANDBOX_ACCEPT", accept)
    assert doctor.main() == code
    said = capsys.readouterr().out
    assert words in said
    assert all(one.name in said for one in findings)
