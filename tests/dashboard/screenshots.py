"""`make screenshots`: write a screenshot of every page to ./screenshots, light, dark and at the width of a phone.

It fails if axe finds a problem, or if a page scrolls sideways.
"""

import base64
import random
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import httpx

from server.models.base import now
from tests.dashboard import screenshot_access as access
from tests.dashboard import screenshot_states as states
from tests.support.accessibility import problems_here
from tests.support.browser import Browser, browsing, serving

OUT = Path(__file__).parents[2] / "screenshots"
MAX_HEIGHT = 2400
PROBLEMS: list[str] = []
TOO_LONG_FOR_AXE = ("docs",)
MEMORIES = (
    "Anna prefers the window seat on trains and the aisle on planes.",
    "The invoice for the Lisbon offsite is paid; the accountant wants the receipt by Friday.",
    "Deploys to production happen on Thursdays after 14:00. Nobody deploys on Fridays since the March outage.",
    "Dr Li recommended 2,000 IU of vitamin D a day until the next blood test in April.",
    "Prefers answers in British English, short, without bullet points.",
    "Tom is allergic to hazelnuts and shellfish. His EpiPen is in the outer pocket of the backpack.",
    "Decided against Kubernetes for now: three machines and systemd are enough until the second region.",
    "Portuguese lesson with Rita on Mondays at 18:30; the homework is due the evening before.",
)
TAGS = ("work", "travel", "family", "health", "home", "reading")


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as settings,
        browsing(settings.public_url) as browser,
    ):
        signed_out = ["/setup", "/sign-up", "/sign-in", "/forgot-password", "/accept-invitation/nothing"]
        shoot_all(browser, {path.strip("/").replace("/", "-"): path for path in signed_out})
        states.shoot_refused_sign_up(browser, shoot)
        browser.open("/setup")
        browser.sign_up("alice@example.com", "Alice Moreau")
        project = browser.path
        empty = ("memories", "activity", "keys", "trash", "similar")
        shoot_all(browser, {"overview-empty": project, **{f"{name}-empty": f"{project}/{name}" for name in empty}})
        bearer = create_key(browser, project)
        shoot_all(browser, fill(browser, project, bearer))
        shoot_form_results(browser, project)
        states.shoot_sign_in(settings, shoot)
        states.shoot_texts(browser, project, bearer, shoot)
        states.shoot_lists(browser, project, bearer, shoot)
        states.shoot_import(browser, project, Path(folder), shoot)
        access.shoot_app(browser, shoot)
        states.shoot_keyboard(browser, project, shoot)
        states.shoot_team(browser, project, settings, shoot)
        states.shoot_account(browser, shoot)
        access.shoot_change_of_address(Path(folder) / "mail", shoot)
    sys.stdout.write(f"{len(list(OUT.iterdir()))} screenshots in {OUT}\n")
    sys.exit("\n".join(PROBLEMS) or None)


def create_key(browser: Browser, project: str) -> dict[str, str]:
    """Create an API key on its page. Return the header that uses it."""
    browser.open(f"{project}/keys")
    browser.write("Name", "Laptop")
    browser.press("Create API key")
    return {"Authorization": f"Bearer {browser.field('New API key').get_attribute('value')}"}


def fill(browser: Browser, project: str, bearer: dict[str, str]) -> dict[str, str]:
    """Create memories, an edit and an organization. Return the pages that show them, by name."""
    response = httpx.post(f"{browser.base}/api/memories/batch", json={"memories": memories()}, headers=bearer)
    memory = f"/dashboard/memories/{response.json()['results'][0]['memory_id']}"
    browser.open(f"{memory}/edit")
    browser.write("Text", "Anna prefers the window seat, everywhere.")
    browser.press("Save")
    browser.open("/dashboard/organizations")
    browser.write("Organization name", "Orchard & Co")
    browser.press("Create organization")
    organization = browser.path.partition("?")[0]
    browser.open("/dashboard/organizations")
    browser.write("Project name", "Harvest")
    browser.choose("Organization", "Orchard & Co")
    browser.press("Create project")
    pages = ("memories", "memories/new", "keys", "members", "transfer", "settings", "trash", "similar")
    concerns = ("members", "projects", "access", "activity", "danger")
    clients = ("claude", "claude-code", "claude-desktop", "goose", "open-webui", "other", "rest")
    return {
        "overview": project,
        "search": f"{project}/memories?q=window+seat",
        "search-newest": f"{project}/memories?q=deploy&sort=newest&tags=work",
        "project-activity": f"{project}/activity",
        "docs": "/docs",
        "filters": f"{project}/memories?tags=travel&when=last+30+days",
        "bad-filter": f"{project}/memories?when=someday",
        "memory": memory,
        "memory-edit": f"{memory}/edit",
        **{name.replace("/", "-"): f"{project}/{name}" for name in pages},
        **{f"connect-{client}": f"{project}/connect?client={client}" for client in clients},
        "organization": organization,
        **{f"organization-{name}": f"{organization}/{name}" for name in concerns},
        **{name: f"/dashboard/{name}" for name in ("organizations", "connections", "notifications", "account")},
        "passkeys": "/dashboard/account/passkeys",
        "not-found": "/dashboard/memories/nothing",
    }


def shoot_form_results(browser: Browser, project: str) -> None:
    """Take screenshots of pages that answer a form."""
    browser.open(f"{project}/keys")
    browser.write("Name", "CI")
    browser.press("Create API key")
    shoot(browser, "key-created")
    browser.press("Replace")
    shoot(browser, "key-replace")
    browser.open(f"{project}/keys")
    browser.press("Revoke")
    shoot(browser, "key-revoke")
    browser.open(f"{project}/members")
    browser.choose("Role", "Editor")
    browser.write("Email address", "ben@example.com")
    browser.press("Send invitation")
    shoot(browser, "invited")
    browser.open(f"{project}/memories?tags=travel")
    browser.press("Save view")
    shoot(browser, "view-saving")
    browser.write("View name", "Travel")
    browser.press_at(".facetline form button")
    shoot(browser, "view-saved")
    browser.open(f"{project}/memories")
    browser.press_at(".memory a")
    browser.press("Delete")
    shoot(browser, "deleted")
    browser.press_at(".switch > summary")
    shoot(browser, "switcher")


def memories() -> list[dict[str, object]]:
    chance = random.Random(7)
    batch: list[dict[str, object]] = []
    for number in range(80):
        metadata = {
            "tags": chance.sample(TAGS, chance.randint(0, 3)),
            "people_mentioned": chance.sample(("Anna", "Dr Li", "Tom", "Rita"), chance.randint(0, 1)),
            "topic_category": chance.choice(("personal", "work", "health")),
        }
        messages = [{"role": "user", "content": MEMORIES[number % len(MEMORIES)]}]
        created_at = now() - timedelta(days=abs(chance.gauss(0, 55)))
        batch.append({"messages": messages, "metadata": metadata, "created_at": created_at.isoformat()})
    return batch


def shoot_all(browser: Browser, pages: dict[str, str]) -> None:
    for name, path in pages.items():
        browser.open(path)
        shoot(browser, name)


def shoot(browser: Browser, name: str) -> None:
    """Take three screenshots of the open page, and note its problems."""
    sys.stderr.write(f"{name} {browser.path}\n")
    browser.driver.execute_script("scrollTo(0, 0)")
    browser.use_light()
    _picture(browser, f"{name}-light")
    browser.use_dark()
    _picture(browser, f"{name}-dark")
    browser.use_light()
    browser.use_phone()
    _picture(browser, f"{name}-phone")
    browser.use_window()
    if name not in TOO_LONG_FOR_AXE:
        PROBLEMS.extend(f"{name}: {problem}" for problem in problems_here(browser))


def _picture(browser: Browser, name: str) -> None:
    width, height = browser.driver.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, MAX_HEIGHT), "scale": 1}
    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    (OUT / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
