"""65-108: the token endpoints, the resource server, and what is stored and logged."""

from tests.requirements.requirement import Requirement

TOKENS: dict[str, Requirement] = {
    # Token endpoint
    "065": Requirement(
        "The token endpoint accepts only a POST form, and each parameter only once.", "RFC 6749 section 3.2"
    ),
    "066": Requirement(
        "A token response has a token, its type, lifetime and scope, and must not be cached.", "RFC 6749 section 5.1"
    ),
    "067": Requirement("A code exchange needs the verifier of its challenge.", "RFC 7636 section 4.6"),
    "068": Requirement("Only one of many simultaneous exchanges of a code succeeds.", "RFC 6749 section 4.1.2"),
    "069": Requirement(
        "A second, otherwise valid exchange of a code revokes all tokens of the first.",
        "RFC 6749 section 4.1.2; OAuth 2.1",
    ),
    "070": Requirement("A failed exchange neither uses up a code nor revokes tokens.", "ours, as OAuth 2.1 suggests"),
    "071": Requirement(
        "A code works only for its client, with its redirect URI, and before it expires.", "RFC 6749 section 4.1.3"
    ),
    "072": Requirement("A token request for another resource gets invalid_target.", "RFC 8707 section 2.2"),
    "073": Requirement(
        "A confidential client sends its secret in the header or the body, and a public client must not send a secret.",
        "RFC 6749 sections 2.3.1, 3.2.1 and 5.2",
    ),
    "074": Requirement(
        "The server form-decodes the id and secret of Basic authentication, and refuses another client_id in the body.",
        "RFC 6749 section 2.3.1",
    ),
    "075": Requirement("The token endpoint supports only the code and refresh token grants.", "RFC 6749 section 5.2"),
    "076": Requirement("The server compares secrets in constant time.", "ours"),
    "077": Requirement("The token endpoint answers any input with a JSON error that repeats no input.", "ours"),
    "078": Requirement(
        "The server limits failures at the token endpoint by client and address without locking out others.", "ours"
    ),
    # Refresh tokens
    "079": Requirement(
        "A refresh keeps the resource and scope of its grant, and another resource gets invalid_target.",
        "RFC 6749 section 6; RFC 8707 section 2.2",
    ),
    "080": Requirement(
        "Each refresh returns a new refresh token, and the old one stops working after its grace period.",
        "MCP 2026-07-28, authorization; RFC 9700 section 4.14; ours: the grace period",
    ),
    "081": Requirement(
        "After its grace period a refresh token is refused once, and its next use revokes its family and no other.",
        "RFC 9700 section 4.14; OAuth 2.1; ours: the grace period",
    ),
    "082": Requirement(
        "A refresh token has at most three successors, all within its grace period, and no live token is evicted.",
        "ours, for lost responses and shared tokens; differs from RFC 9700 section 4.14",
    ),
    "083": Requirement(
        "Another client cannot use a refresh token, and its attempt does not revoke it.", "RFC 6749 sections 6 and 10.4"
    ),
    "084": Requirement("A refresh can narrow the scope, and a wider scope gets invalid_scope.", "RFC 6749 section 6"),
    "085": Requirement(
        "A refresh token gets invalid_grant after its grant, role, project or account ends, or after it expires.",
        "RFC 6749 section 5.2; ours: no absolute expiry, and invalid_client after the client is deleted",
    ),
    "086": Requirement("Only a refresh token works as a refresh token.", "RFC 6749 section 6"),
    # Revocation and introspection
    "087": Requirement(
        "Revoking an unknown token succeeds, and a wrong type hint does not matter.", "RFC 7009 sections 2.1 and 2.2"
    ),
    "088": Requirement(
        "Revoking a refresh token revokes its access tokens; revoking an access token revokes only that one.",
        "RFC 7009 section 2.1",
    ),
    "089": Requirement(
        "A client authenticates to revoke a token, and can revoke only its own tokens.", "RFC 7009 section 2.1"
    ),
    "090": Requirement(
        "A client authenticates to introspect a token, and only its own active access tokens are reported active.",
        "RFC 7662 sections 2.1, 2.2 and 4",
    ),
    "091": Requirement(
        "Introspection returns scope, client, user, audience, issuer, times and type of an active token.",
        "RFC 7662 section 2.2",
    ),
    "092": Requirement("Users can list their connected applications and disconnect them at once.", "ours"),
    # Resource server
    "093": Requirement(
        "A challenge names the metadata, the error of a credential that was sent, and the scopes that are missing.",
        "RFC 6750 sections 3 and 3.1; RFC 9728 section 5.1",
    ),
    "094": Requirement(
        "The server accepts a token only in the header.", "RFC 6750 section 2; MCP 2026-07-28, authorization"
    ),
    "095": Requirement(
        "The server refuses everything that is not one of its own valid access tokens.",
        "RFC 6750 section 3.1; MCP 2026-07-28, authorization",
    ),
    "096": Requirement(
        "A token reaches only its project; other projects look as if they did not exist.", "OWASP API1:2023"
    ),
    "097": Requirement(
        "Writing without the write scope gets 403 with all needed scopes, and write includes read.",
        "RFC 6750 section 3.1; MCP 2026-07-28, authorization",
    ),
    "098": Requirement("/mcp refuses unknown origins and unknown hosts.", "MCP 2026-07-28, transports"),
    "099": Requirement("The scheme Bearer is case-insensitive.", "RFC 9110 section 11.1"),
    "100": Requirement("A session id does not authenticate a request.", "MCP 2026-07-28, transports"),
    "101": Requirement("A removed or lowered role takes effect on the next request, everywhere.", "ours"),
    # Storage, logs and settings
    "102": Requirement(
        "The database contains no token, code, secret or session id in clear text.", "RFC 6819 section 5.1.4.1.3"
    ),
    "103": Requirement("The log contains no token, code, secret, state or email address.", "OWASP Logging Cheat Sheet"),
    "104": Requirement("Every token has at least 128 random bits.", "RFC 6749 section 10.10"),
    "105": Requirement("A public server does not start over plain http or without a secret key.", "ours"),
    "106": Requirement(
        "An https server sends HSTS and secure cookies, based on PUBLIC_URL and not on the request.",
        "RFC 6797 section 7; ours",
    ),
    "107": Requirement("A code expires at its time, without leeway.", "ours"),
    "108": Requirement("The audit trail records every change of access, without secrets.", "ours"),
}
