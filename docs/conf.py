"""How Sphinx makes the site (`make docs`). Nothing is fetched meanwhile; its pages load nothing from elsewhere."""

from __future__ import annotations

import importlib.metadata
import pathlib
import sys
from typing import Any

import django
from django.conf import settings

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the package and `docs._ext` of this very tree

settings.configure(  # the least that the package's modules want when they are imported
    SECRET_KEY="of-the-documentation-only",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "ltiaas_django",
        "ltiaas_django.sandbox",
    ],
    MIDDLEWARE=[
        "ltiaas_django.middleware.LtiMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": ":memory:",
            "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        }
    },
    ROOT_URLCONF="docs._ext.urls",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    LTIAAS={"URL": "https://your.ltiaas.com", "API_KEY": "made-up-api-key"},
)
django.setup()

project = "ltiaas-django"
author = "The ltiaas-django authors"
project_copyright = "the ltiaas-django authors"
release = version = importlib.metadata.version("ltiaas-django")

extensions = ["myst_parser", "sphinx.ext.autodoc", "docs._ext.reference"]
exclude_patterns = ["_build"]
root_doc = "index"

html_theme = "furo"
html_title = "ltiaas-django"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {"footer_icons": []}

myst_enable_extensions = ["colon_fence", "tasklist"]
myst_heading_anchors = 3  # a page may be linked to at its headings, as on a forge
default_role = "code"  # docstrings write names in single backticks
add_module_names = False
smartquotes = False  # quotes are written as they are meant, and code is copied

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90

nitpicky = True
nitpick_ignore_regex = [
    # Without a network there is no list of what others document.
    (r"py:.*", r"(django|celery|prometheus_client|datetime|decimal|collections|contextlib|typing|factory|_io)\b.*"),
    # The sandbox's insides are not taken apart here.
    (r"py:.*", r"ltiaas_django\.sandbox\..*"),
    (r"py:class", r"tuple\[str"),  # `tuple[str, ...]` taken apart by autodoc
    # Types of the standard library and of Django, as signatures name them in short.
    (r"py:.*", r"(Any|Literal|Decimal|TracebackType|HttpRequest|HttpResponse(Base)?|AbstractBaseUser|Model|Signal)"),
]
