"""What every environment shares; dev, test and prod say only what differs."""

from __future__ import annotations

import os
from pathlib import Path

from csp.constants import NONE, SELF

from apps.tenants.backend.pool import Patient, discard_all
from piggy.settings.installed import SHARED, TENANT, ordered
from piggy.settings.readers import Environment, database_of

BASE_DIR = Path(__file__).resolve().parents[2]
ENV = Environment(os.environ)

PIGGY_ENV = ENV.choice("PIGGY_ENV", among=("dev", "test", "prod"), default="dev")
PIGGY_HOME = ENV.folder("PIGGY_HOME", default=BASE_DIR / ".run")
PIGGY_SHARD = ENV.text("PIGGY_SHARD", default="main")
PIGGY_WEB_PORT = ENV.integer("PIGGY_WEB_PORT", default=8000, low=1, high=65_535)
# Where clients reach us over FIX; 0: nowhere. From elsewhere only sealed, by us or by what stands before it.
PIGGY_FIX_HOST = ENV.text("PIGGY_FIX_HOST", default="127.0.0.1")
PIGGY_FIX_PORT = ENV.integer("PIGGY_FIX_PORT", default=0, low=0, high=65_535)
PIGGY_FIX_TLS = ENV.certificate("PIGGY_FIX_CERTIFICATE", "PIGGY_FIX_CERTIFICATE_KEY")
if PIGGY_FIX_HOST not in ("127.0.0.1", "::1", "localhost") and PIGGY_FIX_TLS is None:
    ENV.require_flag("PIGGY_FIX_CLEAR", why="PIGGY_FIX_HOST is not this machine and PIGGY_FIX_CERTIFICATE is unset")
PIGGY_ASGI = ENV.choice("PIGGY_ASGI", among=("daphne", "uvicorn"), default="uvicorn")
PIGGY_CONTEXT_KEY = ENV.key("PIGGY_CONTEXT_KEY")
PIGGY_SIGNAL_KEY = ENV.key("PIGGY_SIGNAL_KEY")
SECRET_KEY = ENV.secret("PIGGY_SECRET_KEY", characters_min=32)
# What was signed before the key was turned over stays good for as long as the old one stands here (E-10).
SECRET_KEY_FALLBACKS = ENV.secrets("PIGGY_SECRET_KEY_FALLBACKS", characters_min=32)
REDIS_URL = ENV.text("REDIS_URL")

DEBUG = False
ALLOWED_HOSTS = ["*"]  # The domain table decides: a host that is nobody's is answered 404 by our middleware.
ROOT_URLCONF = "piggy.urls"
ASGI_APPLICATION = "piggy.asgi.application"
WSGI_APPLICATION = "piggy.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "users.User"
LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "piggy.settings.formats"

# Applications and tenancy
SHARED_APPS, TENANT_APPS = SHARED, TENANT
INSTALLED_APPS = ordered()
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
TENANT_TEMPLATE_SCHEMA = "template"
TENANT_LIMIT_SET_CALLS = True
# The schemas an installation keeps for itself; no broker may have these names.
TENANT_NAMES_RESERVED = ("public", "guard", "template", "information_schema")
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]

DATABASE_POOL_SIZE_MAX = ENV.integer("PIGGY_DATABASE_POOL_SIZE_MAX", default=20, low=1, high=200)
DATABASES = {
    "default": {
        "ENGINE": "apps.tenants.backend",
        **database_of(name="DATABASE_URL", url=ENV.text("DATABASE_URL")),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": 5,
            # As start-up options, so that DISCARD ALL returns to them and not to the server's own defaults. A statement
            # ends with whoever gave its line up: who asks again would else add to what made the first one slow.
            "options": "-c timezone=UTC -c statement_timeout=30000 -c client_connection_check_interval=1000"
            " -c search_path=public",
            "pool": {
                "min_size": 0,
                "max_size": DATABASE_POOL_SIZE_MAX,
                "connection_class": Patient,
                "timeout": 4,
                # While the server is away the pool asks ever more rarely, of itself for five minutes, and whoever
                # waits hears nothing though it is back. After this long it gives up, and the next to ask begins anew.
                "reconnect_timeout": 3,
                "reset": discard_all,
            },
        },
    }
}
# Only the commands that migrate use the owner; a web process need not know its password.
DATABASE_OWNER_URL = os.environ.get("DATABASE_OWNER_URL", "")
PIGGY_APP_ROLE = DATABASES["default"]["USER"]

MIDDLEWARE = [
    "apps.common.middleware.RequestId",
    "apps.common.middleware.Promptness",
    "apps.common.middleware.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.common.middleware.TenantByHost",
    "csp.middleware.CSPMiddleware",
    "apps.common.middleware.AdminPolicy",
    "apps.common.middleware.LoginPace",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.common.middleware.RequestLog",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.tenants.selectors.brand_context",
                "apps.risk.selectors.warning_context",
            ]
        },
    }
]

# Names in Redis carry the tenant from an explicit argument; the function adds the schema as a second belt.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "apps.common.names.cache_key",
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "piggy"},
    }
}

# Files
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = PIGGY_HOME / "media"
STORAGES = {
    "default": {"BACKEND": "apps.common.storage.TenantStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

# People
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["piggy.settings.passwords.Pbkdf2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
SESSION_ENGINE = "django.contrib.sessions.backends.db"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "apps.common.api.forged"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
USE_X_FORWARDED_HOST = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["apps.common.parsers.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.common.api.answer_error",
    "DEFAULT_THROTTLE_CLASSES": ["apps.common.throttles.PerUser"],
    # The server in front of Django believes our proxy alone; nobody else may say whom to count.
    "NUM_PROXIES": 0,
    "DEFAULT_THROTTLE_RATES": {"user": "6000/min", "outlook": "2/s", "login": "60/min"},
    "COERCE_DECIMAL_TO_STRING": True,
    "ALLOWED_VERSIONS": ("1",),  # Or the schema's file is named after whatever somebody asks for.
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token", "TOKEN_LIMIT_PER_USER": 20}
SPECTACULAR_SETTINGS = {
    "TITLE": "Piggy Broker",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.common.openapi.complete",
        "apps.tenants.selectors.brand_schema",
    ],
    # From our own address: the content policy lets no other host in.
    "SWAGGER_UI_DIST": "SIDECAR",
    # With links to its operations each row would be a link within a button.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "SWAGGER_UI_FAVICON_HREF": "/static/piggy/icon.svg",
}
OTP_TOTP_ISSUER = "Piggy Broker"

UNFOLD = {
    "SITE_TITLE": "apps.tenants.selectors.brand_title",
    "SITE_HEADER": "apps.tenants.selectors.brand_title",
    "SITE_SUBHEADER": "Back office · times in UTC",
    "SITE_SYMBOL": "account_balance",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}piggy/icon.svg"}],
    "COLORS": {"primary": "apps.tenants.selectors.brand_palette"},
    "SHOW_HISTORY": True,
    "STYLES": ["/static/piggy/admin.css"],
    "SCRIPTS": ["/static/piggy/admin.js"],
    "SIDEBAR": {"show_search": False, "navigation": "apps.dealing.admin.navigation"},
    "DASHBOARD_CALLBACK": "apps.dealing.admin.home",
}

# Background work; orders and hedges never go through it, because Redis redelivers what takes long.
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_RESULT_EXPIRES = 3_600
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3_600, "global_keyprefix": "celery:"}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"global_keyprefix": "celery:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "redbeat.RedBeatScheduler"
# One beat speaks at a time. Who follows one that was killed looks this often whether its lock has run out (of itself it
# would look every five minutes, and the lock lasts 25): until then nothing below happens.
CELERY_BEAT_MAX_LOOP_INTERVAL, CELERY_REDBEAT_LOCK_TIMEOUT = 2, 10
CELERY_BEAT_SCHEDULE = {
    "outbox-sweep": {"task": "outbox.sweep", "schedule": 10.0},
    "execution-watch": {"task": "liquidity.watch_execution", "schedule": 2.0},
    "desk-revert": {"task": "dealing.revert_due", "schedule": 5.0},
    "protect-clients": {"task": "risk.protect_clients", "schedule": 60.0},
    "log-export": {"task": "reports.export_logs", "schedule": 900.0},
}
CELERY_REDBEAT_REDIS_URL = REDIS_URL
CELERY_REDBEAT_KEY_PREFIX = "celery:redbeat:"

LOGGING_CONFIG = "apps.common.logs.configure"
LOGGING = {"level": ENV.choice("PIGGY_LOG_LEVEL", among=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")}
