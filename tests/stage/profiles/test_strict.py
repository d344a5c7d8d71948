"""The LMS that does not exist: every trouble that was seen somewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from ltiaas_django.sandbox.profiles.strict import Trouble

from .lms import Lms, said, shows


@shows("statuses", "generic_strict")
def test_statuses(lms: Lms) -> None:
    lms.profile.page_size = 50
    for person in ("2001", "2002"):
        lms.course.remove_person(person)
    members = lms.members()
    assert [members[person].get("status") for person in ("2001", "2002", "2003")] == ["Deleted", "Inactive", None]


@shows("repeats", "generic_strict")
def test_the_last_page_links_to_the_first(lms: Lms) -> None:
    lms.profile.trouble = Trouble.REPEATS
    first = page = lms.roster()
    for _ in range(3):
        page = lms.page(page["next"])
    assert page["members"] == first["members"]


@shows("doubles", "generic_strict")
def test_people_are_listed_twice(lms: Lms) -> None:
    lms.profile.trouble, lms.profile.page_size = Trouble.DOUBLES, 50
    ids = [entry["userId"] for entry in lms.roster()["members"]]
    assert (len(ids), len(set(ids))) == (14, 7)
    roles = [entry["roles"] for entry in lms.roster()["members"] if entry["userId"] == lms.id_of("1001")]
    assert roles == [["Instructor"], ["Learner"]]


@shows("breaks", "generic_strict")
def test_the_second_page_fails(lms: Lms) -> None:
    lms.profile.trouble = Trouble.BREAKS
    response = lms.caller("GET", "/api/memberships", params={"url": lms.roster()["next"]})
    assert said(response) == (500, "Internal Server Error")


@shows("strays", "generic_strict")
def test_the_next_page_is_elsewhere(lms: Lms) -> None:
    lms.profile.trouble = Trouble.STRAYS
    url = lms.roster()["next"]
    assert urlsplit(url).hostname != urlsplit(lms.sandbox.origin).hostname
    assert lms.page(url)["members"]  # LTIAAS goes there for the tool


@shows("endless", "generic_strict")
def test_there_is_always_one_more(lms: Lms) -> None:
    lms.profile.trouble = Trouble.ENDLESS
    seen, page = set(), lms.roster()
    for _ in range(20):
        seen.add(page["next"])
        page = lms.page(page["next"])
    assert page["members"] == []
    assert len(seen) == 20


@shows("not-gradable", "generic_strict")
@pytest.mark.parametrize("person", ["1001", "nobody", "2009"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    assert said(lms.score(person)) == (403, "This person cannot be graded here.")


@shows("older", "generic_strict")
def test_older_scores_are_ignored(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    lms.sandbox.clock.advance(-60)
    assert lms.graded("2001", 9).score == 8
    lms.sandbox.clock.advance(120)
    assert lms.graded("2001", 9).score == 9


@shows("throttle", "generic_strict")
def test_too_many_calls(lms: Lms) -> None:
    lms.sandbox.fault("throttle")
    response = lms.score("2001")
    assert said(response) == (429, "Slow down.")
    assert "Retry-After" not in response.headers


@shows("gone", "generic_strict")
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    assert said(lms.get_line_item(gone))[0] == 404


@shows("closed", "generic_strict")
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    assert said(lms.score("2001")) == (403, "This course is over.")
