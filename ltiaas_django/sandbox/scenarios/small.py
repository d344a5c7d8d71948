"""Two courses of one school, small enough to know everybody by name.

course-101   STAT101, Introduction to Statistics
    people       1001 and 1002 teach; 2001 to 2005 learn
    quiz-1       has a line item of 10 points, declared at launch
    quiz-2       has none: the tool must create it
    lab-1        has a line item of 20 points, declared at launch, and custom parameters
course-102   HIST102, Modern European History
    people       1003 teaches; 2003 (who is in both courses) and 2006 to 2009 learn
    reading-1    has a line item of 100 points, declared at launch
    essay-1      has none: the tool must create it
"""

from __future__ import annotations

from ltiaas_django.vocabulary import Role

from ..courses import Course
from ..institutions import Institutions
from ..school import School


def fill(institutions: Institutions, profile: str) -> None:
    """One school with the two courses."""
    school = institutions.add_school("school", "Sandbox School", profile)
    for course in (_statistics(school), _history(school)):
        institutions.courses.add(course)


def _statistics(school: School) -> Course:
    course = Course("course-101", "STAT101", "Introduction to Statistics", school)
    course.add_person("Amina Okafor", Role.INSTRUCTOR, user_id="1001", email="amina.okafor@school.example")
    course.add_person("Henrik Sørensen", Role.INSTRUCTOR, user_id="1002", email="henrik.sorensen@school.example")
    course.add_person("Zoë Müller-Łukasiewicz", user_id="2001", email="zoe.mueller@school.example")
    course.add_person("Liam O'Brien", user_id="2002", email="liam.obrien@school.example")
    course.add_person("José García Núñez", user_id="2003", email="jose.garcia@school.example")
    course.add_person("Fatima Al-Zahra", user_id="2004", email="fatima.alzahra@school.example")
    course.add_person("Mei-Ling Chen", user_id="2005", email="meiling.chen@school.example")
    course.add_activity("Quiz 1: Averages", activity_id="quiz-1", description="Mean, median and mode. Ten questions.")
    course.add_activity("Quiz 2: Spread & variance", activity_id="quiz-2", description="Why “n − 1”? Five questions.")
    course.add_activity(
        "Lab: Rolling dice", activity_id="lab-1", description="Simulate a thousand throws.", custom={"level": "2"}
    )
    course.add_line_item("quiz-1", 10)
    course.add_line_item("lab-1", 20)
    return course


def _history(school: School) -> Course:
    course = Course("course-102", "HIST102", "Modern European History", school)
    course.add_person("Siobhán Ní Dhómhnaill", Role.INSTRUCTOR, user_id="1003", email="siobhan@school.example")
    course.add_person("José García Núñez", user_id="2003")
    course.add_person("Nguyễn Thị Ánh", user_id="2006", email="anh.nguyen@school.example")
    course.add_person("Priya Raghunathan", user_id="2007", email="priya.raghunathan@school.example")
    course.add_person("Jack D'Souza", user_id="2008", email="jack.dsouza@school.example")
    course.add_person("Olga Іваненко", user_id="2009", email="olga.ivanenko@school.example")
    course.add_activity(
        "Reading: The Congress of Vienna", activity_id="reading-1", description="Chapter 3, with notes."
    )
    course.add_activity("Essay: 1848", activity_id="essay-1", description="Was it one revolution or many?")
    course.add_line_item("reading-1", 100)
    return course
