"""1-64: discovery, registration, client metadata documents, authorization, sign-in and consent."""

from tests.requirements.requirement import Requirement

# "CIMD" is the draft about OAuth client ID metadata documents. docs/oauth.md lists the differences from specifications.
AUTHORIZATION: dict[str, Requirement] = {
    # Discovery
    "001": Requirement("The server metadata is JSON, and its issuer equals PUBLIC_URL.", "RFC 8414 section 3.3"),
    "002": Requirement(
        "Every endpoint in the metadata is on the server's origin and answers its method.", "RFC 8414 section 2"
    ),
    "003": Requirement(
        "The metadata offers only the code flow with S256 challenges.", "RFC 9700 section 2.1.1; OAuth 2.1"
    ),
    "004": Requirement(
        "The metadata announces the issuer parameter and client metadata documents.", "RFC 9207 section 3; CIMD"
    ),
    "005": Requirement(
        "The resource metadata names the resource, one server and the header method, and omits offline_access.",
        "RFC 9728 section 2; MCP 2026-07-28, authorization",
    ),
    "006": Requirement(
        "The 401 challenge links to the metadata of the resource that sent it.", "RFC 9728 sections 3.3 and 5.1"
    ),
    "007": Requirement("The server publishes no metadata for another resource.", "RFC 9728 section 3.3"),
    "008": Requirement("A forged host header changes no URL in metadata, challenges, pages or emails.", "ours"),
    "009": Requirement("Every alias of the metadata answers GET, HEAD and OPTIONS.", "ours"),
    # Registration
    "010": Requirement(
        "A registration returns 201, a client id and the registered metadata as JSON that must not be cached.",
        "RFC 7591 section 3.2.1",
    ),
    "011": Requirement(
        "A confidential client gets a long secret with its expiry time, and a public client gets none.",
        "RFC 7591 section 3.2.1",
    ),
    "012": Requirement(
        "The server ignores a client id, secret or issue time that a client sends.", "RFC 7591 section 3.2.1"
    ),
    "013": Requirement(
        "The server never registers a dangerous redirect URI, and a client needs at least one that is allowed.",
        "RFC 7591 section 3.2.2; RFC 9700 section 4.1; ours: the accepted private schemes",
    ),
    "014": Requirement(
        "The server accepts the registration request of every known client.",
        "ours: requests that the clients were seen to send",
    ),
    "015": Requirement("The server drops empty, invalid and unknown optional fields of a registration.", "ours"),
    "016": Requirement(
        "A registration body that is not a JSON object of reasonable size gets a JSON error with 400, 413 or 415.",
        "RFC 7591 section 3.2.2",
    ),
    "017": Requirement("The server limits registrations per address and ignores forged forwarding headers.", "ours"),
    "018": Requirement(
        "The consent page escapes and shortens a client's name, and shows neither its links nor its logo.", "ours"
    ),
    "019": Requirement("The id of a registered client is unguessable and is not a URL.", "ours"),
    "020": Requirement(
        "The server does not offer to manage a registration, and no response links to it.", "ours; RFC 7592 is optional"
    ),
    "021": Requirement(
        "The server deletes a client that was never used, and then answers as for an unknown client.", "ours"
    ),
    # Client metadata documents
    "022": Requirement(
        "The consent page shows the host of the metadata document and the host of the redirect URI.",
        "CIMD; MCP 2026-07-28, authorization",
    ),
    "023": Requirement("The server refuses a document whose client_id differs from its URL.", "CIMD"),
    "024": Requirement(
        "The server refuses a client id that is not a plain https URL with a path, and fetches nothing.", "CIMD"
    ),
    "025": Requirement(
        "The server never connects to a private address, in any notation, to fetch a document.",
        "CIMD; ours: CIMD_ALLOW_PRIVATE is for tests",
    ),
    "026": Requirement("The server does not follow redirects when it fetches a document.", "CIMD"),
    "027": Requirement(
        "The server refuses a document that is invalid, too large or too slow, within a few seconds.",
        "CIMD; ours: at most 64 kB",
    ),
    "028": Requirement("The server refuses a document of a client that has or needs a secret.", "CIMD"),
    "029": Requirement("The server redirects only to redirect URIs that the document lists.", "CIMD"),
    "030": Requirement(
        "The server caches a valid document as its host asks, within limits, and never caches an invalid one.",
        "CIMD; RFC 9111; ours: the limits",
    ),
    "031": Requirement(
        "The server connects to the address that it checked, and refuses a name with any private address.",
        "ours, against DNS rebinding",
    ),
    "032": Requirement(
        "The fetch sends no credentials, uses no other port, and the error page reveals nothing about the host.", "ours"
    ),
    "033": Requirement(
        "An authorization uses the redirect URIs it started with; a removed URI starts no new authorization.", "ours"
    ),
    "034": Requirement(
        "The server accepts a document that prefers private_key_jwt and also allows none, as a public client.",
        "ours: ChatGPT's document",
    ),
    "035": Requirement(
        "The server fetches no document before the user signs in, and few for one person or from one host.", "ours"
    ),
    # Authorization endpoint
    "036": Requirement(
        "An unknown, missing or repeated client_id gets an error page and no redirect.", "RFC 6749 section 4.1.2.1"
    ),
    "037": Requirement(
        "An unregistered, repeated or missing redirect_uri gets an error page, even if other parameters are wrong too.",
        "RFC 6749 sections 3.1.2.4 and 4.1.2.1; CVE-2026-41479",
    ),
    "038": Requirement(
        "The server compares redirect URIs exactly and keeps a registered query.",
        "RFC 9700 section 2.1; RFC 6749 section 3.1.2",
    ),
    "039": Requirement(
        "Only the port of a loopback redirect URI may differ from the registered one.",
        "RFC 8252 section 7.3; OAuth 2.1",
    ),
    "040": Requirement(
        "Public and confidential clients get invalid_request without a code challenge.",
        "RFC 7636 section 4.4.1; OAuth 2.1",
    ),
    "041": Requirement(
        "A challenge that is malformed or not S256 gets invalid_request.", "RFC 7636 sections 4.2 and 4.4.1"
    ),
    "042": Requirement("A response type other than code gets an error and no token.", "RFC 6749 section 4.1.2.1"),
    "043": Requirement(
        "An error redirect has one error, the client's state and the issuer, and no code.",
        "RFC 6749 section 4.1.2.1; RFC 9207 section 2",
    ),
    "044": Requirement(
        "A success redirect has only code, issuer and the sent state, and is neither cached nor sent as a referrer.",
        "RFC 6749 section 4.1.2; RFC 9207 section 2; RFC 9700 sections 4.2 and 4.12",
    ),
    "045": Requirement("Every authorization code is new, long and random.", "RFC 6749 section 10.10"),
    "046": Requirement(
        "The authorization endpoint ignores unknown parameters and refuses POST.", "RFC 6749 section 3.1"
    ),
    "047": Requirement("A resource that is not the canonical one gets invalid_target.", "RFC 8707 section 2"),
    "048": Requirement(
        "The parameters request and request_uri get the error that names them.",
        "OpenID Connect Core section 3.1.2.6; ours: prompt is ignored",
    ),
    "049": Requirement(
        "Nothing redirects to the client before the user signs in.",
        "ours, against open redirects; differs from RFC 6749 section 4.1.2.1",
    ),
    "050": Requirement("The server returns any state unchanged and refuses control characters.", "ours"),
    "051": Requirement(
        "A denial redirects with access_denied and stores no grant and no code.", "RFC 6749 section 4.1.2.1"
    ),
    "052": Requirement("A consent request that is answered several times has at most one valid code.", "ours"),
    # Sign-in and consent
    "053": Requirement(
        "Pages forbid framing, caching, referrers, inline code and other hosts.",
        "RFC 6749 section 10.13; RFC 9700 section 4.16",
    ),
    "054": Requirement(
        "A consent form needs the token of its own request and session, and a same-origin request.",
        "RFC 6749 section 10.12; RFC 9700 section 4.7",
    ),
    "055": Requirement(
        "Only the session that started an authorization request can answer it.",
        "RFC 6749 section 10.12; CVE-2026-27124",
    ),
    "056": Requirement(
        "The consent page shows the unverified name, destination, permissions and project, and warns of local apps.",
        "MCP 2026-07-28, authorization",
    ),
    "057": Requirement(
        "A user can grant access only to their own projects, and no more than their role allows.", "ours"
    ),
    "058": Requirement(
        "A consent form cannot change the scope, resource, redirect URI or state of the request.", "ours"
    ),
    "059": Requirement("Only a POST with the decision allow grants access.", "RFC 6749 section 10.12"),
    "060": Requirement(
        "The server asks for consent every time.",
        "ours; differs from OpenID Connect Core section 3.1.2.1: prompt=none is ignored",
    ),
    "061": Requirement(
        "The session cookie is HttpOnly and SameSite=Lax, and the server never adopts a value that it did not issue.",
        "RFC 6265; ours: no __Host- prefix, because the cookie's name is a setting",
    ),
    "062": Requirement("Sign-in redirects only to paths of this site.", "RFC 9700 section 4.11"),
    "063": Requirement(
        "A wrong password and an unknown address get the same answer, and the server limits failures.", "ours"
    ),
    "064": Requirement("The server never redirects a POST in a way that repeats its body.", "RFC 9700 section 4.12"),
}
