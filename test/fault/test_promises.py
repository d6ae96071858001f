"""The eight promises with nothing broken: what test_kill, test_steps, test_disk
and test_power ask of a CA that was, in seconds."""
from promises import PROFILE, Witness
from world import World


def test_all_eight_hold_and_hold_again():
    with World(profile=PROFILE) as w:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"Q-{i}" for i in range(4)])
        names += t.veterans([f"QV-{i}" for i in range(4)])
        for n in names[1:-1]:  # two have not asked yet
            t.got(n, t.ask(n))
        t.check()
        t.check()
        assert len(t.proved) == 3 and len(t.answers) == len(names)
        w.stop()
