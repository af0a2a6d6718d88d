from stream.caution import MAX_DEATHS, Caution, Trial


def restarted(caution: Caution, batch_size: int = 16) -> Caution:
    """The next worker's view, after this one was killed."""
    return Caution(batch_size, caution.offset, caution.metadata())


def test_the_first_start_reads_full_batches() -> None:
    caution = Caution(500, 40, None)
    assert (caution.limit, caution.suspicious, caution.deaths) == (500, False, 0)


def test_each_start_after_a_death_reads_half() -> None:
    caution = Caution(16, 0, "")
    limits = []
    for _ in range(7):
        caution = restarted(caution)
        limits.append(caution.limit)
    assert limits == [8, 4, 2, 1, 1, 1, 1]


def test_a_clean_stop_does_not_count() -> None:
    caution = Caution(16, 0, "")
    for _ in range(30):
        caution.stopped()
        caution = restarted(caution)
    assert not caution.suspicious
    assert caution.limit == 16


def test_progress_within_the_zone_keeps_the_caution_and_past_it_ends_it() -> None:
    caution = restarted(Caution(16, 100, ""))
    caution.passed(108)
    assert (caution.limit, caution.suspicious) == (8, True)
    assert restarted(caution).limit == 4
    caution.passed(116)
    assert (caution.limit, caution.suspicious) == (8, True), "the worker that died may have had the next batch in hand"
    caution.passed(132)
    assert (caution.limit, caution.suspicious, caution.metadata()) == (16, False, "")


def kills_worker_at(killer: int, batch_size: int = 16, records: int = 64) -> tuple[list[int], int]:
    """Workers die on one record until somebody condemns one. -> (condemned offsets, deaths)."""
    condemned, deaths = [], 0
    caution = Caution(batch_size, 0, "")
    while caution.offset < records:
        if caution.suspicious and caution.limit == 1:
            if caution.deaths >= MAX_DEATHS:
                condemned.append(caution.offset)
                caution.passed(caution.offset + 1)
                continue
            caution.mark()
        batch = range(caution.offset, min(records, caution.offset + caution.limit))
        # Where nobody has died, the agent has the next batch in hand while this one is not committed yet.
        ahead = range(batch.stop, batch.stop if caution.suspicious else batch.stop + batch_size)
        if killer in batch or killer in ahead:
            deaths += 1
            assert deaths < 30, "the killer is never found"
            caution = restarted(caution, batch_size)
        else:
            caution.passed(batch.stop)
    return condemned, deaths


def test_the_killer_is_found_wherever_it_lies_and_nobody_else_is_condemned() -> None:
    for killer in range(64):
        condemned, deaths = kills_worker_at(killer)
        assert condemned == [killer]
        assert deaths <= 5 + MAX_DEATHS


def test_thirty_kills_while_idle_condemn_nobody() -> None:
    caution = Caution(500, 7, "")
    for _ in range(30):
        caution = restarted(caution, 500)
    assert caution.deaths == 0
    assert caution.limit == 1
    caution.passed(1007)
    assert caution.limit == 500


def test_metadata_of_other_tools_and_mangled_metadata_mean_nothing() -> None:
    for text in (
        None,
        "",
        "x",
        "ajil starts=a until=1 marks=0",
        "ajil starts=1 until=1 marks=0 more",
        "ajil starts=" + "9" * 50,
    ):
        assert Trial.read(text) == Trial()
