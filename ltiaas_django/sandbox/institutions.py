"""The schools and their courses: what a scenario makes, and what a file keeps of a sandbox."""

from __future__ import annotations

from . import errors, profiles
from .campus import Campus
from .cleaning import clean_id
from .courses import Course, Courses
from .profiles import Profile
from .school import School


class Institutions:
    """All schools, by id, and all their courses."""

    def __init__(self, campus: Campus) -> None:
        self.campus = campus
        self.schools: dict[str, School] = {}
        self.courses = Courses()

    def find_school(self, school_id: str | None) -> School:
        """The school, the first if none is named; raises NotFound."""
        if school_id is None:
            return next(iter(self.schools.values()))
        try:
            return self.schools[school_id]
        except KeyError:
            raise errors.NotFound(f"There is no school “{school_id}”.") from None

    def add_school(self, school_id: str, name: str, profile: str = Profile.name) -> School:
        """One more institution, with an LMS of its own; raises BadRequest when its id is taken."""
        with self.campus.lock:
            if school_id in self.schools:
                raise errors.BadRequest(f"There is a school “{school_id}” already.")
            school = School(self.campus, school_id, name, profiles.make(profile))
            self.schools[school.id] = school
            return school

    def add_course(self, course_id: str, title: str, label: str = "", school: str | None = None) -> Course:
        """A new course without people or activities, of a school (the first, if none is named)."""
        with self.campus.lock:
            course = Course(clean_id(course_id), label or course_id, title, self.find_school(school))
            self.courses.add(course)
            return course
