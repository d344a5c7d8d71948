"""The pytest plugin, in the project of somebody who has installed it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.long


def run(folder: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return folder.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_it_stays_out_of_the_way_where_there_is_no_django(folder):
    folder.makepyfile("""
        import sys

        def test_plain():
            ours = {name for name in sys.modules if name.startswith("ltiaas_django.")}
            assert ours == {"ltiaas_django.pytest_plugin"}
    """)
    run(folder, "-W", "error", "--strict-markers").assert_outcomes(passed=1)


def test_a_tool_that_does_not_use_it_pays_nothing(tool):
    tool.makepyfile("""
        import sys

        def test_home(client, db):
            assert client.get("/home/").status_code == 403
            assert not {"ltiaas_django.testing", "ltiaas_django.sandbox"} & set(sys.modules)
    """)
    run(tool).assert_outcomes(passed=1)


def test_every_fixture_works_in_a_tool_of_somebody_elses(tool):
    tool.makepyfile("""
        import pytest

        def test_a_grade(lti_launch, lti_gradebook, lti_faults, lti_clock):
            learner = lti_launch("Learner")
            assert b"Welcome, Zo" in learner.page.content
            learner.post(learner.lti_url("home"), {"points": 0})
            lti_faults("status", route="scores", status=503)
            assert learner not in lti_gradebook()
            lti_clock.advance(hours=1)
            assert lti_gradebook()[learner] == 0

        @pytest.mark.lti_sandbox(transport="in_process")
        def test_a_roster(lti_sandbox, lti_launch, lti_night):
            assert lti_sandbox.origin.endswith(".invalid")
            lti_launch("Instructor")
            assert "6 joined" in lti_night("rosters")

        @pytest.mark.django_db(transaction=True)
        def test_what_is_sent_on_commit(settings, lti_sandbox, lti_launch, lti_gradebook):
            settings.LTIAAS = {**settings.LTIAAS, "SEND": "on_commit"}
            learner = lti_launch()
            learner.post(learner.lti_url("home"), {"points": 7})
            assert lti_gradebook() == {("quiz-1", "2001"): 7}
    """)
    run(tool).assert_outcomes(passed=3)


def test_the_ini_file_chooses_for_all_and_the_marker_for_one(tool):
    with (tool.path / "tox.ini").open("a") as ini:
        ini.write("\nlti_transport = in_process\nlti_profile = moodle\n")
    tool.makepyfile("""
        import pytest

        def test_all(lti_sandbox):
            assert lti_sandbox.origin.endswith(".invalid")
            assert lti_sandbox.school.profile.name == "moodle"

        @pytest.mark.lti_sandbox(transport="socket", profile="canvas")
        class TestOne:
            def test_one(self, lti_sandbox):
                assert lti_sandbox.origin.startswith("http://127.0.0.1:")
                assert lti_sandbox.school.profile.name == "canvas"
    """)
    run(tool).assert_outcomes(passed=2)


def test_a_mistyped_choice_says_what_there_is(tool):
    tool.makepyfile("""
        import pytest

        @pytest.mark.lti_sandbox(profil="canvas")
        def test_option(lti_launch): ...

        @pytest.mark.lti_sandbox(transport="carrier pigeon")
        def test_transport(lti_launch): ...

        @pytest.mark.lti_sandbox(profile="canvass")
        def test_profile(lti_launch): ...
    """)
    result = run(tool)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random(
        [
            "*The sandbox has no option profil; there are transport, *profile*",
            "*There is no transport 'carrier pigeon', only socket and in_process.",
            "*A profile is one of plain, canvas,*",
        ]
    )


def test_pytest_explains_the_marker(tool):
    run(tool, "--markers").stdout.fnmatch_lines(["@pytest.mark.lti_sandbox(profile=..., transport=..., **options):*"])
