"""C1-C18: what the published clients need to connect."""

from tests.requirements.requirement import Requirement

CLIENTS: dict[str, Requirement] = {
    "c01": Requirement(
        "/mcp and /mcp/ answer a request without a token with a 401 challenge, accept only POST, and never redirect.",
        "RFC 9728 section 5.1; MCP 2026-07-28, transports; Claude's connector documentation",
    ),
    "c02": Requirement(
        "Both metadata documents of the resource give its exact URL and exactly one authorization server, the issuer.",
        "RFC 9728 sections 2 and 3.3; Claude reads only the first server",
    ),
    "c03": Requirement(
        "Every well-known address of the metadata returns the same document, which web pages may read.",
        "RFC 8414 section 3; ChatGPT, Claude and mcp-remote try several addresses",
    ),
    "c04": Requirement(
        "The server metadata lists the grants, methods and scopes that the server supports, and no others.",
        "RFC 8414 section 2; the documentation of Claude and ChatGPT",
    ),
    "c05": Requirement(
        "Registration accepts every known client, drops unknown fields, and returns the requested auth method.",
        "RFC 7591 sections 2 and 3.2.1; Cursor, VS Code, LibreChat, Open WebUI",
    ),
    "c06": Requirement(
        "A loopback redirect URI matches with any port, even if it was registered with a port.",
        "RFC 8252 section 7.3; Claude Code, Codex, Copilot CLI",
    ),
    "c07": Requirement(
        "The server accepts the metadata documents that known clients publish, and ignores grants it does not support.",
        "the documents of Claude, Claude Code, ChatGPT, Codex, VS Code, Zed and Goose",
    ),
    "c08": Requirement(
        "No scope means the default scopes, unknown scopes are dropped, and the response lists the granted ones.",
        "RFC 6749 section 3.3; mcp-remote and Windsurf request OpenID scopes",
    ),
    "c09": Requirement(
        "A missing resource, another spelling of the canonical resource, and the same resource twice are all accepted.",
        "RFC 8707 section 2; Codex, Zed, the TypeScript SDK",
    ),
    "c10": Requirement(
        "Every redirect to a client returns its state unchanged and names the issuer, in success and in error.",
        "RFC 6749 section 4.1.2; RFC 9207 section 2; ChatGPT, Gemini CLI",
    ),
    "c11": Requirement(
        "A client that registered the refresh token grant gets a refresh token with or without offline_access.",
        "ours: ChatGPT does not request offline_access",
    ),
    "c12": Requirement(
        "The token endpoint accepts no secret, a secret in the header, and a secret in the body, and answers in JSON.",
        "RFC 6749 sections 2.3.1 and 5.1",
    ),
    "c13": Requirement(
        "Web pages of any origin can use the endpoints that OAuth clients need, without cookies; pages have no CORS.",
        "the CORS protocol of WHATWG Fetch; MCP Inspector",
    ),
    "c14": Requirement(
        "The server builds every URL from PUBLIC_URL and ignores the host that a request claims.",
        "ours, for servers behind a proxy",
    ),
    "c15": Requirement(
        "A slow metadata host delays only its own client, and only for a few seconds.",
        "ours: Claude gives up after ten seconds",
    ),
    "c16": Requirement(
        "The text of search and fetch is the JSON of their structured content, and every tool sets all four hints.",
        "OpenAI's documentation of search and fetch",
    ),
    "c17": Requirement(
        "A proxy forwards /mcp, /mcp/ and /.well-known at the root of the origin.",
        "RFC 9728 section 3; Claude's connector documentation",
    ),
    "c18": Requirement(
        "An authorization request survives sign-in and sign-up, and two requests in one browser stay separate.", "ours"
    ),
}
