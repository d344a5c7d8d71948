"""Handling of LMSs' quirks, taken out of our code one at a time, and the test that must notice.

Five at least for each LMS that the sandbox can be. Some LMSs have fewer that our code has to know of: Schoology, Open
edX and the strict one are mostly met by what is right for all (a 404 is a column that is gone, a refusal in unknown
words is parked and tried again once the person is a learner), and that is what is broken for them here.
"""

from __future__ import annotations

from tests.sabotage.table import Break

CLASSIFICATION = "ltiaas_django/connections/ltiaas/classification.py"
CONNECTION = "ltiaas_django/connections/ltiaas/connection.py"
HTTP = "ltiaas_django/connections/ltiaas/http.py"
WIRE = "ltiaas_django/connections/ltiaas/wire.py"
PAGINATION = "ltiaas_django/connections/pagination.py"
VERDICTS = "ltiaas_django/operations/verdicts.py"
DELIVERY = "ltiaas_django/operations/delivery.py"
OUTCOMES = "ltiaas_django/operations/outcomes.py"
ROSTERS = "ltiaas_django/operations/rosters.py"
LAUNCHING = "ltiaas_django/operations/launching.py"
VOCABULARY = "ltiaas_django/vocabulary.py"

DAY = "tests/stage/test_profiles_and_faults.py::test_the_day"
SCORES = "tests/stage/test_quirks.py::"
PEOPLE = "tests/stage/test_roster_quirks.py::"


def quirk(lms: str, title: str, test: str, path: str, old: str, new: str) -> Break:
    """One piece of handling."""
    return Break(must=lms, title=title, path=path, old=old, new=new, test=test)


def unknown_words(lms: str, title: str, test: str, said: str) -> Break:
    """A rule of the classification whose words are never said."""
    return quirk(lms, title, test, CLASSIFICATION, f'"{said}"', f'"{said} (never)"')


REFUSED = f"{SCORES}test_a_teacher_is_refused_in_words_that_we_know"
OTHER_WORDS = f"{SCORES}test_whoever_was_refused_in_other_words_is_sent_again_once_a_learner"
THROTTLED = f"{SCORES}test_an_lms_that_is_asked_too_much_is_left_alone"
GONE = f"{SCORES}test_a_deleted_column_is_made_anew_and_holds_all_that_was_sent"
OVER = f"{SCORES}test_a_course_that_is_over_waits_for_its_next_launch"
REMOVED = f"{SCORES}test_a_tool_that_was_taken_out_of_a_course_waits_for_a_new_key"
COMMENT = f"{SCORES}test_a_comment_whose_answer_was_lost_is_sent_once"
BEYOND = f"{SCORES}test_a_column_beyond_the_first_page_is_found"
LACKED = f"{SCORES}test_a_column_that_the_lms_lacks_is_made_as_it_wants_it"
ROSTER = f"{PEOPLE}test_a_roster_is_read_to_its_last_page_and_nobody_leaves_by_it"
KEPT = f"{PEOPLE}test_a_name_that_is_known_outlives_an_lms_that_keeps_it_to_itself"
TROUBLE = f"{PEOPLE}test_a_broken_roster_is_an_error_and_nobody_leaves_by_it"

_ABSENT_COMMENT = (
    VERDICTS,
    "if not stored or (comment is not None and not says_same):",
    "if not stored or (row.comment and not says_same):",
)
_EXTRA_CREDIT = (VERDICTS, "for wanted in (sent, min(sent, Decimal(1)))", "for wanted in (sent,)")
_NOT_FOUND = (CLASSIFICATION, "if status == 404 and not answer.is_html:", "if status == 410 and not answer.is_html:")
_NEXT = (WIRE, "return text.strip() or None", "return None")

CANVAS = [
    unknown_words("canvas", "a 403 may mean “slower”", f"{THROTTLED}[scores-canvas]", "rate limit exceeded"),
    unknown_words(
        "canvas",
        "a 422 about one person stops nobody else",
        f"{REFUSED}[canvas]",
        "user not found in course or is not a student",
    ),
    unknown_words("canvas", "a course that is over waits", f"{OVER}[canvas]", "this course has concluded"),
    unknown_words(
        "canvas",
        "a score that is too old is sent again",
        f"{SCORES}test_a_score_that_the_lms_finds_too_old_is_sent_again[canvas]",
        "before last updated timestamp",
    ),
    quirk(
        "canvas",
        "a lost answer makes no second attempt",
        f"{DAY}[canvas-drop_after]",
        OUTCOMES,
        "return self.earlier == self.row.revision",
        "return False",
    ),
    quirk("canvas", "results show no comments, and one is sent once", f"{COMMENT}[1-canvas]", *_ABSENT_COMMENT),
    quirk(
        "canvas",
        "progress after a grade would wipe it",
        f"{SCORES}test_progress_after_a_grade_wipes_nothing[canvas]",
        DELIVERY,
        "if is_graded or (job.row.sent_revision is None and job.earlier is None):",
        "if is_graded or job.row.sent_revision != 0:",
    ),
    quirk(
        "canvas",
        "a clear that arrived is not repeated",
        "tests/operations/test_doubt.py::test_a_clear_in_doubt_is_repeated_only_where_it_might_be_a_zero[canvas-2]",
        VERDICTS,
        'product_family.lower() == "canvas"',
        'product_family == "Canvas"',
    ),
    quirk(
        "canvas",
        "columns come ten at a time",
        f"{BEYOND}[canvas]",
        CONNECTION,
        'for page in self._walk(wire.parse_line_item_page, "GET line items", _LINE_ITEMS, query):',
        'for page in [next(self._walk(wire.parse_line_item_page, "GET line items", _LINE_ITEMS, query))]:',
    ),
    quirk(
        "canvas",
        "who teaches in the institution may learn here",
        f"{PEOPLE}test_canvass_roles_in_the_institution_give_no_rights_in_the_course",
        VOCABULARY,
        'elif "/" in text or ":" in text:\n        return ""',
        'elif "/" in text or ":" in text:\n        return text.rpartition("#")[2]',
    ),
]

CANVAS_ANONYMOUS = [
    quirk(
        "canvas_anonymous",
        "a launch without an address signs in",
        f"{PEOPLE}test_an_anonymous_person_gets_an_account",
        WIRE,
        'email=user.email("email"),',
        'email=user.id("email"),',
    ),
    quirk(
        "canvas_anonymous",
        "a roster without names is a roster",
        f"{DAY}[canvas_anonymous-none]",
        WIRE,
        'name=member.text("name"),',
        'name=member.id("name"),',
    ),
    quirk(
        "canvas_anonymous",
        "a roster without names erases none",
        f"{KEPT}[canvas_anonymous]",
        "ltiaas_django/models/roster_rows.py",
        "f\"COALESCE(NULLIF(excluded.{name}, ''), {table}.{name})\"",
        'f"excluded.{name}"',
    ),
    quirk(
        "canvas_anonymous",
        "a launch without a name erases none",
        f"{KEPT}[canvas_anonymous]",
        LAUNCHING,
        'if value != "" and getattr(row, name) != value]',
        "if getattr(row, name) != value]",
    ),
    quirk(
        "canvas_anonymous",
        "no address is nobody's address",
        f"{PEOPLE}test_an_address_that_is_kept_back_links_nobody",
        "ltiaas_django/operations/sso.py",
        "account_linking != Platform.AccountLinking.EMAIL or not id_token.user.email:",
        "account_linking != Platform.AccountLinking.EMAIL:",
    ),
    quirk("canvas_anonymous", "a comment is sent once", f"{COMMENT}[3-canvas_anonymous]", *_ABSENT_COMMENT),
]

CANVAS_UNPUBLISHED = [
    quirk(
        "canvas_unpublished",
        "“no student” of all is said of the course",
        f"{DAY}[canvas_unpublished-none]",
        OUTCOMES,
        "if _is_about_a_learner(outcome) and context_id not in self.accepted_in:",
        "if _is_about_a_learner(outcome) and context_id in self.accepted_in:",
    ),
    quirk(
        "canvas_unpublished",
        "after five refusals no more are tried",
        f"{SCORES}test_an_unpublished_course_is_not_asked_about_every_learner",
        DELIVERY,
        "if self.refused_in[context_id] >= _UNGRADABLE and",
        "if self.refused_in[context_id] >= 10 * _UNGRADABLE and",
    ),
    quirk(
        "canvas_unpublished",
        "a teacher is no learner there either",
        f"{SCORES}test_a_teacher_in_an_unpublished_course_waits_for_no_night",
        OUTCOMES,
        "return outcome.went_out and outcome.job.learns and",
        "return outcome.went_out and",
    ),
    quirk(
        "canvas_unpublished",
        "every night tries again",
        f"{SCORES}test_a_course_that_is_not_published_is_tried_every_night_and_sent_once_it_is[canvas_unpublished]",
        VERDICTS,
        "state = State.PARKED if again >= settings.MAX_ATTEMPTS else State.DUE",
        "state = State.PARKED",
    ),
    quirk(
        "canvas_unpublished",
        "a learner's launch tries at once",
        f"{SCORES}test_an_unpublished_course_is_sent_when_a_learner_gets_in",
        LAUNCHING,
        "if rows.has_not_gradable and",
        "if not rows.has_not_gradable and",
    ),
    quirk(
        "canvas_unpublished",
        "nothing taken is an alarm",
        f"{SCORES}test_nothing_taken_in_an_unpublished_course_is_an_alarm",
        "ltiaas_django/operations/passes.py",
        "return Outcome.PARTIAL if good else Outcome.FAILED",
        "return Outcome.PARTIAL",
    ),
]

MOODLE = [
    unknown_words("moodle", "a 400 may be about a person", f"{REFUSED}[moodle]", "incorrect score received"),
    unknown_words("moodle", "a course that is gone waits", f"{OVER}[moodle]", "not found: course"),
    quirk(
        "moodle",
        "a 0 looks like nothing",
        f"{SCORES}test_moodle_hides_a_zero_that_is_there",
        VERDICTS,
        "stored = result is not None and row.given == 0 and (has_comment or not row.cleared)",
        "stored = False",
    ),
    quirk(
        "moodle",
        "values come back rounded",
        f"{DAY}[moodle-none]",
        VERDICTS,
        '_CLOSE_ENOUGH = Decimal("0.00005")',
        "_CLOSE_ENOUGH = Decimal(0)",
    ),
    quirk("moodle", "extra credit is cut", f"{DAY}[moodle-none]", *_EXTRA_CREDIT),
    quirk(
        "moodle",
        "one score in a second",
        f"{SCORES}test_moodle_gets_two_scores_of_one_person_in_two_seconds",
        "ltiaas_django/operations/grades.py",
        "SPACING = timedelta(seconds=1.1)",
        "SPACING = timedelta(0)",
    ),
    quirk(
        "moodle",
        "with a limit the other columns are lost",
        f"{BEYOND}[moodle]",
        CONNECTION,
        "query = _given(resourceLinkId=",
        'query = _given(limit="10", resourceLinkId=',
    ),
    quirk("moodle", "a blank tag is none", f"{BEYOND}[moodle]", WIRE, 'item.optional_id("tag")', 'item.id("tag")'),
    quirk(
        "moodle",
        "a column's id has a query string",
        f"{LACKED}[moodle]",
        HTTP,
        'encoded = quote(text, safe="")',
        'encoded = quote(text, safe="?=")',
    ),
    quirk(
        "moodle",
        "rosters have short names for roles",
        f"{PEOPLE}test_a_launch_names_roles_in_other_words_than_the_roster_and_changes_nothing[moodle]",
        LAUNCHING,
        "vocabulary.context_roles(membership.roles) == vocabulary.context_roles(roles) and membership.roles",
        "membership.roles == list(roles)",
    ),
    quirk(
        "moodle",
        "what it echoes of a score is not kept",
        f"{SCORES}test_what_moodle_echoes_of_a_score_is_not_kept",
        CLASSIFICATION,
        'yield text.partition("{")[0]',
        "yield text",
    ),
]

BLACKBOARD = [
    unknown_words("blackboard", "a 400 may be about a person", f"{REFUSED}[blackboard]", "user could not be found"),
    quirk("blackboard", "one person's result lacks the comment", f"{COMMENT}[1-blackboard]", *_ABSENT_COMMENT),
    quirk(
        "blackboard",
        "a comment loses its line breaks",
        f"{COMMENT}[3-blackboard]",
        VERDICTS,
        'return " ".join(comment.split())',
        "return comment.strip()",
    ),
    quirk(
        "blackboard",
        "results come in pages",
        f"{SCORES}test_results_are_read_to_their_last_page[blackboard]",
        CONNECTION,
        "for page in self._walk(wire.parse_result_page, asked, path, _given(userId=user_id)):",
        "for page in [next(self._walk(wire.parse_result_page, asked, path, _given(userId=user_id)))]:",
    ),
    quirk(
        "blackboard",
        "who has left may be Inactive",
        f"{PEOPLE}test_blackboard_says_of_whom_that_they_are_inactive",
        WIRE,
        "return MembershipStatus(text.capitalize())",
        "return MembershipStatus.ACTIVE",
    ),
    quirk(
        "blackboard",
        "a 429 need not say for how long",
        f"{THROTTLED}[memberships-blackboard]",
        CLASSIFICATION,
        "if status == 429:",
        "if status == 429 and answer.is_ltiaas_error and answer.origin != 'lms':",
    ),
    quirk("blackboard", "a column that is gone is made anew", f"{GONE}[blackboard]", *_NOT_FOUND),
]

BRIGHTSPACE = [
    unknown_words("brightspace", "a role without grades is about a person", f"{REFUSED}[brightspace]", "can be graded"),
    unknown_words(
        "brightspace",
        "a 403 may be about a person",
        f"{SCORES}test_who_is_not_in_brightspaces_org_unit_is_refused_for_themselves",
        "not enrolled in the org unit",
    ),
    quirk(
        "brightspace",
        "launches name no column, and it is found",
        f"{DAY}[brightspace-none]",
        "ltiaas_django/operations/line_items.py",
        "same_link = link is not None and candidate.resource_link_id == link.lti_id",
        "same_link = link is not None and candidate.resource_link_id == link.title",
    ),
    quirk("brightspace", "extra credit is cut", f"{DAY}[brightspace-none]", *_EXTRA_CREDIT),
    quirk(
        "brightspace",
        "it says for how long to wait",
        f"{SCORES}test_brightspace_says_for_how_long",
        "ltiaas_django/operations/leases.py",
        "pause(lease, error.retry_after or verdicts.THROTTLE_REST, str(error))",
        "pause(lease, verdicts.THROTTLE_REST, str(error))",
    ),
    quirk("brightspace", "a roster has more than a hundred people", f"{ROSTER}[brightspace]", *_NEXT),
]

SAKAI = [
    quirk(
        "sakai",
        "an empty body is no empty roster",
        f"{PEOPLE}test_sakais_empty_body_is_no_empty_roster",
        HTTP,
        'return invalid("an empty body instead of JSON")',
        'return ({"members": []},)',
    ),
    unknown_words("sakai", "a 400 may be about a person", f"{REFUSED}[sakai]", "user does not belong to site"),
    unknown_words("sakai", "a 400 may be about the course", f"{OVER}[sakai]", "could not load site"),
    unknown_words("sakai", "a 400 may be about the column", f"{GONE}[sakai]", "could not load line item"),
    unknown_words("sakai", "a 403 may be about the tool", f"{REMOVED}[sakai]", "signature_error"),
]

SCHOOLOGY = [
    quirk(
        "schoology",
        "a new column names no id",
        f"{LACKED}[schoology]",
        WIRE,
        '        "label": line_item.label,\n        "scoreMaximum": render_amount(line_item.score_maximum),',
        '        "id": line_item.lti_id or "new",\n        "label": line_item.label,\n'
        '        "scoreMaximum": render_amount(line_item.score_maximum),',
    ),
    quirk(
        "schoology",
        "a roster is asked for no activity",
        f"{ROSTER}[schoology]",
        CONNECTION,
        'return self._walk(parse, "GET roster", _MEMBERSHIPS, _given(limit=',
        'return self._walk(parse, "GET roster", _MEMBERSHIPS, _given(resourceLinkId="quiz-1", limit=',
    ),
    quirk("schoology", "a roster has more than fifty people", f"{ROSTER}[schoology]", *_NEXT),
    quirk(
        "schoology",
        "a 400 in unknown words is tried again",
        f"{OTHER_WORDS}[schoology]",
        "ltiaas_django/operations/grades.py",
        'REFUSED_TO_A_PERSON = ("person_not_gradable", "invalid_request")',
        'REFUSED_TO_A_PERSON = ("person_not_gradable",)',
    ),
    quirk("schoology", "a column that is gone is made anew", f"{GONE}[schoology]", *_NOT_FOUND),
]

OPENEDX = [
    quirk(
        "openedx",
        "201 is a yes",
        f"{DAY}[openedx-none]",
        HTTP,
        "if not 200 <= answer.status < 300:",
        "if answer.status not in (200, 204):",
    ),
    quirk(
        "openedx",
        "a new column names its activity",
        f"{LACKED}[openedx]",
        WIRE,
        '"resourceLinkId": line_item.resource_link_id or None,',
        '"resourceLinkId": None,',
    ),
    quirk(
        "openedx",
        "a value goes with its maximum",
        f"{DAY}[openedx-none]",
        WIRE,
        '"scoreMaximum": None if score.given is None or score.maximum is None else render_amount(score.maximum),',
        '"scoreMaximum": None,',
    ),
    quirk(
        "openedx",
        "a 0 that was lost is found missing",
        f"{SCORES}test_open_edxs_lost_zero_is_found_by_the_check",
        "ltiaas_django/operations/drift.py",
        'return Drift.MISSING if row.given is not None else ""',
        'return Drift.MISSING if row.given else ""',
    ),
    quirk(
        "openedx",
        "a 403 in unknown words is parked",
        f"{OTHER_WORDS}[openedx]",
        VERDICTS,
        "case exceptions.PersonNotGradable() | exceptions.InvalidRequest() if",
        "case exceptions.PersonNotGradable() if",
    ),
]

GENERIC_STRICT = [
    quirk(
        "generic_strict",
        "no status means active",
        f"{DAY}[generic_strict-none]",
        WIRE,
        "if not text:\n        return MembershipStatus.ACTIVE",
        "if not text:\n        return MembershipStatus.INACTIVE",
    ),
    quirk(
        "generic_strict",
        "Deleted and Inactive have left",
        f"{DAY}[generic_strict-none]",
        WIRE,
        "return MembershipStatus(text.capitalize())",
        "return MembershipStatus.ACTIVE",
    ),
    quirk(
        "generic_strict",
        "a page that comes again is an error",
        f"{TROUBLE}[repeats]",
        PAGINATION,
        "if digest in pages:",
        "if digest in links:",
    ),
    quirk(
        "generic_strict",
        "who is listed twice has all the roles",
        f"{TROUBLE}[doubles]",
        ROSTERS,
        "roles=tuple(dict.fromkeys([*known.roles, *again.roles])),",
        "roles=again.roles,",
    ),
    quirk(
        "generic_strict",
        "half a roster takes nobody out",
        f"{TROUBLE}[breaks]",
        ROSTERS,
        "        _read(reading, lease)\n        reading.finish()",
        "        try:\n            _read(reading, lease)\n        finally:\n            reading.finish()",
    ),
    quirk(
        "generic_strict",
        "the next page is LTIAAS's to find, on any host",
        f"{TROUBLE}[strays]",
        WIRE,
        "return text.strip() or None",
        'return text.strip() if text.startswith("http://127.0.0.1") else None',
    ),
    quirk(
        "generic_strict",
        "a list without end is an error",
        f"{TROUBLE}[endless]",
        PAGINATION,
        'raise exceptions.InvalidResponse(asked, f"there are more than {max_pages} pages", origin="lms")',
        "return",
    ),
]

QUIRKS = [
    *CANVAS,
    *CANVAS_ANONYMOUS,
    *CANVAS_UNPUBLISHED,
    *MOODLE,
    *BLACKBOARD,
    *BRIGHTSPACE,
    *SAKAI,
    *SCHOOLOGY,
    *OPENEDX,
    *GENERIC_STRICT,
]
