"""Prediction ids are UUIDs of version 7: unique, and ordered even if the clock isn't."""

from uuid import RFC_4122, UUID

import pytest

from serving.log.ids import Ids, content_of, share_of

NOW = 1_790_000_000_123_456_789


def test_ids_are_uuids_of_their_time() -> None:
    text = Ids().new(NOW)
    found = UUID(text.decode())
    assert str(found).encode() == text
    assert found.bytes == content_of(text)
    assert (found.version, found.variant) == (7, RFC_4122)
    assert found.int >> 80 == NOW // 1_000_000


@pytest.mark.parametrize("step", [1_000_000, 0, -60_000_000_000])
def test_ids_are_ordered(step: int) -> None:
    """Also within a millisecond, and after the clock was set back."""
    ids = Ids()
    made = [ids.new(NOW + number * step) for number in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {UUID(each.decode()).version for each in made} == {7}


def test_ids_of_two_processes_differ() -> None:
    assert Ids().new(NOW) != Ids().new(NOW)


def test_shares_are_even() -> None:
    ids = Ids()
    shares = [share_of(ids.new(NOW)) for _ in range(10_000)]
    assert min(shares) >= 0
    assert max(shares) < 1
    assert 0.47 < sum(shares) / len(shares) < 0.53
