"""Prediction ids are UUIDs of version 7: unique, and ordered even if the clock isn't."""

from uuid import RFC_4122, UUID

import pytest

from serving.log.ids import Ids, share_of

NOW = 1_790_000_000_123_456_789


def test_ids_are_uuids_of_their_time() -> None:
    content, text = Ids().new(NOW)
    found = UUID(text)
    assert found.bytes == content
    assert (found.version, found.variant) == (7, RFC_4122)
    assert found.int >> 80 == NOW // 1_000_000


@pytest.mark.parametrize("step", [1_000_000, 0, -60_000_000_000])
def test_ids_are_ordered(step: int) -> None:
    """Also within a millisecond, and after the clock was set back."""
    ids = Ids()
    made = [ids.new(NOW + number * step)[1] for number in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {UUID(each).version for each in made} == {7}


def test_ids_of_two_processes_differ() -> None:
    assert Ids().new(NOW) != Ids().new(NOW)


def test_shares_are_even() -> None:
    ids = Ids()
    shares = [share_of(ids.new(NOW)[0]) for _ in range(10_000)]
    assert min(shares) >= 0
    assert max(shares) < 1
    assert 0.47 < sum(shares) / len(shares) < 0.53
