"""Settings of the example project, read from the environment or from a file `.env` beside manage.py.

Nothing needs to be set, and nothing installed, to develop against the sandbox. With DEBUG off, SECRET_KEY and
ALLOWED_HOSTS must be set, and everything is as a public site behind HTTPS wants it.
"""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")  # a variable of the environment wins

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default="django-insecure-for-development-only") if DEBUG else env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])  # DEBUG alone allows localhost and 127.0.0.1
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# -- LTI ---------------------------------------------------------------------------------------------------------------

LTIAAS = {
    "URL": env.str("LTIAAS_URL", default="http://127.0.0.1:9800"),  # the sandbox: `manage.py ltiaas_sandbox`
    "API_KEY": env.str("LTIAAS_API_KEY", default="sandbox-api-key"),
}

# -- the project -------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "ltiaas_django",
    "example_project.quiz",
]
if DEBUG:
    INSTALLED_APPS.append("ltiaas_django.sandbox")

MIDDLEWARE = [
    "ltiaas_django.middleware.LtiMiddleware",  # first: it sees the cookies that the others set
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
STATIC_URL = "static/"
VAR_DIR = env.path("VAR_DIR", default=str(BASE_DIR / "var"))
STATIC_ROOT = VAR_DIR("static")

# -- database ----------------------------------------------------------------------------------------------------------

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # two writers wait for each other, instead of failing midway
        "timeout": 20,  # seconds that one waits
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",  # readers never wait for writers
    }

# -- Celery ------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://")
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="quiz")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = VAR_DIR("celerybeat-schedule")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith("filesystem:"):
    # Messages are files in a folder: nothing to install, and enough for one machine.
    for _name in ("broker/messages", "broker/processed", "broker/control"):
        Path(VAR_DIR(_name)).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": VAR_DIR("broker/messages"),
        "data_folder_out": VAR_DIR("broker/messages"),
        "processed_folder": VAR_DIR("broker/processed"),
        "control_folder": VAR_DIR("broker/control"),
        "polling_interval": 0.3,  # seconds between two looks into the folder
    }

# -- a public site, inside other sites' frames -------------------------------------------------------------------------

if not DEBUG:
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # the proxy in front must set it itself
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True  # SameSite stays Lax: LtiMiddleware fits cookies for frames
