"""The sandbox's own URLs, never included in a project's."""

from __future__ import annotations

from django.urls import path, re_path

from . import api, control, deep_linking, pages, registering, steering
from .console import clock, faults, lms, log, state, tool
from .lms import activity, course, enrolling, grades, home, people

_COURSE = "control/courses/<str:course_id>"

urlpatterns = [
    # The API takes its paths apart itself: it needs them as they came, still percent-encoded.
    re_path(r"^(?:api|admin)/", api.view),
    path("control/state/", control.endpoint(GET=control.get_state)),
    path(f"{_COURSE}/gradebook/", control.endpoint(GET=control.get_gradebook)),
    path(f"{_COURSE}/roster/", control.endpoint(GET=control.get_roster)),
    path(f"{_COURSE}/people/", control.endpoint(POST=control.add_person)),
    path(
        f"{_COURSE}/people/<str:user_id>/",
        control.endpoint(PATCH=control.change_person, DELETE=control.remove_person),
    ),
    path("control/launches/", control.endpoint(POST=control.launch)),
    path("control/requests/", control.endpoint(GET=control.get_requests, DELETE=control.clear_requests)),
    path("control/secrets/", control.endpoint(GET=control.get_secrets)),
    path("control/reset/", control.endpoint(POST=control.reset)),
    path("control/scenario/", control.endpoint(GET=control.get_scenario, PUT=control.put_scenario)),
    path(
        "control/clock/",
        control.endpoint(GET=steering.get_clock, POST=steering.move_clock, DELETE=steering.reset_clock),
    ),
    path("control/ltiks/expire/", control.endpoint(POST=control.expire_ltiks)),
    path("control/service-keys/revoke/", control.endpoint(POST=control.revoke_service_keys)),
    path("control/settings/", control.endpoint(POST=control.change_settings)),
    path(
        "control/faults/",
        control.endpoint(GET=steering.get_faults, POST=steering.plan_fault, DELETE=steering.clear_faults),
    ),
    path("control/faults/<int:number>/", control.endpoint(DELETE=steering.take_back_fault)),
    path("control/profiles/", control.endpoint(GET=steering.get_profiles)),
    path("control/schools/", control.endpoint(POST=steering.add_school)),
    path(
        "control/schools/<str:school_id>/",
        control.endpoint(GET=steering.get_school, PATCH=steering.change_school),
    ),
    path(f"{_COURSE}/", control.endpoint(PATCH=control.change_course)),
    path(f"{_COURSE}/grades/", control.endpoint(POST=control.override)),
    path("control/registrations/", control.endpoint(POST=control.register)),
    re_path(r"^control/", control.no_such),
    path("console/", log.log, name="console"),
    path("console/requests/<int:number>/", log.one_request, name="console_request"),
    path("console/faults/", faults.faults, name="console_faults"),
    path("console/lms/", lms.lms, name="console_lms"),
    path("console/lms/<str:school_id>/", lms.lms, name="console_lms_school"),
    path("console/clock/", clock.clock, name="console_clock"),
    path("console/tool/", tool.tool, name="console_tool"),
    path("console/state/export/", state.export, name="console_export"),
    path("console/state/", state.state, name="console_state"),
    path("", home.home, name="courses"),
    path("courses/<str:course_id>/", course.course, name="course"),
    path("courses/<str:course_id>/who/", course.who, name="who"),
    path("courses/<str:course_id>/settings/", course.settings, name="settings"),
    path("courses/<str:course_id>/add-activity/", course.add_activity, name="add_activity"),
    path("courses/<str:course_id>/gradebook/", grades.gradebook, name="gradebook"),
    path("courses/<str:course_id>/gradebook/<int:number>/", grades.column, name="column"),
    path("courses/<str:course_id>/gradebook/<int:number>/<str:user_id>/", grades.cell, name="cell"),
    path("courses/<str:course_id>/deep-linking/", deep_linking.deep_linking, name="deep_linking"),
    path("courses/<str:course_id>/deep-linking/launch/", deep_linking.launch, name="deep_linking_launch"),
    path("courses/<str:course_id>/people/", people.people, name="people"),
    path("courses/<str:course_id>/people/<str:user_id>/", people.person, name="person"),
    path("courses/<str:course_id>/add-people/", enrolling.add_people, name="add_people"),
    path("courses/<str:course_id>/activities/<str:activity_id>/", activity.activity, name="activity"),
    path("courses/<str:course_id>/activities/<str:activity_id>/launch/", activity.launch, name="launch"),
    path("registrations/", registering.registrations, name="registrations"),
    path("registrations/<str:registration_id>/", registering.registration, name="registration"),
    re_path(r"", pages.no_such),
]
