"""R1-R35: the security requirements of the REST API, by the OWASP API Security Top 10 of 2023."""

from tests.requirements.requirement import Requirement

BARS: dict[str, Requirement] = {
    "r01": Requirement(
        "Another user's object looks nonexistent on every route with an id, to every credential.", "OWASP API1:2023"
    ),
    "r02": Requirement("Another project's id in a query or a body looks nonexistent.", "OWASP API1:2023"),
    "r03": Requirement("Lists, counts and searches contain only the caller's own data.", "OWASP API1:2023"),
    "r04": Requirement("The server checks access to ids in a body as it does for ids in the path.", "OWASP API1:2023"),
    "r05": Requirement("A removed member or a lowered role is refused on the next request.", "OWASP API1:2023"),
    "r06": Requirement("A cursor of another project reveals nothing.", "OWASP API1:2023"),
    "r07": Requirement(
        "Sign-in and password reset answer the same for known and unknown addresses.",
        "OWASP API2:2023; ours: sign-up says that an address is taken",
    ),
    "r08": Requirement(
        "The server limits failed sign-ins by account and by address, and sign-up by address.", "OWASP API2:2023"
    ),
    "r09": Requirement(
        "A mailed link has a random token, stored as a hash, and ends after an hour or when one of its kind is used.",
        "OWASP API2:2023",
    ),
    "r10": Requirement(
        "A session gets a new id at sign-in, and ends at sign-out, by age, by idleness and with a new password.",
        "OWASP API2:2023",
    ),
    "r11": Requirement("Every invalid credential gets the same answer.", "OWASP API2:2023"),
    "r12": Requirement("The server ignores fields that the caller must not set.", "OWASP API3:2023"),
    "r13": Requirement("The server shows an API key once; a list shows only its prefix.", "OWASP API3:2023"),
    "r14": Requirement(
        "The server refuses a body that is too large, too deep or too long, and stores nothing.", "OWASP API4:2023"
    ),
    "r15": Requirement(
        "The server limits expensive operations per caller and says when to try again.", "OWASP API4:2023"
    ),
    "r16": Requirement(
        "A forged forwarding header resets no limit; behind a trusted proxy the forwarded address is used.",
        "OWASP API4:2023",
    ),
    "r17": Requirement(
        "Every role can do what the role tables allow and nothing else; headers cannot override the method.",
        "OWASP API5:2023",
    ),
    "r18": Requirement("An API key or token cannot do what needs a signed-in person.", "OWASP API5:2023"),
    "r19": Requirement(
        "An invitation token is random and hashed, works once for its address, and ends with the right of its sender.",
        "OWASP API6:2023",
    ),
    "r20": Requirement("An organization always has exactly one owner.", "OWASP API6:2023"),
    "r21": Requirement(
        "Requests with one idempotency key create one object; another body under that key is a conflict.",
        "OWASP API6:2023",
    ),
    "r22": Requirement(
        "The server connects to no private host and follows no redirect on behalf of a stranger.", "OWASP API7:2023"
    ),
    "r23": Requirement(
        "A request of another site with the user's cookie changes nothing; a key works from any origin.",
        "OWASP API8:2023",
    ),
    "r24": Requirement("Other origins cannot read the responses of the REST API.", "OWASP API8:2023"),
    "r25": Requirement(
        "Every response has security headers, and errors reveal nothing about the server.", "OWASP API8:2023"
    ),
    "r26": Requirement(
        "With SIGN_UP=invited only one first account is created, and public endpoints reveal nothing internal.",
        "OWASP API8:2023; ours: no setup token",
    ),
    "r27": Requirement("Text in any parameter is never run as a query, a pattern or a path.", "OWASP API8:2023"),
    "r28": Requirement("The name of a project or an uploaded file never becomes a path.", "OWASP API8:2023"),
    "r29": Requirement("OpenAPI describes every route, and only listed routes are public.", "OWASP API9:2023"),
    "r30": Requirement(
        "The server treats memories and tool arguments as data: they are shown as text and select no other project.",
        "OWASP API10:2023",
    ),
    "r31": Requirement(
        "Pages show names, memories and labels as text.", "OWASP Cross Site Scripting Prevention Cheat Sheet"
    ),
    "r32": Requirement("Text in an email cannot add headers or recipients.", "RFC 5321; RFC 5322"),
    "r33": Requirement("Names contain no invisible or direction-changing characters.", "Unicode Technical Report 36"),
    "r34": Requirement("The server refuses a request with contradictory lengths.", "RFC 9112 section 6.3"),
    "r35": Requirement(
        "Deleted memories disappear from every response, and permanently deleted ones from the disk.", "ours"
    ),
}
