"""Requirements 53-60 and 62: the consent page and its protection. Cookies and passwords: tests/dashboard."""

import pytest
from sqlmodel import select

from server.domain.grants import authorizations
from server.domain.grants.authorizations import RequestEnded
from server.hashing import SESSION_PREFIX
from server.models import AuthorizationRequest, BrowserSession, OAuthGrant, ProjectMember, ProjectRole
from server.principal import CredentialKind, Principal
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import CALLBACK, EVERYDAY, App, Person, answer_of, form_of, is_page, tokens_of
from tests.support.tables import rows

EVIL = "https://evil.example"


def share(database: Database, owner: Person, other: Person, role: ProjectRole) -> None:
    with database.write() as session:
        session.add(ProjectMember(project_id=owner.project_id, user_id=other.user_id, role=role))


def grants(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(OAuthGrant)).all())


async def test_053_pages_cannot_be_framed_read_or_kept(notes: App, ann: Person) -> None:
    consent = await ann.open(notes.request())
    problem = await ann.open(notes.request(client_id="client_x"))
    sign_in = await notes.http.get("/sign-in")
    for page in (consent, problem, sign_in):
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "http" not in policy
        assert "form-action" not in policy  # Chromium would apply it to the redirect to the client
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert "//" not in page.text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("proof", ["", "0" * 64, "é", None])
async def test_054_a_form_without_our_proof_is_refused(
    notes: App, ann: Person, database: Database, proof: str | None
) -> None:
    page = await ann.open(notes.request())
    form = form_of(page)
    fields = {**form.fields, "decision": "allow", "proof": proof}
    sent = {name: value for name, value in fields.items() if value is not None}
    assert is_page(await ann.browser.post(form.action, data=sent), 403)
    assert grants(database) == 0


async def test_054_the_proof_of_another_request_or_session_is_refused(notes: App, ann: Person, ben: Person) -> None:
    page, other, bens = [await person.open(notes.request()) for person in (ann, ann, ben)]
    for proof in (form_of(other).fields["proof"], form_of(bens).fields["proof"]):
        assert is_page(await ann.decide(page, proof=proof), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Referer": f"{EVIL}/page"},
        {"Referer": "http://["},
        {"Referer": "http://localhost:port/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"},
    ],
)
async def test_054_a_form_of_another_site_is_refused(notes: App, ann: Person, headers: dict[str, str]) -> None:
    page = await ann.open(notes.request())
    ann.browser.headers.update(headers)
    assert is_page(await ann.decide(page), 403)


async def test_054_browsers_that_hide_the_origin_are_accepted(notes: App, ann: Person) -> None:
    """With `Referrer-Policy: no-referrer`, a browser sends `Origin: null` together with Sec-Fetch-Site."""
    page = await ann.open(notes.request())
    ann.browser.headers.update({"Origin": "null", "Sec-Fetch-Site": "same-origin"})
    assert "code" in answer_of(await ann.decide(page))


async def test_055_a_request_belongs_to_the_session_that_began_it(
    notes: App, ann: Person, ben: Person, database: Database
) -> None:
    page = await ann.open(notes.request())
    await ben.sign_in()
    assert is_page(await ben.decide(page), 403)
    own = await ben.open(notes.request())
    form = form_of(own)
    stolen = form.action.replace(form.action.rpartition("/")[2], form_of(page).action.rpartition("/")[2])
    assert is_page(await ben.browser.post(stolen, data={**form.fields, "decision": "allow"}), 403)
    ben.browser.cookies.clear()
    assert is_page(await ben.decide(page), 403)
    assert "code" in answer_of(await ann.decide(page))
    assert grants(database) == 0


async def test_055_the_rule_itself_checks_the_session(notes: App, ann: Person, ben: Person, database: Database) -> None:
    """Even if a form passes the check of its proof."""
    await ann.open(notes.request())
    await ben.sign_in()
    with database.write() as session:
        request = session.exec(select(AuthorizationRequest)).one()
        bens = session.exec(select(BrowserSession).where(BrowserSession.user_id == ben.user_id)).one()
        principal = Principal(ben.user_id, CredentialKind.SESSION, bens.id)
        with pytest.raises(RequestEnded):
            authorizations.approve(session, principal, request.id, ben.project_id, 60, read_only=False)


async def test_055_a_key_or_token_cannot_consent(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann)).access
    page = await ann.open(notes.request())
    ann.browser.headers["Authorization"] = f"Bearer {token}"
    assert is_page(await ann.decide(page), 403)
    assert is_page(await ann.browser.get("/oauth/authorize", params=notes.request()), 403)


async def test_056_the_page_names_client_permissions_and_destination(register: Register, ann: Person) -> None:
    local = await ann.open((await register(client_name="Local Notes")).request())
    assert "“Local Notes”" in local.text
    assert "nobody has verified it" in local.text
    assert "a program on this computer (127.0.0.1:7777)" in local.text
    assert "Any program on your computer can pretend" in local.text
    assert "See and search memories" in local.text
    assert "Add, edit and delete memories" in local.text
    assert "My Memories" in local.text
    assert ann.email in local.text
    uri = "https://app.example:8443/callback"
    remote = await ann.open((await register(redirect_uris=[uri])).request(scope="memories:read"))
    assert "app.example:8443" in remote.text
    assert "can pretend" not in remote.text
    assert "Add, edit and delete" not in remote.text


async def test_056_the_page_warns_of_the_place_that_this_request_names(register: Register, ann: Person) -> None:
    """Whatever else is registered: a local program, an application's own scheme, or neither."""
    uris = [CALLBACK, "cursor://app/cb", "https://app.example/cb"]
    app = await register(redirect_uris=uris)
    local, installed, remote = [(await ann.open(app.request(redirect_uri=uri))).text for uri in uris]
    assert "Any program on your computer can pretend to be this application" in local
    assert "the application that opens cursor: links" in installed
    assert "Any application on this device can open cursor: links" in installed
    for page in (installed, remote):
        assert "Any program on your computer" not in page
    assert "can claim" not in local + remote


@pytest.mark.settings(public_url="http://nas.local:8081")
async def test_056_an_address_in_a_private_network_is_warned_of(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=["http://192.168.1.5:3000/cb"])
    page = await ann.open(app.request(resource=None))
    assert "sent over your network without encryption" in page.text
    assert "<b>192.168.1.5:3000</b>" in page.text


async def test_057_only_projects_within_reach_may_be_connected(
    notes: App, ann: Person, ben: Person, database: Database
) -> None:
    page = await ann.open(notes.request())
    assert form_of(page).options["project_id"] == [ann.project_id]
    nonexistent = await ann.decide(page, project_id="proj_x")
    unseen = await ann.decide(page, project_id=ben.project_id)
    assert is_page(nonexistent, 404)
    assert is_page(unseen, 404)
    assert nonexistent.text == unseen.text
    assert grants(database) == 0


async def test_057_a_viewer_can_grant_only_reading(notes: App, ann: Person, ben: Person, database: Database) -> None:
    share(database, ann, ben, ProjectRole.VIEWER)
    page = await ben.open(notes.request())
    assert sorted(form_of(page).options["project_id"]) == sorted([ben.project_id, ann.project_id])
    assert page.text.count("(read only)") == 1
    answer = answer_of(await ben.decide(page, project_id=ann.project_id))
    tokens = tokens_of(await notes.redeem(answer["code"]))
    assert tokens.scope == "memories:read"
    new = {"messages": [{"role": "user", "content": "hello"}]}
    refused = await notes.http.post("/api/memories", json=new, headers={"Authorization": f"Bearer {tokens.access}"})
    assert refused.status_code == 403


async def test_057_the_project_connected_last_is_preselected(
    notes: App, ann: Person, ben: Person, database: Database
) -> None:
    share(database, ann, ben, ProjectRole.EDITOR)
    for project_id in (ann.project_id, ben.project_id, ann.project_id):
        await notes.connect(ben, project_id)
        assert form_of(await ben.open(notes.request())).fields["project_id"] == project_id


async def test_058_a_form_cannot_enlarge_the_request(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request(scope="memories:read"))
    more = {"scope": EVERYDAY, "redirect_uri": f"{EVIL}/", "resource": EVIL, "client_id": "client_x", "state": "other"}
    answer = await ann.decide(page, **more)
    assert answer.headers["location"].startswith(CALLBACK)
    told = answer_of(answer)
    assert told["state"] == "a-state"
    assert tokens_of(await notes.redeem(told["code"])).scope == "memories:read"


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW", "approve"])
async def test_059_only_allow_grants_access(notes: App, ann: Person, decision: str, database: Database) -> None:
    page = await ann.open(notes.request())
    form = form_of(page)
    assert is_page(await ann.decide(page, decision))
    fields = {**form.fields, "decision": "allow"}
    assert is_page(await ann.browser.get(form.action, params=fields), 405)
    asked = notes.request() | {"approve": "1", "decision": "allow", "project_id": ann.project_id}
    assert form_of(await ann.open(asked)).options["decision"] == ["allow", "deny"]
    assert is_page(await ann.browser.post(form.action, data={**fields, "project_id": ""}))
    assert grants(database) == 0


@pytest.mark.parametrize("extra", [{}, {"prompt": "none"}, {"approval_prompt": "auto"}])
async def test_060_consent_is_asked_for_every_time(notes: App, ann: Person, extra: dict[str, str]) -> None:
    await notes.connect(ann)
    for site in ("cross-site", "same-origin"):
        ann.browser.headers["Sec-Fetch-Site"] = site
        page = await ann.browser.get("/oauth/authorize", params=notes.request() | extra)
        assert form_of(page).options["decision"] == ["allow", "deny"]


async def test_061_an_invented_session_is_not_signed_in(notes: App, ann: Person) -> None:
    ann.browser.cookies.set("ory_kratos_session", SESSION_PREFIX + "x" * 32)
    response = await ann.browser.get("/oauth/authorize", params=notes.request())
    assert response.headers["location"].startswith("/sign-in")


async def test_056_a_person_without_a_project_is_told_so(notes: App, ann: Person) -> None:
    await ann.sign_in()
    assert (await ann.browser.delete(f"/api/projects/{ann.project_id}")).status_code == 200
    page = await ann.open(notes.request())
    assert "You don't have a project to connect" in page.text
    assert form_of(page).options["decision"] == ["deny"]


async def test_signing_out_ends_pending_requests(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    await ann.browser.post("/sign-out")
    assert is_page(await ann.decide(page), 403)
    await ann.sign_in()
    assert is_page(await ann.decide(page), 403)


@rows("path", ["/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/consent/x", "/sign-in"])
async def test_064_no_post_is_redirected_with_its_body(notes: App, path: str) -> None:
    for variant in (path, f"{path}/", path.upper()):
        response = await notes.http.post(variant, data={"client_secret": "x", "password": "x"})
        assert response.status_code not in (301, 302, 307, 308), variant
