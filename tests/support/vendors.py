"""How well-known clients register and behave, as captured in November 2026, with the vendors' own names and URIs."""

from dataclasses import dataclass

JSON = dict[str, object]
NONE: JSON = {"token_endpoint_auth_method": "none"}
BOTH: JSON = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}


@dataclass(frozen=True)
class Vendor:
    """A client: its registration or document, and its authorization request."""

    name: str
    metadata: JSON
    redirect_uri: str
    document_url: str = ""
    scope: str | None = "memories:read memories:write"
    sends_resource: bool = True

    @property
    def uses_document(self) -> bool:
        return bool(self.document_url)


REGISTERING = (
    Vendor(
        "Claude (registration)",
        {"client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], **NONE, **BOTH},
        "https://claude.ai/api/mcp/auth_callback",
    ),
    Vendor(
        "Claude (registration with a secret)",
        {
            "client_name": "Claude",
            "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
            "token_endpoint_auth_method": "client_secret_post",
            **BOTH,
        },
        "https://claude.ai/api/mcp/auth_callback",
    ),
    Vendor(
        "Le Chat",
        {
            "client_name": "Mistral AI",
            "redirect_uris": ["https://callback.mistral.ai/v1/integrations_auth/oauth2_callback"],
            "token_endpoint_auth_method": "client_secret_basic",
            **BOTH,
        },
        "https://callback.mistral.ai/v1/integrations_auth/oauth2_callback",
    ),
    Vendor(
        "Cursor",
        {
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "http://localhost:8787/callback",
            ],
            "application_type": "web",
            "client_uri": "",
            "logo_uri": None,
            "tos_uri": "",
            "contacts": None,
            **NONE,
            **BOTH,
        },
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ),
    Vendor(
        "VS Code (registration)",
        {
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            "redirect_uris": [
                "https://insiders.vscode.dev/redirect",
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "application_type": "native",
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            **NONE,
        },
        "http://127.0.0.1:51234/",
    ),
    Vendor(
        "Gemini CLI",
        {
            "client_name": "Gemini CLI MCP Client",
            "redirect_uris": ["http://localhost:7777/oauth/callback"],
            "code_challenge_method": ["S256"],
            "scope": "",
            **NONE,
            **BOTH,
        },
        "http://localhost:49152/oauth/callback",
    ),
    Vendor(
        "Antigravity",
        {"client_name": "Antigravity", "redirect_uris": ["https://antigravity.google/oauth-callback"], **NONE, **BOTH},
        "https://antigravity.google/oauth-callback",
    ),
    Vendor(
        "Windsurf",
        {"client_name": "Windsurf", "redirect_uris": ["windsurf://codeium.windsurf/oauth"], **NONE},
        "windsurf://codeium.windsurf/oauth",
        scope="openid email profile",
    ),
    Vendor(
        "Zed (registration)",
        {"client_name": "Zed", "redirect_uris": ["http://127.0.0.1/callback"], **NONE},
        "http://127.0.0.1:27523/callback",
    ),
    Vendor(
        "LibreChat",
        {
            "client_name": "LibreChat MCP Client",
            "redirect_uris": ["https://chat.example/api/mcp/memory/oauth/callback"],
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": None,
            **BOTH,
        },
        "https://chat.example/api/mcp/memory/oauth/callback",
    ),
    Vendor(
        "Open WebUI",
        {
            "client_name": "Open WebUI",
            "redirect_uris": ["https://webui.example/oauth/clients/mcp:memory/callback"],
            "token_endpoint_auth_method": "client_secret_post",
            **BOTH,
        },
        "https://webui.example/oauth/clients/mcp:memory/callback",
        sends_resource=False,
    ),
    Vendor(
        "mcp-remote",
        {
            "client_name": "MCP CLI Proxy",
            "redirect_uris": ["http://localhost:3335/oauth/callback"],
            "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
            "software_version": "0.15.1",
            "scope": "openid email profile",
            **NONE,
            **BOTH,
        },
        "http://localhost:3335/oauth/callback",
        scope="openid email profile",
    ),
    Vendor(
        "MCP Inspector",
        {"client_name": "MCP Inspector", "redirect_uris": ["http://localhost:6274/oauth/callback"], **NONE, **BOTH},
        "http://localhost:6274/oauth/callback",
    ),
    Vendor(
        "Copilot Studio",
        {
            "client_name": "Copilot Studio",
            "redirect_uris": ["https://global.consent.azure-apim.net/redirect/memory"],
            "token_endpoint_auth_method": "client_secret_post",
        },
        "https://global.consent.azure-apim.net/redirect/memory",
        sends_resource=False,
    ),
    Vendor(
        "n8n",
        {"client_name": "n8n", "redirect_uris": ["https://oauth.n8n.cloud/oauth2/callback"], **NONE},
        "https://oauth.n8n.cloud/oauth2/callback",
        sends_resource=False,
    ),
    Vendor(
        "Perplexity",
        {
            "client_name": "Perplexity",
            "redirect_uris": ["https://www.perplexity.ai/rest/connections/oauth_callback"],
            **NONE,
        },
        "https://www.perplexity.ai/rest/connections/oauth_callback",
        scope=None,
    ),
)

# The test adds `client_id` when it publishes the copy on its own host.
DOCUMENTS = (
    Vendor(
        "Claude",
        {
            "client_name": "Claude",
            "client_uri": "https://claude.ai",
            "redirect_uris": ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
            "grant_types": [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
            "response_types": ["code"],
            **NONE,
        },
        "https://claude.ai/api/mcp/auth_callback",
        "/oauth/mcp-oauth-client-metadata",
        scope="memories:read memories:write offline_access",
    ),
    Vendor(
        "Claude Code",
        {
            "client_name": "Claude Code",
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
            **NONE,
            **BOTH,
        },
        "http://localhost:54545/callback",
        "/oauth/claude-code-client-metadata",
        scope="memories:read memories:write offline_access",
    ),
    Vendor(
        "ChatGPT",
        {
            "client_name": "ChatGPT",
            "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "token_endpoint_auth_signing_alg": "RS256",
            "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
            **BOTH,
        },
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "/oauth/client.json",
    ),
    Vendor(
        "Grok",
        {
            "client_name": "Grok",
            "redirect_uris": [
                "https://grok.com/connectors-oauth-exchange-code/",
                "https://console.x.ai/connectors-oauth-exchange-code/",
            ],
            **NONE,
            **BOTH,
        },
        "https://grok.com/connectors-oauth-exchange-code/",
        "/oauth/mcp-client.json",
    ),
    Vendor(
        "Codex",
        {"client_name": "Codex", "redirect_uris": ["http://127.0.0.1/callback"], **NONE, **BOTH},
        "http://127.0.0.1:1455/callback",
        "/oauth/codex/client.json",
        sends_resource=False,
    ),
    Vendor(
        "VS Code",
        {
            "client_name": "Visual Studio Code",
            "application_type": "native",
            "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
            "grant_types": [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "response_types": ["code"],
            **NONE,
        },
        "http://127.0.0.1:40123/",
        "/oauth/client-metadata.json",
    ),
    Vendor(
        "Copilot CLI",
        {"client_name": "Copilot CLI", "redirect_uris": ["http://127.0.0.1:33418/"], **NONE, **BOTH},
        "http://127.0.0.1:45678/",
        "/copilot/cli/client-metadata.json",
    ),
    Vendor(
        "OpenCode",
        {"client_name": "OpenCode", "redirect_uris": ["http://127.0.0.1/mcp/oauth/callback"], **NONE, **BOTH},
        "http://127.0.0.1:19876/mcp/oauth/callback",
        "/oauth/opencode/client.json",
    ),
    Vendor(
        "Zed",
        {"client_name": "Zed", "redirect_uris": ["http://127.0.0.1/callback"], **NONE},
        "http://127.0.0.1:27523/callback",
        "/oauth/zed.json",
    ),
    Vendor(
        "Goose",
        {"client_name": "Goose", "redirect_uris": ["http://127.0.0.1/oauth_callback"], **NONE},
        "http://127.0.0.1:38000/oauth_callback",
        "/oauth/goose.json",
    ),
)
