"""Pages that show a new secret once: an API key, the link of an invitation, recovery codes."""

import re
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import Tenant
from tests.support import two_factor
from tests.support.browsers import sign_up
from tests.support.two_factor import CODE
from tests.support.visitors import Visitor, seen

KEY = r"sk_im_\w{20,}"
LINK = r"/accept-invitation/[\w-]{20,}"
FORMS = {
    "key": ("{project}/keys", {"name": "Laptop", "permission": "read", "expires_in_days": ""}, KEY),
    "connect": ("{project}/connect?client=cursor", {"client": "cursor"}, KEY),
    "member": ("{project}/members", {"email": "new@example.com", "role": "viewer"}, LINK),
    "colleague": ("{organization}/members", {"email": "new@example.com", "role": "member"}, LINK),
}


@pytest.mark.parametrize(("path", "fields", "secret"), FORMS.values(), ids=FORMS)
async def test_reloading_a_page_that_shows_a_new_secret_sends_no_form_again(
    ann: Visitor, path: str, fields: dict[str, str], secret: str
) -> None:
    """A browser reloads the answer to a form by sending the form again, unless the answer is a redirect."""
    location = await ann.do(path.format(project=ann.project, organization=ann.organization), fields)
    assert not re.search(secret, location)
    page = await ann.get(location)
    assert re.search(secret, page.text), seen(page)
    assert not [name for name in ann.client.cookies if name.startswith("shown_once")]
    assert not re.search(secret, (await ann.get(location)).text)


async def test_recovery_codes_are_shown_once_and_reloading_their_page_keeps_them(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    enrolled = await two_factor.set_up(client)
    assert not CODE.search(seen(await client.get(two_factor.PAGE)))
    renewed = await client.post(f"{two_factor.PAGE}/codes")
    assert renewed.status_code == 303
    assert len(CODE.findall(seen(await client.get(renewed.headers["location"])))) == len(enrolled.recovery_codes)
    assert not CODE.search(seen(await client.get(two_factor.PAGE)))


async def test_two_tabs_that_create_a_key_at_once_each_show_their_own(ann: Visitor) -> None:
    locations = [await ann.do(f"{ann.project}/keys", FORMS["key"][1] | {"name": name}) for name in ("One", "Two")]
    shown = [set(re.findall(KEY, (await ann.get(location)).text)) for location in locations]
    assert [len(keys) for keys in shown] == [1, 1]
    assert shown[0] != shown[1]


async def test_a_page_that_fails_keeps_the_new_secret_for_the_next_visit(ann: Visitor) -> None:
    location = await ann.do(f"{ann.project}/keys", FORMS["key"][1])
    failed = await ann.get(f"{location}&page=%00")
    refused = await ann.post(location, {"name": ""})
    for page in (failed, refused):
        assert page.status_code == 400
        assert not re.search(KEY, page.text)
    assert re.search(KEY, (await ann.get(location)).text)


async def test_a_new_key_is_shown_on_its_page_and_in_its_session_only(
    ann: Visitor, visit: Callable[[Tenant], Visitor]
) -> None:
    location = await ann.do(f"{ann.project}/keys", FORMS["key"][1])
    [(name, cookie)] = [one for one in ann.client.cookies.items() if one[0].startswith("shown_once")]
    assert "sk_im_" not in cookie
    elsewhere = visit(ann.tenant)
    elsewhere.client.cookies.set(name, cookie)
    ann.client.cookies.set(name, cookie, domain="localhost", path="/")
    for visitor, path in ((elsewhere, location), (ann, location.replace("/keys", "/connect"))):
        assert not re.search(KEY, (await visitor.get(path)).text)
