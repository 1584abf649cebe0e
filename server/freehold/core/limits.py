"""The numbers of the API, each with its source in the specification.

Lengths are in code points, counts in items, sizes in bytes.
"""

from __future__ import annotations

BODY_BYTES = 32 * 1024 * 1024
"""Largest request body on the JSON routes (spec 1.7)."""
JSON_DEPTH = 64
"""Deepest nesting of a request body. Ours: the API has none of its own that is known."""

JSON_VALUES = 100_000
"""Most values in a request body, of all kinds and at all depths together. Ours, too."""

METADATA_ENTRIES = 16
METADATA_KEY = 64
METADATA_VALUE = 512
"""Spec 1.10."""

PAGE_DEFAULT = 20
PAGE_MAX = 100
ENVIRONMENTS_PAGE_MAX = 1000
EVENTS_PAGE_DEFAULT = 100
EVENTS_PAGE_MAX = 1000
THREADS_PAGE_MAX = 1000
MODELS_PAGE_MAX = 1000
WORK_PAGE_MAX = 1000
"""Spec 1.8; for sessions and events the choices of spec 25, number 8."""

AGENT_NAME = 256
AGENT_DESCRIPTION = 2048
AGENT_SYSTEM = 100_000
TOOL_ENTRIES = 128
TOOLS_RESOLVED = 256
MCP_SERVERS = 20
MCP_SERVER_NAME = 255
MCP_SERVER_URL = 2048
MCP_TOOL_NAME = 128
CUSTOM_TOOL_DESCRIPTION = 1024
SKILLS = 20
SKILL_ID = 64
ROLE_ARN = 2048
"""Spec 2.2, 12.1, appendix A."""

WEB_DOMAINS = 64
WEB_DOMAIN = 255
"""Spec 12.6."""

ENVIRONMENT_NAME = 256
ENVIRONMENT_DESCRIPTION = 1024
ALLOWED_HOSTS = 256
PACKAGES_PER_MANAGER = 256
PACKAGE_SPEC = 512
"""Spec 3.1; the last three are ours, no source names any."""

ID = 128
SESSION_TITLE = 500
RESOURCES = 500
RESOURCES_PAGE_MAX = 1000
MOUNT_PATH = 4096
REPOSITORY_URL = 2048
REPOSITORY_TOKEN = 4096
BRANCH = 255
COMMIT_MIN, COMMIT_MAX = 7, 64
VAULTS = 50
INITIAL_EVENTS = 50
EVENTS_PER_SEND = 50
DENY_MESSAGE = 10_000
RUBRIC = 262_144
SYSTEM_BLOCKS = 1000
EVENT_DELTAS = 100
CENTS_DIGITS = 16
"""Spec 5.2, 6.1, 6.3, 9; events per request is the choice of spec 25, number 10; the digits of a
budget are ours."""

DEPLOYMENT_NAME = 256
DEPLOYMENT_DESCRIPTION = 2048
DEPLOYMENTS_SCHEDULED = 1_000
RUNS_PAGE_MAX = 1000
CRON_EXPRESSION = 512
"""Spec 13.1, 13.2; the length of an expression is ours."""

VAULT_DISPLAY_NAME = 255
CREDENTIALS = 20
CREDENTIAL_TOKEN = 8192
CREDENTIAL_URL = 2047
REFRESH_TOKEN = 4096
CLIENT_ID = 1024
CLIENT_SECRET = 512
OAUTH_SCOPE = 8192
SECRET_NAME = 255
CREDENTIAL_HOSTS = 16
"""Spec 14.2, 14.3, appendix A; the length of a variable's name is ours."""

FILENAME = 255
FILES_PAGE_MAX = 1000
FILE_IDS = 100
FILE_LIFETIME_MIN = 3_600
FILE_LIFETIME_MAX = 7_776_000
FILE_DOCUMENTS = 100
"""Spec 17, 5.2: names, pages, seconds until a file expires, documents from files in a request."""
FILE_IN_MESSAGE = 24 * 1024 * 1024
"""Largest file that content may name: as base64 it fills what the Messages API takes at once."""
MEMORY_STORE_NAME = 255
MEMORY_STORE_DESCRIPTION = 1024
MEMORY_PATH_BYTES = 1024
MEMORY_PATH_SEGMENTS = 20
MEMORY_CONTENT_BYTES = 102_400
MEMORIES_PER_STORE = 2_000
MEMORIES_FULL_PAGE = 20
MEMORY_STORES_PER_SESSION = 8
MEMORY_INSTRUCTIONS = 4096
"""Spec 15.3, 9.2, appendix A."""
SKILL_BYTES = 30 * 1024 * 1024
SKILL_FILES = 2000
SKILL_PATH = 1024
SKILL_PATH_PART = 255
SKILL_NAME = 64
SKILL_DISPLAY_NAME = 255
SKILL_DESCRIPTION = 1024
SKILL_FRONTMATTER = 64 * 1024
SKILLS_PAGE_MAX = 1000
"""Spec 1.7, 1.8, 16. The bytes are those of an upload and those of what it unpacks to; files,
paths and the length of the frontmatter are ours."""
REPOSITORY_SKILLS = 100
"""Skills of a session's repositories that the model is told of; ours."""

API_KEY_NAME = 500
"""Inferred; the SDK has no limit."""
TAGS = 50
"""Of a workspace. Inferred, as the lengths are: the metadata's."""
ORGANIZATION_PAGE_MAX = 1_000
"""Workspaces and API keys on a page (the SDK's texts)."""
WEBHOOK_ENDPOINTS = 32
WEBHOOKS_PAGE_MAX = 100
"""Spec 20.1, 1.8."""
WEBHOOK_URL = 2048
WEBHOOK_NAME = 255
WEBHOOK_DESCRIPTION = 1024
"""Ours."""

USER_PROFILE_NAME = 255
EXTERNAL_ID = 255
EXTERNAL_USER_DETAIL = 255
ONBOARDED_AHEAD = 60
"""The SDK's texts: lengths of a user profile's fields, and how many seconds `onboarded_at` may lie
in the future."""
TUNNEL_DISPLAY_NAME = 255
TUNNELS_PAGE_MAX = 1000
TUNNEL_CERTIFICATES = 2
TUNNEL_CERTIFICATE_PEM = 8192
ROTATION_REASON = 1024
"""Spec 19 and the API's documentation."""

DREAM_SESSIONS = 100
DREAM_INSTRUCTIONS = 4096
MODEL_ID = 256
"""Spec 18."""
