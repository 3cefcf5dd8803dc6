from hyperadapters.data.demo import annotators
from hyperadapters.tables.simulated import SIMULATED, is_simulated


def test_who_is_invented():
    assert {person.name for person in annotators()} == SIMULATED and len(SIMULATED) == 40
    assert is_simulated(["a", "sim-ada"]) and not is_simulated(["a", "sim-card"])
    assert not is_simulated([])
