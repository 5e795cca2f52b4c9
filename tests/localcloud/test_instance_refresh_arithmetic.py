import pytest

from localcloud.autoscaling.refresh.arithmetic import Bounds, FleetSize, Step, next_step, percentage_complete


def untouched(desired: int) -> FleetSize:
    """A healthy fleet of which nothing was replaced yet."""
    return FleetSize(desired=desired, old=desired, old_available=desired, new=0, new_ready=0)


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "first"),
    [
        pytest.param(3, 90, None, Step(launch=1, terminate=1), id="default dips to 2"),
        pytest.param(3, 75, None, Step(launch=1, terminate=1), id="75 dips to 2, below its own floor"),
        pytest.param(3, 66, None, Step(launch=1, terminate=1), id="66 keeps 2"),
        pytest.param(3, 100, 100, Step(launch=1), id="explicit 100 launches first"),
        pytest.param(3, 75, 100, Step(launch=1), id="a floor of all launches first"),
        pytest.param(3, 100, 125, Step(launch=1), id="a surge rounded down to none is one"),
        pytest.param(3, 100, 150, Step(launch=1), id="cap of 4.5 is 4"),
        pytest.param(6, 100, 150, Step(launch=3), id="surge of half"),
        pytest.param(4, 75, None, Step(launch=1, terminate=1), id="one of four"),
        pytest.param(10, 80, None, Step(launch=2, terminate=2), id="two of ten, as documented"),
        pytest.param(1, 100, None, Step(launch=1, terminate=1), id="a single instance means an outage"),
        pytest.param(1, 100, 100, Step(launch=1), id="a single instance with a maximum is none"),
        pytest.param(100, 90, 120, Step(launch=20, terminate=10), id="between 90 and 120, as documented"),
        pytest.param(3, 66, 100, Step(terminate=1), id="both bounds hold, so one may leave first"),
        pytest.param(3, 0, None, Step(launch=3, terminate=3), id="all at once"),
        pytest.param(3, 0, 100, Step(terminate=3), id="all at once, with a maximum"),
        pytest.param(0, 100, 125, Step(), id="an empty group"),
    ],
)
def test_first_step_of_a_refresh(desired: int, minimum: int, maximum: int | None, first: Step) -> None:
    """The percentages decide what happens first; a maximum that was left out is not the same as 100."""
    assert next_step(untouched(desired), Bounds(minimum, maximum)) == first


def simulate(desired: int, bounds: Bounds, boots_in: int = 3) -> tuple[int, int, int]:
    """Play a refresh in which every new instance gets ready after some rounds; returns fewest, most and rounds."""
    booting: list[int] = []
    old, ready = desired, 0
    fewest, most = desired, desired
    for rounds in range(1000):
        if not old and ready == desired:
            return fewest, most, rounds
        fleet = FleetSize(desired=desired, old=old, old_available=old, new=ready + len(booting), new_ready=ready)
        step = next_step(fleet, bounds)
        old -= step.terminate
        booting = [left - 1 for left in booting] + [boots_in] * step.launch
        ready += booting.count(0)
        booting = [left for left in booting if left]
        fewest, most = min(fewest, old + ready), max(most, old + ready + len(booting))
    pytest.fail("the refresh never ends")


@pytest.mark.parametrize("desired", [1, 2, 3, 4, 6, 7, 10, 33])
@pytest.mark.parametrize("minimum", [0, 50, 66, 75, 90, 100])
@pytest.mark.parametrize("maximum", [100, 110, 125, 150])
def test_bounds_hold_to_the_end(desired: int, minimum: int, maximum: int) -> None:
    """With a maximum, a whole refresh never dips below the floor nor exceeds the cap, and comes to an end."""
    bounds = Bounds(minimum, maximum)

    fewest, most, _ = simulate(desired, bounds)

    assert fewest >= bounds.floor(desired)
    assert most <= bounds.cap(desired)
    assert bounds.cap(desired) <= max(desired * maximum // 100, desired + 1)


@pytest.mark.parametrize(
    ("desired", "minimum", "fewest"), [(3, 90, 2), (3, 75, 2), (3, 66, 2), (10, 80, 8), (1, 100, 0)]
)
def test_without_a_maximum_the_fleet_dips(desired: int, minimum: int, fewest: int) -> None:
    """Without a maximum AWS terminates and launches together, so the fleet is smaller in between."""
    assert simulate(desired, Bounds(minimum, None))[:2] == (fewest, desired)


@pytest.mark.parametrize(
    ("bounds", "fleet", "step"),
    [
        (Bounds(66, None), FleetSize(desired=3, old=2, old_available=2, new=1, new_ready=0), Step()),
        (Bounds(80, None), FleetSize(desired=10, old=9, old_available=9, new=0, new_ready=0), Step(launch=1)),
        (Bounds(100, 125), FleetSize(3, old=0, old_available=0, new=2, new_ready=2, kept=1, kept_available=1), Step()),
        (Bounds(100, 200), FleetSize(desired=4, old=1, old_available=1, new=3, new_ready=3), Step(launch=1)),
    ],
    ids=[
        "without a maximum the next batch waits for the last one",
        "a lost instance is made good before the next batch",
        "kept instances count but are not replaced",
        "no more new instances than wanted",
    ],
)
def test_later_step_of_a_refresh(bounds: Bounds, fleet: FleetSize, step: Step) -> None:
    assert next_step(fleet, bounds) == step


@pytest.mark.parametrize("maximum", [None, 125])
def test_broken_fleet_can_be_replaced(maximum: int | None) -> None:
    """Old instances that do not serve anyway do not hold up a refresh that repairs them."""
    fleet = FleetSize(desired=3, old=3, old_available=0, new=0, new_ready=0)
    if maximum is None:
        assert next_step(fleet, Bounds(100, None)).terminate == 1
    else:
        assert next_step(fleet, Bounds(100, maximum)) == Step(launch=1)
        surged = FleetSize(desired=3, old=3, old_available=0, new=1, new_ready=1)
        assert next_step(surged, Bounds(100, maximum)).terminate == 1


@pytest.mark.parametrize(
    ("ready", "total", "percent"), [(0, 3, 0), (1, 3, 33), (2, 3, 66), (3, 3, 100), (0, 0, 100), (5, 3, 100)]
)
def test_percentage_complete_is_rounded_down(ready: int, total: int, percent: int) -> None:
    assert percentage_complete(ready, total) == percent
