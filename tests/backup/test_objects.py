from backup.objects import counted


def test_progress_is_told_ten_times():
    told: list[tuple[str, str]] = []
    assert [*counted(range(12_000), 12_000, lambda *each: told.append(each))] == [*range(12_000)]
    assert told == [("objects", f"{number:,} of 12,000") for number in range(1_200, 12_000, 1_200)]
    assert [*counted(iter([1, 2]), 2, lambda *_: None)] == [1, 2]
    assert [*counted([], 0, lambda *_: None)] == []
