"""The scenarios: what is there at the start, in which sizes, and always the same."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import unicodedata
from collections import Counter

import pytest
import requests

from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.courses import Course
from ltiaas_django.sandbox.scenarios import SCENARIOS

SIZES = {"small": (2, 12), "university": (40, 5_000), "district": (2_000, 100_000)}


def facts(course: Course) -> object:
    """Everything about a course that a tool could remember."""
    people = [
        (one.person.id, one.person.lti_id, one.person.name, one.person.email, one.role)
        for one in course.people.values()
    ]
    columns = [(item.path, item.label, item.resource_link_id) for item in course.gradebook.line_items.values()]
    return course.lti_id, course.number, course.title, people, [*course.activities], columns


@pytest.mark.parametrize("name", SCENARIOS)
def test_sizes(name):
    sandbox = Sandbox(scenario=name, profile="canvas")
    courses = [*sandbox.courses.values()]
    people = [person for school in sandbox.schools.values() for person in school.people.values()]
    assert (len(courses), len(people)) == SIZES[name]
    for course in courses:
        roles = Counter(one.role for one in course.people.values())
        assert roles["Instructor"] > 0
        assert roles["Learner"] > 3
    assert len({item.id for course in courses for item in course.gradebook.line_items.values()}) == sum(
        len(course.gradebook.line_items) for course in courses
    )
    assert len({(person.school.id, person.lti_id) for person in people}) == len(people)


def test_a_university_is_as_varied_as_a_real_one():
    sandbox = Sandbox(scenario="university")
    courses = [*sandbox.courses.values()]
    taken = Counter(one.person.id for course in courses for one in course.people.values() if one.role == "Learner")
    assert 3.5 < sum(taken.values()) / len(taken) < 4.5
    assert sum(not course.is_published for course in courses) == sum(course.is_concluded for course in courses) == 1
    assert any(one.role == "TeachingAssistant" for course in courses for one in course.people.values())
    assert sum(person.is_test_student for person in sandbox.school.people.values()) == 1
    with_columns = {item.resource_link_id for course in courses for item in course.gradebook.line_items.values()}
    activities = {activity for course in courses for activity in course.activities}
    assert with_columns
    assert activities - with_columns
    letters = {one for person in sandbox.school.people.values() for one in person.name if one.isalpha()}
    scripts = {unicodedata.name(letter).split()[0] for letter in letters}
    assert scripts >= {"LATIN", "CYRILLIC", "ARABIC", "CJK", "HANGUL", "DEVANAGARI", "GREEK", "HEBREW"}


@pytest.mark.parametrize("name", ["university", "district"])
def test_a_course_is_the_same_whenever_it_is_looked_at(name):
    first, second = Sandbox(scenario=name, profile="canvas"), Sandbox(scenario=name, profile="canvas")
    some = [*first.courses][::-7]
    second.add_course("own", "Made between").gradebook.add_line_item("Bonus", 1)
    before = {course_id: facts(first.course(course_id)) for course_id in some}
    assert {course_id: facts(second.course(course_id)) for course_id in some[::-1]} == before


def test_a_person_in_several_courses_is_one_person():
    sandbox = Sandbox(scenario="district")
    places: dict[str, list[Course]] = {}
    for course_id in [*sandbox.courses][:250]:
        for user_id in sandbox.course(course_id).people:
            places.setdefault(user_id, []).append(sandbox.course(course_id))
    user_id, (one, other, *_rest) = next((key, found) for key, found in places.items() if len(found) > 1)
    one.rename_person(user_id, "Ada Lovelace")
    assert other.enrolment(user_id).person.name == "Ada Lovelace"


def test_listing_makes_no_course():
    sandbox = Sandbox(scenario="district")
    with SandboxServer(sandbox) as server:
        page = requests.get(f"{server.url}/", timeout=10)
    assert page.status_code == 200
    assert len(sandbox.courses.listed()) == 2_000
    assert sandbox.courses.made() == []
    assert not any(school.people for school in sandbox.schools.values())
    assert sandbox.course("course-2999").title == "Modern History 120"
    assert [course.id for course in sandbox.courses.made()] == ["course-2999"]


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "ltiaas_sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_serves_a_district():
    began = time.monotonic()
    with command("--scenario", "district") as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            print(f"The district was served after {time.monotonic() - began:.1f} s.")  # noqa: T201 (a figure to know)
            assert requests.get(f"{url}control/courses/course-1001/roster/", timeout=10).json()["members"]
        finally:
            process.terminate()


def test_the_command_serves_a_file(tmp_path):
    file = tmp_path / "kept.json"
    sandbox = Sandbox()
    sandbox.course("course-101").add_person("Ada Lovelace", user_id="ada")
    file.write_text(json.dumps(sandbox.export()))
    with command("--scenario", str(file)) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            members = requests.get(f"{url}control/courses/course-101/roster/", timeout=10).json()["members"]
            assert "ada" in {member["userId"] for member in members}
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "Cannot read"),
        ("{", "is no scenario. The body is no valid JSON."),
        ('{"format": 1, "schools": []}', "`schools` must hold a school."),
    ],
)
def test_the_command_says_what_is_wrong_with_a_file(tmp_path, content, said):
    file = tmp_path / "kept.json"
    if content is not None:
        file.write_text(content)
    with command("--scenario", str(file)) as process:
        _out, wrong = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said in wrong
    assert "Traceback" not in wrong
