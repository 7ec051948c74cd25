"""Faults of one line, each with the test that finds it: fences, acks, leases, verdicts, redaction, limits, the sandbox.

``python -m tests.mutants`` plants them. If you move or change a line of this table, change it here as well. If you remove
a test of this table, name another test that finds the fault.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault: ``was``, which stands once in ``file``, becomes something else, and ``test`` fails."""

    file: str
    was: str
    becomes: str
    test: str


# fmt: off
MUTANTS = (
    Mutant(
        "sql/queries/leases.sql",
        "AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN lease_until <= now() END",
        "AND state IN ('pending', 'processing')",
        "tests/contract/test_store_leases.py::test_each_entry_of_a_batch_gets_its_own_answer",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "WHEN 'processing' THEN lease_until <= now() END",
        "WHEN 'processing' THEN lease_until < now() END",
        "tests/contract/test_lease_edges.py::test_claim",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "attempt_id = free.attempt_id + 1,",
        "attempt_id = free.attempt_id + 0,",
        "tests/contract/test_store_leases.py::test_a_won_claim_carries_everything_that_judging_needs",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "WHERE s.id = free.id AND free.judging_attempts >= $5",
        "WHERE s.id = free.id AND free.judging_attempts > $5",
        "tests/contract/test_store_leases.py::test_each_entry_of_a_batch_gets_its_own_answer",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "WHEN $6::boolean AND avoid_owner = $3 AND avoid_until > now() THEN 'avoided'",
        "WHEN $6::boolean AND avoid_owner = $3 THEN 'avoided'",
        "tests/contract/test_store_dead_letters.py::test_node_that_failed_avoids_the_job_for_a_while",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "WHEN 'processing' THEN s.lease_owner = $3 AND s.lease_until > now() END",
        "WHEN 'processing' THEN s.lease_owner = $3 END",
        "tests/contract/test_lease_edges.py::test_heartbeat",
    ),
    Mutant(
        "sql/queries/leases.sql",
        "SET lease_until = greatest(s.lease_until, now() + make_interval(secs => $4))",
        "SET lease_until = now() + make_interval(secs => $4)",
        "tests/contract/test_store_leases.py::test_extending_never_shortens",
    ),
    Mutant(
        "sql/queries/leases.sql",
        ("is then its own.\nWITH\ntarget AS MATERIALIZED (\n    SELECT id, lease_until,\n"
         "           CASE\n               WHEN attempt_id <> $2 THEN"),
        ("is then its own.\nWITH\ntarget AS MATERIALIZED (\n    SELECT id, lease_until,\n"
         "           CASE\n               WHEN false THEN"),
        "tests/contract/test_store_leases.py::test_statement_of_an_older_attempt_is_refused_in_every_state",
    ),
    Mutant(
        "sql/queries/leases.sql",
        ("SET state = 'done', status = $4, result = $5::jsonb, error_code = NULL, error_message = NULL,\n"
         "        lease_owner = NULL"),
        ("SET state = 'done', status = $4, result = $5::jsonb, error_code = NULL, error_message = NULL,\n"
         "        lease_owner = lease_owner"),
        "tests/contract/test_store_leases.py::test_each_entry_of_a_batch_gets_its_own_answer",
    ),
    Mutant(
        "sql/queries/leases.sql",
        ("judging_attempts = s.judging_attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END,\n"
         "        avoid_owner"),
        ("judging_attempts = s.judging_attempts,\n"
         "        avoid_owner"),
        "tests/contract/test_store_leases.py::test_a_dead_job_says_what_it_was_given_back_for",
    ),
    Mutant(
        "deepoj/nursery/intake.py",
        ("            await self.give_back(claim)\n"
         "            return False"),
        "            return False",
        "tests/unit/test_intake.py::test_a_claim_won_after_the_close_is_given_back_without_counting",
    ),
    Mutant(
        "deepoj/nursery/intake.py",
        "if self.gate.is_open:",
        "if True:",
        "tests/unit/test_intake.py::test_a_gate_shut_during_the_wait_for_a_slot_is_waited_for_again",
    ),
    Mutant(
        "deepoj/nursery/loops.py",
        "for kind, store in self.stores.items():",
        "for kind, store in list(self.stores.items())[:1]:",
        "tests/unit/test_custom_runs_node.py::test_a_long_run_keeps_its_lease",
    ),
    Mutant(
        "deepoj/nursery/loops.py",
        "rest_s = self.quick_poll_s if done.is_waiting and not done.moved else 0.0",
        "rest_s = 0.0",
        "tests/unit/test_hand_over.py"
        "::test_notifications_begin_no_round_after_round_while_the_stream_has_no_room",
    ),
    Mutant(
        "deepoj/pipeline/progress.py",
        "and self._watchers.notify(job_id)",
        "and True",
        "tests/unit/test_progress.py::test_watchers_of_this_process_learn_of_an_end_before_the_statement",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "tests=(), finished=None)",
        "tests=())",
        "tests/contests/test_withheld.py::test_the_stream_of_a_withheld_judging_tells_no_test_and_no_end",
    ),
    Mutant(
        "deepoj/wiring/children/keepers.py",
        "stores={Claim: store.leases, CustomClaim: store.run_leases},",
        "stores={Claim: store.leases, CustomClaim: store.leases},",
        "tests/unit/test_wiring.py::test_wired_heartbeat_extends_jobs_and_custom_runs_each_in_its_own_table",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        "return sent_at + self.lease_s * (1 - MARGIN)",
        "return sent_at + self.lease_s",
        "tests/unit/test_leases.py::test_a_lease_is_believed_until_just_before_its_end",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        "lease.deadline = max(lease.deadline, self._believed_until(sent_at))",
        "lease.deadline = self._believed_until(trio.current_time())",
        "tests/unit/test_leases.py::test_a_heartbeat_counts_from_before_it_was_sent",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        ("            if held in lost:\n"
         "                lease.lose()"),
        ("            if held in lost:\n"
         "                pass"),
        "tests/unit/test_leases.py::test_a_lost_lease_wakes_only_its_own_watcher",
    ),
    Mutant(
        "deepoj/pipeline/ack.py",
        ("        case ClaimRefusal.LEASED | ClaimRefusal.AVOIDED | ClaimRefusal.UNFIT:\n"
         "            return False"),
        ("        case ClaimRefusal.LEASED | ClaimRefusal.AVOIDED | ClaimRefusal.UNFIT:\n"
         "            return True"),
        "tests/unit/test_interleavings.py::test_shared_play_gives_the_same_as_a_separate_one",
    ),
    Mutant(
        "deepoj/pipeline/ack.py",
        ("FinalizeRefusal.LEASE_LOST:\n"
         "            return False"),
        ("FinalizeRefusal.LEASE_LOST:\n"
         "            return True"),
        "tests/unit/test_interleavings.py::test_shared_play_gives_the_same_as_a_separate_one",
    ),
    Mutant(
        "deepoj/pipeline/finalize.py",
        ("            reason=str(away),\n"
         "        )\n"
         "        raise"),
        ("            reason=str(away),\n"
         "        )\n"
         "        return None"),
        "tests/unit/test_tree.py::test_a_stop_does_not_wait_a_lease_for_a_database_that_is_away",
    ),
    Mutant(
        "deepoj/nursery/tree.py",
        "except* trio.Cancelled",
        "except trio.Cancelled",
        "tests/unit/test_tree.py::test_the_drain_deadline_gives_a_long_job_back_at_once",
    ),
    Mutant(
        "deepoj/pipeline/submit.py",
        "await hand_over.wait_begun()",
        "pass",
        "tests/unit/test_hand_over.py::test_an_event_is_on_its_way_before_the_request_is_answered",
    ),
    Mutant(
        "deepoj/nursery/work.py",
        "return self.leases.free_for_contests if self.gate.is_open else 0",
        "return 2",
        "tests/unit/test_contest_slots.py::test_what_happened_during_the_look_counts",
    ),
    Mutant(
        "deepoj/nursery/loops.py",
        "min(next_s, done.lanes.half_used_s)",
        "next_s",
        "tests/unit/test_hand_over.py::test_a_queue_is_looked_at_as_often_as_readers_need_it",
    ),
    Mutant(
        "deepoj/nursery/loops.py",
        "last_s / 2 if done.moved and done.lanes.is_used_up else",
        "",
        "tests/unit/test_hand_over.py::test_a_queue_is_looked_at_as_often_as_readers_need_it",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "        if used < lower_share - 1:",
        "        if used < lower_share * 10**6:",
        "tests/unit/test_lanes.py::test_lanes_go_in_their_order_and_leave_their_share",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "    return jobs - contests < window",
        "    return True",
        "tests/unit/test_lanes.py::test_a_second_user_waits_for_one_of_the_first_ones_jobs_and_the_window",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        " or contests < WINDOW_MIN",
        "",
        "tests/unit/test_lanes.py::test_events_of_contests_go_beyond_what_is_unread",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "            elif of_lanes[0] is Priority.CONTEST and",
        "            elif False and",
        "tests/unit/test_lanes.py::test_events_of_contests_go_beyond_what_is_unread",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "room=max(0, room) if unread.is_all else 0",
        "room=WINDOW_MIN",
        "tests/unit/test_lanes.py::test_a_look_counts_jobs_and_no_announced_runs",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "    lanes = lanes.moved(moved)\n    waiting",
        "    waiting",
        "tests/unit/test_lanes.py::test_what_requests_published_and_readers_took_counts_as_read",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "if unread.is_all or not (",
        "if True or not (",
        "tests/unit/test_lanes.py::test_announced_runs_take_no_place",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "settings.batch_size if unread.is_all else 0",
        "settings.batch_size",
        "tests/unit/test_lanes.py::test_nothing_goes_behind_more_than_is_counted",
    ),
    Mutant(
        "deepoj/adapters/redis/stream.py",
        'fields += ["priority", RUN_PRIORITY, "event_id", 0]',
        'fields += ["priority", 0, "event_id", 0]',
        "tests/contract/test_stream.py::test_the_undelivered_are_counted_by_lane_also_where_the_lag_is_unknown",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "WINDOW_MIN if is_waited_for else 1",
        "WINDOW_MIN",
        "tests/unit/test_lanes.py::test_a_submission_beside_a_batch_waits_for_the_next_slot_or_two",
    ),
    Mutant(
        "deepoj/pipeline/outbox.py",
        "self.rate * math.exp(",
        "0.0 * math.exp(",
        "tests/unit/test_lanes.py::test_the_window_holds_what_readers_take_in_a_fifth_of_a_second",
    ),
    Mutant(
        "sql/queries/outbox.sql",
        ("        ORDER BY e.turn, e.id\n"
         "        LIMIT lane.most\n"
         "        FOR UPDATE SKIP LOCKED"),
        ("        ORDER BY e.id\n"
         "        LIMIT lane.most\n"
         "        FOR UPDATE SKIP LOCKED"),
        "tests/contract/test_store_lanes.py::test_take_outbox_takes_users_in_turn",
    ),
    Mutant(
        "sql/queries/outbox.sql",
        ("WHERE e.status = 'pending' AND e.priority = lane.priority AND e.next_attempt_at <= now()\n"
         "        ORDER BY e.turn, e.id\n"
         "        LIMIT lane.most"),
        ("WHERE e.status = 'pending' AND e.priority = lane.priority\n"
         "        ORDER BY e.turn, e.id\n"
         "        LIMIT lane.most"),
        "tests/contract/test_store_lanes.py::test_take_outbox_follows_the_lanes_and_their_bounds",
    ),
    Mutant(
        "sql/queries/repair.sql",
        ("      AND NOT (s.state = 'processing' AND s.lease_until > now())\n"
         "      AND s.id > $5"),
        "      AND s.id > $5",
        "tests/contract/test_store_submit.py::test_a_running_job_is_repaired_only_when_its_lease_is_over",
    ),
    Mutant(
        "deepoj/pipeline/repair.py",
        "if not live.isdisjoint(stray.entry_ids)}",
        "if live.isdisjoint(stray.entry_ids)}",
        "tests/unit/test_pipeline.py::test_redis_wiped_with_jobs_in_it",
    ),
    Mutant(
        "deepoj/capacity/backpressure.py",
        ("        if snapshot is None:\n"
         "            self._closed.clear()\n"
         "            return None"),
        ("        if snapshot is None:\n"
         "            return next(iter(self._closed), None)"),
        "tests/unit/test_backpressure.py::test_a_look_that_is_too_old_is_not_believed",
    ),
    Mutant(
        "deepoj/capacity/backpressure.py",
        "elif (at_most if value is None else value) <= threshold.low:",
        "elif (at_most if value is None else value) < threshold.high:",
        "tests/unit/test_backpressure.py::test_closed_at_high_and_open_at_low",
    ),
    Mutant(
        "sql/queries/submit.sql",
        "WHEN $17::bigint IS NOT NULL AND inflight_of($2, $17) >= $17",
        "WHEN $17::bigint IS NOT NULL AND inflight_of($2, $17) > $17",
        "tests/contract/test_store_submit.py::test_a_users_cap_is_exact_however_many_submit_at_once",
    ),
    Mutant(
        "sql/queries/submit.sql",
        "WHEN $13::bigint >= $10 AND (",
        "WHEN $13::bigint > $10 AND (",
        "tests/contract/test_store_submit.py::test_the_cap_counts_what_is_under_way",
    ),
    Mutant(
        "sql/queries/submit.sql",
        "AND deduplicates AND CASE state WHEN 'pending' THEN true WHEN 'processing' THEN true END",
        "AND deduplicates",
        "tests/contract/test_store_submit.py::test_an_identical_draft_gets_the_first_job_while_that_is_under_way",
    ),
    Mutant(
        "sql/queries/submit.sql",
        "WHEN word = 'twin' AND $8 IS NOT NULL AND NOT keep_submission_key(",
        "WHEN word = 'raced' AND $8 IS NOT NULL AND NOT keep_submission_key(",
        "tests/contract/test_store_submit.py::test_key_that_an_unfinished_twin_answered_names_the_twin",
    ),
    Mutant(
        "sql/queries/outbox.sql",
        "            ORDER BY e.turn, e.id LIMIT $2) AS due\n",
        "            LIMIT $2) AS due\n",
        "tests/contract/test_store_lanes.py::test_the_head_of_a_lane_is_found_however_many_wait_in_the_other",
    ),
    Mutant(
        "sql/queries/outbox.sql",
        "WHERE s.state IN ('pending', 'processing') AND s.judging = 1 AND NOT s.in_batch",
        "WHERE s.state IN ('pending', 'processing') AND s.judging < 2 AND NOT s.in_batch",
        "tests/contract/test_store_lanes.py::test_gauge_of_what_waits_reads_no_batch",
    ),
    Mutant(
        "sql/queries/batches.sql",
        "LIMIT greatest(0, $6 - (SELECT at_most FROM waiting))",
        "LIMIT greatest(0, $6)",
        "tests/contract/test_store_batches.py::test_quota_of_batches_is_exact_and_leaves_single_submissions_alone",
    ),
    Mutant(
        "sql/queries/batches.sql",
        "CASE WHEN (SELECT at_most FROM waiting) < $6 THEN excluded.unfinished_at_most",
        "CASE WHEN true THEN excluded.unfinished_at_most",
        "tests/contract/test_store_batches.py::test_quota_is_exact_over_many_chunks_and_when_it_changes",
    ),
    Mutant(
        "sql/queries/batches.sql",
        "b.unfinished_at_most + cardinality($7::int[]) <= $6",
        "b.unfinished_at_most < $6",
        "tests/contract/test_store_batches.py::test_quota_is_exact_over_many_chunks_and_when_it_changes",
    ),
    Mutant(
        "sql/queries/dead_letters.sql",
        "FROM revived AS r WHERE r.in_batch",
        "FROM revived AS r WHERE false",
        "tests/contract/test_store_dead_letters.py::test_a_requeued_letter_of_a_batch_counts_towards_the_quota_of_batches",
    ),
    Mutant(
        "sql/queries/batches.sql",
        "WHEN kept.same_body THEN 'same_key'",
        "WHEN NOT kept.same_body THEN 'same_key'",
        "tests/contract/test_store_batches.py::test_finished_line_still_answers_for_its_number",
    ),
    Mutant(
        "deepoj/words/outbox.py",
        "if lane in WAITED_FOR",
        "if lane >= Priority.BATCH",
        "tests/unit/test_backpressure.py::test_lag_counts_waiting_outbox_events_except_batches_and_rejudges",
    ),
    Mutant(
        "deepoj/api/batches.py",
        "if self._number % _TURN_LINES == 0:",
        "if self._number == 0:",
        "tests/api/test_batches.py::test_next_chunk_is_read_while_one_is_stored",
    ),
    Mutant(
        "deepoj/api/batches.py",
        "place.forward(last if page.first_unfinished is None else page.first_unfinished - 1)",
        "place.forward(last)",
        "tests/api/test_batches.py::test_verdict_of_an_earlier_line_comes_after_that_of_a_later_one",
    ),
    Mutant(
        "deepoj/nursery/webhooks.py",
        "free - 1 >= max(held + 1, int(RESERVED * self.concurrency))",
        "free - 1 >= held + 1",
        "tests/unit/test_webhooks.py::test_accounts_with_hung_receivers_do_not_delay_others",
    ),
    Mutant(
        "deepoj/nursery/webhooks.py",
        "            self._after = picks[-1].user_id\n",
        "            pass\n",
        "tests/unit/test_webhooks.py::test_accounts_that_are_behind_a_full_look_come_next",
    ),
    Mutant(
        "sql/queries/runs.sql",
        "WHERE state IN ('pending', 'processing') AND due_at <= now() AND attempts < $3",
        "WHERE state IN ('pending', 'processing') AND attempts < $3",
        "tests/contract/test_store_runs.py::test_the_one_that_has_waited_longest_is_next",
    ),
    Mutant(
        "sql/queries/runs.sql",
        ("               WHEN state <> 'processing' THEN 'not_in_expected_state'\n"
         "               WHEN lease_owner <> $3 OR due_at <= now() THEN 'lease_lost_or_owner_mismatch'\n"
         "           END AS refusal\n"
         "    FROM runs WHERE run_id = $1\n"
         "    FOR NO KEY UPDATE\n"
         "),\n"
         "kept"),
        ("               WHEN state <> 'processing' THEN 'not_in_expected_state'\n"
         "           END AS refusal\n"
         "    FROM runs WHERE run_id = $1\n"
         "    FOR NO KEY UPDATE\n"
         "),\n"
         "kept"),
        "tests/contract/test_store_runs.py::test_a_lease_that_is_kept_and_one_that_is_over",
    ),
    Mutant(
        "sql/queries/runs.sql",
        "+ octet_length($5::text) > $8::bigint))",
        "+ octet_length($5::text) > $8::bigint + 1000000000000))",
        "tests/contract/test_store_runs.py::test_finish_run_over_the_users_bytes_deletes_his_oldest_results",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        "len(runs := self.held(CustomClaim)) < share and self.free > (1 if runs else 0)",
        "len(runs := self.held(CustomClaim)) < share and self.free > 0",
        "tests/unit/test_leases.py::test_a_second_custom_run_leaves_a_slot_for_a_submission",
    ),
    Mutant(
        "deepoj/adapters/sandbox/verdict.py",
        "    if figures.wall_us - figures.delay_us > limits.wall_ms * 1000:",
        "    if figures.wall_us > limits.wall_ms * 1000:",
        "tests/unit/test_sandbox_verdict.py::test_row",
    ),
    Mutant(
        "deepoj/adapters/sandbox/verdict.py",
        "    if figures.cpu_us > limits.cpu_ms * 1000:",
        "    if figures.cpu_us >= limits.cpu_ms * 1000:",
        "tests/unit/test_sandbox_verdict.py::test_row",
    ),
    Mutant(
        "deepoj/adapters/sandbox/verdict.py",
        "_HOST_IS_SHORT = frozenset({errno.EAGAIN,",
        "_HOST_IS_SHORT = frozenset({errno.EIO, errno.EAGAIN,",
        "tests/unit/test_sandbox_verdict.py::test_program_that_cannot_start_is_blamed_on_program_or_host",
    ),
    Mutant(
        "deepoj/adapters/sandbox/verdict.py",
        ("    killed = _KILLED.get(figures.ended_by)\n"
         "    if killed is not None:\n"
         "        return killed\n"
         "    return _passed(figures, limits) or _ended(figures)"),
        "    return _passed(figures, limits) or _KILLED.get(figures.ended_by) or _ended(figures)",
        "tests/unit/test_sandbox_verdict.py::test_row",
    ),
    Mutant(
        "deepoj/judging/verdicts.py",
        "    if test_verdict is COMPARE and (exit_code != 0 or exit_signal != 0):",
        "    if test_verdict is COMPARE and exit_signal != 0:",
        "tests/unit/test_judging_verdicts.py::test_rows",
    ),
    Mutant(
        "deepoj/judging/verdicts.py",
        "    return CHECK_TABLE.get((protocol, exit_code), Verdict.SYSTEM_ERROR)",
        "    return CHECK_TABLE.get((protocol, exit_code), Verdict.WRONG_ANSWER)",
        "tests/unit/test_checkers.py::test_every_row_is_tested_and_every_other_code_is_a_failure",
    ),
    Mutant(
        "deepoj/judging/verdicts.py",
        "    (4, Verdict.PRESENTATION_ERROR),",
        "    (4, Verdict.ACCEPTED),",
        "tests/unit/test_checkers.py::test_rows",
    ),
    Mutant(
        "deepoj/judging/borderline.py",
        "    return replace(outcome, verdict=RunVerdict.TLE, rule=\"cpu\")",
        "    return outcome",
        "tests/unit/test_judge_step.py::test_close_to_the_limit_the_second_run_decides",
    ),
    Mutant(
        "deepoj/judging/borderline.py",
        "    return passed and delay_ms * 100 >= STARVED_PERCENT * limits.wall_ms",
        "    return passed and delay_ms > 0",
        "tests/unit/test_judge_step.py::test_a_run_that_ended_for_another_reason_than_delay_is_not_repeated",
    ),
    Mutant(
        "deepoj/judging/scoring/submission.py",
        "            nothing = group.aggregate is Aggregate.ALL or (group.aggregate is Aggregate.MIN and nothing)",
        "            nothing = group.aggregate is Aggregate.ALL or group.aggregate is Aggregate.MIN",
        "tests/unit/test_scoring.py::test_a_group_that_ends_at_its_first_failure",
    ),
    Mutant(
        "deepoj/judging/scoring/submission.py",
        ("        if any(graded.status in OURS for graded in self._graded.values()):\n"
         "            status, decided_by = Verdict.SYSTEM_ERROR, \"no_verdict\""),
        ("        if all(graded.status in OURS for graded in self._graded.values()):\n"
         "            status, decided_by = Verdict.SYSTEM_ERROR, \"no_verdict\""),
        "tests/unit/test_scoring.py::test_a_problem_that_is_not_scored",
    ),
    Mutant(
        "deepoj/judging/scoring/worth.py",
        "        return min(worths) if member.aggregate is Aggregate.MIN else sum(worths)",
        "        return sum(worths)",
        "tests/unit/test_scoring.py::test_worth",
    ),
    Mutant(
        "deepoj/judging/scoring/submission.py",
        "        if any(graded.status in OURS for graded in self._graded.values()) or verdict is None or not is_complete:",
        "        if any(graded.status in OURS for graded in self._graded.values()) or verdict is None:",
        "tests/unit/test_scoring.py::test_incomplete_judging_is_not_accepted",
    ),
    Mutant(
        "deepoj/judging/compare_floats.py",
        "        return off <= self._absolute or off <= self._relative * abs(ours)",
        "        return off <= self._absolute or off <= self._relative * abs(theirs)",
        "tests/unit/test_compare.py::test_numbers_are_near_as_each_default_validator_says",
    ),
    Mutant(
        "deepoj/judging/compare_floats.py",
        "        return b\"_\" not in b\"\".join((*wanted, *actual)) and tolerance.all_near(wanted, actual)",
        "        return tolerance.all_near(wanted, actual)",
        "tests/unit/test_compare.py::test_numbers",
    ),
    Mutant(
        "deepoj/judging/compare_floats.py",
        "    bits += 2 * rest > divisor or (2 * rest == divisor and bits & 1)",
        "    bits += 2 * rest >= divisor",
        "tests/unit/test_compare.py::test_numbers_are_near_as_each_default_validator_says",
    ),
    Mutant(
        "deepoj/judging/compare.py",
        "    way = exact if how.space_sensitive else tokens\n",
        "    way = tokens\n",
        "tests/unit/test_compare.py::test_every_way_agrees_with_its_model",
    ),
    Mutant(
        "deepoj/judging/compare.py",
        "    return tokens(expected, got, case_sensitive=how.case_sensitive, by_line=True)",
        "    return tokens(expected, got, case_sensitive=how.case_sensitive)",
        "tests/unit/test_compare.py::test_where_lines_end",
    ),
    Mutant(
        "deepoj/execution/compiling.py",
        "    return compiled.reason.get(\"why\") == \"exit\" and not _PERHAPS_OURS.search(result.output)",
        "    return not _PERHAPS_OURS.search(result.output)",
        "tests/unit/test_compiling.py::test_compilation_that_might_end_otherwise_is_not_kept",
    ),
    Mutant(
        "deepoj/execution/compile_key.py",
        "        asdict(spec.limits),\n",
        "",
        "tests/unit/test_compiling.py::test_all_that_goes_in_is_in_the_key",
    ),
    Mutant(
        "deepoj/judging/headers.py",
        "_SPLICE.sub(b\"\", source)",
        "source",
        "tests/unit/test_compiling.py::test_which_sources_are_lean",
    ),
    Mutant(
        "deepoj/execution/compiling.py",
        "    is_silent = outcome.verdict is RunVerdict.OK and not (outcome.stdout_len or outcome.stderr_len)\n",
        "    is_silent = outcome.verdict is RunVerdict.OK\n",
        "tests/unit/test_compiling.py::"
        "test_lean_source_is_compiled_by_the_plain_command_if_the_compiler_prints_something",
    ),
    Mutant(
        "deepoj/execution/compiling.py",
        "host_may and _host_kills() != kills",
        "False",
        "tests/unit/test_judge_step.py::test_a_source_that_kills_its_compiler_is_a_compile_error_unless_the_host_killed",
    ),
    Mutant(
        "deepoj/adapters/sandbox/quiet_box.py",
        "(first.alone and self._running)",
        "False",
        "tests/unit/test_quiet_box.py::test_one_that_asks_is_alone",
    ),
    Mutant(
        "deepoj/adapters/sandbox/quiet_box.py",
        "now + PAUSE_MAX_S)",
        "math.inf)",
        "tests/unit/test_quiet_box.py::test_no_pause_is_longer_than_the_longest",
    ),
    Mutant(
        "deepoj/adapters/sandbox/quiet_box.py",
        "> self._slots // 2:",
        "> self._slots:",
        "tests/unit/test_quiet_box.py::test_slots_that_are_all_paused_go_on",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "\"exit_code\": False, \"exit_signal\": False",
        "\"exit_code\": True, \"exit_signal\": False",
        "tests/unit/test_redact.py::test_figures_of_a_hidden_test_carry_few_bits",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "    samples -= {test.get(\"name\") for test in tests if not _is_sample(test)}\n",
        "",
        "tests/unit/test_redact.py::test_an_explanation_that_may_be_of_a_hidden_test_is_none_of_a_sample",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "            bound *= 2\n",
        ("            bound += bound\n"
         "            return value\n"),
        "tests/unit/test_redact.py::test_figures_of_a_hidden_test_carry_few_bits",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "    return test.get(\"sample\") is True",
        "    return test.get(\"sample\") is not False",
        "tests/unit/test_redact.py::test_a_test_that_does_not_say_is_hidden",
    ),
    Mutant(
        "deepoj/api/redact.py",
        "    decided = test.get(\"reason\") == \"signal\" and bool(test[\"exit_signal\"])",
        "    decided = bool(test[\"exit_signal\"])",
        "tests/unit/test_redact.py::test_figures_of_a_hidden_test_carry_few_bits",
    ),
    Mutant(
        "deepoj/api/auth.py",
        "\"require\": [\"exp\", ",
        "\"require\": [",
        "tests/api/test_rights.py::test_no_forged_token_passes",
    ),
    Mutant(
        "deepoj/api/auth.py",
        "            return await self._is_not_ended(claims)",
        "            return True",
        "tests/api/test_live.py::test_a_token_that_is_ended_by_itself_ends_its_stream_alone",
    ),
    Mutant(
        "deepoj/api/http/address.py",
        "    for hop in reversed(hops):",
        "    for hop in hops:",
        "tests/api/test_limits.py::test_forwarded_address_counts_from_trusted_proxies_only",
    ),
    Mutant(
        "deepoj/api/http/address.py",
        "return address is not None and address.is_loopback and not any(name in headers for name in _FORWARDED)",
        "return address is not None and address.is_loopback",
        "tests/api/test_rights.py::test_metrics_guard",
    ),
    Mutant(
        "deepoj/api/password_tries.py",
        "        if account_ms and first_ms and not known_ms:",
        "        if account_ms:",
        "tests/api/test_limits.py::test_wrong_passwords_are_bounded_by_account",
    ),
    Mutant(
        "deepoj/api/http/limits.py",
        "        if limit in {Limit.NONE, Limit.PASSWORD}:",
        "        if limit is Limit.PASSWORD:",
        "tests/api/test_limits.py::test_health_and_metrics_are_not_counted",
    ),
    Mutant(
        "deepoj/accounts/passwords.py",
        "return matches and account is not None and account.password_hash != \"\"",
        "return matches and account is not None",
        "tests/api/test_oauth.py::test_an_account_from_github_has_no_password_to_guess",
    ),
    Mutant(
        "deepoj/accounts/passwords.py",
        "        self._lines.move_to_end(subject)\n",
        "",
        "tests/unit/test_fair_turns.py::test_subjects_take_turns",
    ),
    Mutant(
        "deepoj/api/http/head.py",
        "is_chunked and (bool(lengths) or request.http_version == b\"1.0\")",
        "is_chunked and request.http_version == b\"1.0\"",
        "tests/api/test_http_refused.py::test_forbidden_head_is_refused_and_connection_closed",
    ),
    Mutant(
        "deepoj/api/http/head.py",
        "if is_bare or b\"\\n \" in received or b\"\\n\\t\" in received or",
        "if is_bare or",
        "tests/api/test_http_refused.py::test_forbidden_head_is_refused_and_connection_closed",
    ),
    Mutant(
        "deepoj/adapters/batcher.py",
        "if is_next and (is_idle or not self._had_company):",
        "if is_next:",
        "tests/unit/test_batcher.py::test_calls_under_load_wait_for_the_batch_in_progress_and_not_for_one_that_hangs",
    ),
    Mutant(
        "deepoj/adapters/batcher.py",
        "is_followed = bool(self._queue)",
        "is_followed = False",
        "tests/unit/test_batcher.py::test_next_batch_begins_before_calls_of_the_last_go_on",
    ),
    Mutant(
        "deepoj/adapters/batcher.py",
        "if not mine.woken.is_set():  # otherwise",
        "if True:  # otherwise",
        "tests/unit/test_batcher.py::test_next_batch_begins_before_calls_of_the_last_go_on",
    ),
    Mutant(
        "deepoj/adapters/batcher.py",
        "        await trio.lowlevel.cancel_shielded_checkpoint()  # go on",
        "        # go on",
        "tests/unit/test_batcher.py::test_calls_of_a_batch_come_to_their_next_one_together",
    ),
    Mutant(
        "deepoj/api/http/body.py",
        "431 if self._spare_bytes < 0 or end < 2 else",
        "431 if end < 2 else",
        "tests/api/test_http_refused.py::test_forbidden_chunked_body_is_refused_and_connection_closed",
    ),
    Mutant(
        "deepoj/api/http/connection.py",
        "        self.awaited_since = trio.current_time()\n        self._unsent.hold(",
        "        self._unsent.hold(",
        "tests/api/test_crowded.py::test_full_of_waiting_clients_serves_those_who_come",
    ),
    Mutant(
        "deepoj/api/http/unsent.py",
        "not self._holds_alone(others[one]), one.awaited_since",
        "one.awaited_since",
        "tests/api/test_unsent.py::test_a_body_that_many_send_counts_once",
    ),
    Mutant(
        "deepoj/api/http/connection.py",
        "        if client_state(self._stream) is not ClientState.GONE:\n",
        "        if client_state(self._stream) is not None:\n",
        "tests/api/test_serve.py::test_request_of_a_client_that_has_gone_is_ended",
    ),
    Mutant(
        "deepoj/api/http/admission.py",
        "            elif connection.has_unread_request:",
        "            elif False:",
        "tests/api/test_crowded.py::test_a_request_that_came_before_its_connection_was_given_up_is_answered",
    ),
    Mutant(
        "deepoj/webhooks/callback_urls.py",
        "        return (address.ipv4_mapped,)",
        "        return (address,)",
        "tests/unit/test_callback_urls.py::test_only_hosts_and_networks_that_the_operator_allows_may_be_called",
    ),
    Mutant(
        "deepoj/webhooks/callback_urls.py",
        "return address.is_global and not special",
        "return address.is_global",
        "tests/unit/test_callback_urls.py::test_malformed_callback_url_is_refused",
    ),
    Mutant(
        "deepoj/packages/formats/archive.py",
        "        if total > self._limits.max_bytes:",
        "        if total > self._limits.max_bytes * 2:",
        "tests/unit/packages/test_archive.py::test_links_to_a_large_file_count_as_often_as_it_has_names",
    ),
    Mutant(
        "deepoj/packages/formats/archive.py",
        "            if size > self._limits.max_file_bytes:",
        "            if size > self._limits.max_bytes:",
        "tests/unit/packages/test_archive.py::test_limits_are_kept",
    ),
    Mutant(
        "sandbox_ext/uids.c",
        "used[top - 1 - uid] = true;",
        "used[top - 1 - uid] = false;",
        "tests/sandbox/test_orphans.py::test_run_beside_unreaped_processes_of_a_killed_node_may_have_all_its_own",
    ),
    Mutant(
        "deepoj/adapters/sandbox/launcher.py",
        "    if process.returncode != 0:  # killed",
        "    if process.returncode == 0:  # killed",
        "tests/sandbox/test_orphans.py::test_node_whose_launcher_is_killed_reaps_its_processes",
    ),
    Mutant(
        "sandbox_ext/policy.c",
        "MAP_HUGETLB, 3, 0)",
        "MAP_HUGETLB, 2, 0)",
        "tests/sandbox/test_policy.py::test_calls_are_decided_by_their_arguments",
    ),
    Mutant(
        "sandbox_ext/stream.c",
        "    uint64_t room = before < cap ? cap - before : 0;",
        "    uint64_t room = before < cap ? cap : 0;",
        "tests/sandbox/test_verdicts.py::test_too_much_output_ends_the_run",
    ),
    Mutant(
        "sandbox_ext/policy.c",
        "CLONE_VM, 2, 0)",
        "CLONE_VM, 3, 0)",
        "tests/sandbox/test_policy.py::test_calls_are_decided_by_their_arguments",
    ),
    Mutant(
        "sandbox_ext/run.c",
        "    if (run->streams[0].length + run->streams[1].length > run->request->limits.output_bytes)",
        "    if (run->streams[0].length > run->request->limits.output_bytes)",
        "tests/sandbox/test_verdicts.py::test_too_much_output_ends_the_run",
    ),
    Mutant(
        "sandbox_ext/cell.c",
        ("    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)\n"
         "        return cell_fail(cell, \"death_signal\", -errno);\n"
         "    return getppid()"),
        "    return getppid()",
        "tests/sandbox/test_life.py::test_kill_of_launcher_slot_init_or_payload_leaves_no_process",
    ),
    Mutant(
        "sandbox_ext/run_limits.c",
        "    if (sample.memory_bytes > limits->memory_bytes)",
        "    if (sample.memory_bytes > 2 * limits->memory_bytes)",
        "tests/sandbox/test_verdicts.py::test_the_memory_of_children_counts_together",
    ),
    Mutant(
        "deepoj/api/http/limits.py",
        "            await self._take(_by_token(rate, claims))",
        "            await self._take(_by_address(\"api\", rate, self._address()))",
        "tests/api/test_limits.py::test_class_behind_one_address_logs_in_and_reads",
    ),
    Mutant(
        "deepoj/words/stream.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\ndef planted() -> None: import deepoj.adapters.pg\n",
        "tests/unit/test_house.py::test_imports_and_names_are_where_the_rules_allow_them",
    ),
    Mutant(
        "deepoj/pipeline/claim.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\ndef planted() -> None: from deepoj.pipeline import ack\n",
        "tests/unit/test_house.py::test_imports_and_names_are_where_the_rules_allow_them",
    ),
    Mutant(
        "deepoj/nursery/loops.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\ndef planted() -> None: import asyncio\n",
        "tests/unit/test_house.py::test_imports_and_names_are_where_the_rules_allow_them",
    ),
    Mutant(
        "deepoj/cli/completion.py",
        "@click.command()\n",
        "",
        "tests/unit/test_house.py::test_modules_of_cli_define_commands_or_print_their_results",
    ),
    Mutant(
        "deepoj/pipeline/repair.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\nclass Metrics: pass\n",
        "tests/unit/test_house.py::test_a_class_name_is_declared_once",
    ),
    Mutant(
        "deepoj/pipeline/repair.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\ndef planted() -> None: pass\n",
        "tests/unit/test_house.py::test_every_function_and_class_is_used_by_the_program",
    ),
    Mutant(
        "deepoj/pipeline/repair.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\n# whoever asks\n",
        "tests/unit/test_house.py::test_sources_use_no_tell_tale_words_beyond_the_allowed_ones",
    ),
    Mutant(
        "deepoj/wiring/settings.py",
        "compile_output_bytes=cfg.compile.log_max_size_mb * MIB,",
        "compile_output_bytes=1 * MIB,",
        "tests/unit/test_config_use.py::test_every_setting_does_something_or_is_said_to_do_nothing_yet",
    ),
    Mutant(
        "deepoj/execution/case_runs.py",
        "alone_within_s=self._settings.borderline_wait_ms / 1000)",
        "alone_within_s=5.0)",
        "tests/unit/test_config_use.py::test_every_setting_does_something_or_is_said_to_do_nothing_yet",
    ),
    Mutant(
        "deepoj/contests/clics_teams.py",
        "if data and not sees(ledger, ANY_TEAM, kind, object_id):",
        "if not data:",
        "tests/contests/test_clics.py::test_team_is_told_by_the_view_of_all_teams_what_one_of_its_own_would_tell",
    ),
    Mutant(
        "deepoj/contests/clics_log.py",
        "            return self._numbers[index]\n",
        "            return self._numbers[index - 1]\n",
        "tests/contests/test_clics.py::test_team_is_told_by_the_view_of_all_teams_what_one_of_its_own_would_tell",
    ),
    Mutant(
        "deepoj/api/contest_ledgers.py",
        "cancel_shielded_checkpoint",
        "checkpoint",
        "tests/contests/test_contest_ledgers.py::test_reader_who_goes_away_leaves_no_event_by_half",
    ),
    Mutant(
        "deepoj/packages/formats/texts.py",
        "self._repeated_chars += chars",
        "self._repeated_chars = chars",
        "tests/contests/test_team_files.py::test_a_list_is_read_once_however_it_is_written[repeated]",
    ),
    Mutant(
        "deepoj/web/pages/manage_contests.py",
        'form.get("sure") != question.stamp',
        'not form.get("sure")',
        "tests/web/test_manage_contests.py::"
        "test_rules_that_somebody_else_changes_before_the_confirmation_are_asked_about_again[embedded]",
    ),
    Mutant(
        "sql/migrations/048_hide_ends_of_withheld_judgings.sql",
        "        IF NOT is_shown THEN\n",
        "        IF false THEN\n",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[member]",
    ),
    Mutant(
        "deepoj/contests/ledger.py",
        "return of_jury, _without_verdict(of_jury) if is_withheld else of_jury",
        "return of_jury, of_jury",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[stranger]",
    ),
    Mutant(
        "deepoj/contests/views.py",
        "return _sees_submission(ledger, viewer, submission_id, submission) and not ledger.is_withheld(submission_id)",
        "return _sees_submission(ledger, viewer, submission_id, submission)",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[stranger]",
    ),
    Mutant(
        "sql/queries/marks.sql",
        "  AND NOT EXISTS (SELECT FROM contests AS c WHERE c.id = latest.contest_id AND NOT c.is_marking)\n",
        "",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[member]",
    ),
    Mutant(
        "deepoj/api/catalog.py",
        "return None if is_kept else problem.created_by",
        "return problem.created_by",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[setter]",
    ),
    Mutant(
        "deepoj/api/submitting.py",
        "return place is not None and await context.contests.team_of(place.contest_id, user.id) == place.team_id",
        "return place is not None and await context.contests.team_of(place.contest_id, user.id) is not None",
        "tests/contests/test_freeze.py::test_a_verdict_in_the_freeze_changes_no_answer[lark]",
    ),
    Mutant(
        "deepoj/contests/ledger.py",
        'if freeze_ms is None or self.state.get("thawed_at") is not None:',
        'if freeze_ms is None or self.state.get("ended_at") is not None:',
        "tests/contests/test_freeze.py::test_a_verdict_that_a_contest_hides_changes_no_answer[over]",
    ),
    Mutant(
        "sql/migrations/038_add_contests.sql",
        "AND NOT (c.closed_at IS NOT NULL AND (c.frozen_at IS NULL OR c.thawed_at IS NOT NULL)))",
        "AND c.closed_at IS NULL)",
        "tests/contests/test_freeze.py::test_a_verdict_that_a_contest_hides_changes_no_answer[ioi-hidden]",
    ),
    Mutant(
        "deepoj/api/contest_webhooks.py",
        "FeedPlace(ledger.last if is_all else",
        "FeedPlace(ledger.last if True else",
        "tests/contract/test_contest_webhooks.py::test_long_feeds_come_in_order_in_several_callbacks",
    ),
    Mutant(
        "sql/queries/contest_webhooks.sql",
        "WHERE id = $1 AND attempts = $2 AND",
        "WHERE id = $1 AND $2 > 0 AND",
        "tests/contract/test_contest_webhooks.py::test_a_turn_whose_lease_ran_out_records_nothing",
    ),
    Mutant(
        "deepoj/nursery/contests.py",
        "refused |= {entry.entry_id for entry in tried}",
        "pass",
        "tests/unit/test_contest_slots.py::test_an_entry_whose_job_another_node_has_is_tried_once",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        "sum(not (lease.of_contest or lease.is_judged) for lease in self._held.values())",
        "sum(not lease.is_judged for lease in self._held.values())",
        "tests/unit/test_contest_slots.py::test_jobs_of_contests_use_kept_slots_first",
    ),
    Mutant(
        "deepoj/judging/scoring/absolute.py",
        "if place == self._passed.get(name, 0) and self._is_whole(member):",
        "if place == self._passed.get(name, 0):",
        "tests/unit/test_scoring.py::test_looking_ahead_changes_nothing",
    ),
    Mutant(
        "deepoj/execution/runs_ahead.py",
        "self._begun.discard(number)  # later",
        "pass  # later",
        "tests/unit/test_parallel_tests.py::test_results_that_were_forgotten_are_made_again_when_a_failure_is_forgiven",
    ),
    Mutant(
        "deepoj/execution/runs_ahead.py",
        "if slot.taken and not self._has_spare_tests():",
        "if not slot:",
        "tests/unit/test_slots_in_time.py::test_no_slot_is_idle_while_a_test_waits_in_another",
    ),
    Mutant(
        "deepoj/execution/runs_ahead.py",
        "self._announce()  # by now",
        "pass  # by now",
        "tests/unit/test_parallel_tests.py::test_all_tests_are_run_while_slots_become_idle_and_are_needed_again",
    ),
    Mutant(
        "deepoj/execution/early.py",
        "self.scope.deadline = inf if is_stored else -inf",
        "self.scope.deadline = inf",
        "tests/unit/test_early.py::test_the_compiler_of_a_draft_that_is_not_stored_is_ended",
    ),
    Mutant(
        "deepoj/execution/compiling.py",
        "if outcome.verdict is not RunVerdict.SE:  # else",
        "if outcome:  # else",
        "tests/unit/test_early.py::test_the_call_compiles_what_broke_early",
    ),
    Mutant(
        "deepoj/pipeline/submit.py",
        "early.settle(is_stored=event is not None)",
        "early.settle(is_stored=True)",
        "tests/unit/test_hand_over.py::test_the_compilation_of_a_draft_that_is_not_stored_is_ended",
    ),
    Mutant(
        "deepoj/nursery/leases.py",
        "2 * self.slots - len(self._held)",
        "9 * self.slots - len(self._held)",
        "tests/unit/test_tree.py::test_no_more_jobs_are_claimed_than_two_for_a_slot_where_no_verdict_can_be_written",
    ),
    Mutant(
        "deepoj/nursery/work.py",
        "of_contest = {entry.entry_id for entry in good if entry.priority == Priority.CONTEST}",
        "of_contest: set[str] = set()",
        "tests/unit/test_contest_slots.py::test_a_job_of_a_contest_that_the_consumer_reads_is_one",
    ),
    Mutant(
        "deepoj/contests/rehearsal.py",
        "penalty_ms=times.penalty_ms,",
        "penalty_ms=0,",
        "tests/contests/test_rehearsal.py::test_a_compile_error_costs_what_it_does_in_the_feed",
    ),
    Mutant(
        "deepoj/api/rerunning.py",
        "if not reading.is_whole:",
        "if reading is None:",
        ("tests/web/test_reruns.py"
         "::test_a_setter_sees_no_test_of_the_problem_of_another_by_a_submission_of_its_own"),
    ),
    Mutant(
        "sql/queries/reruns.sql",
        "WHERE job_id = $1 AND NOT is_erased FOR SHARE",
        "WHERE job_id = $1 FOR SHARE",
        "tests/contract/test_store_reruns.py::test_an_erased_source_takes_its_reruns_with_it",
    ),
    Mutant(
        "sql/queries/account_data.sql",
        "rerun AS (DELETE FROM reruns WHERE job_id = ANY (ARRAY (SELECT job_id FROM due))),\n",
        "",
        "tests/contract/test_store_reruns.py::test_an_erased_source_takes_its_reruns_with_it",
    ),
    Mutant(
        "sql/queries/reruns.sql",
        "WHERE r.id = $1 AND (r.finished_at IS NULL OR r.finished_at > now() - make_interval(secs => $2));",
        "WHERE r.id = $1;",
        "tests/contract/test_store_reruns.py::test_only_the_newest_finished_reruns_are_kept_and_for_a_time",
    ),
)
# fmt: on
