"""What a launch's row says without asking anybody."""

from __future__ import annotations

import uuid

import pytest

from ltiaas_django.models import AbsentLaunch, Launch

ID = "7b0b4b4e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("return_url", "leads_back"),
    [
        ("https://lms.example/course?id=1", True),
        ("http://localhost/course", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example/", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_a_web_address_leads_back_to_the_lms(return_url: str, leads_back: bool) -> None:
    assert Launch(return_url=return_url).safe_return_url == (return_url if leads_back else "")


@pytest.mark.parametrize(
    ("to", "url"),
    [
        ("ltiaas:launch", f"/lti/launch/?lti={ID}"),
        ("/page/?a=1", f"/page/?a=1&lti={ID}"),
        ("/page/#part", f"/page/?lti={ID}#part"),
        ("/page/?a=1#part", f"/page/?a=1&lti={ID}#part"),
    ],
)
def test_a_launch_names_itself_in_urls_and_an_absent_one_does_not(to: str, url: str) -> None:
    assert Launch(pk=uuid.UUID(ID)).url(to) == url
    absent = AbsentLaunch()
    assert not absent
    assert "lti=" not in absent.url(to)
