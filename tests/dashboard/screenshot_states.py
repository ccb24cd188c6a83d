"""More states of pages for `make screenshots`: forms in use, other people, and unusual texts."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from server.commands.accounts import writing
from server.domain.people import passwords, users
from server.settings import Settings
from tests.support.authenticator import Authenticator
from tests.support.browser import PASSWORD, TIMEOUT_SECONDS, Browser, browsing

Shoot = Callable[[Browser, str], None]

ARABIC = "آنا تفضل المقعد المجاور للنافذة في القطار (وليس الممر)."
CHINESE = "安娜在火车上喜欢靠窗的座位，在飞机上喜欢靠过道的座位。她每周四下午去图书馆。"
MARKDOWN = """# Release checklist

1. Run `make check`, then read <https://example.com/release-notes>
2. Tag the commit

| step | who |
|---|---|
| build | Anna |
| announce | Tom |

```sh
git tag v1.2.0 && git push --tags
```

> Nobody deploys on Fridays."""
LONG_TITLE = "The quarterly planning notes of the Lisbon offsite, with all that we decided about the second region"
LONG = f"{LONG_TITLE}\n\n" + "We decided to keep three machines and systemd until the second region opens. " * 62
TALK = [
    {"role": "user", "content": "Where should we meet on Thursday?"},
    {"role": "assistant", "content": "The library is quiet after four. I can book the small room."},
    {"role": "user", "content": "Good. Book it until six."},
]


def shoot_refused_sign_up(browser: Browser, shoot: Shoot) -> None:
    browser.open("/setup")
    browser.write("Email address", "alice@example.com")
    browser.write("Name", "Alice Moreau")
    browser.write("Password", "password1")
    browser.press_at("main button.primary")
    shoot(browser, "setup-refused")


def shoot_sign_in(settings: Settings, shoot: Shoot) -> None:
    with browsing(settings.public_url) as browser:
        browser.open("/sign-in")
        browser.write("Email address", "alice@example.com")
        browser.write("Password", "not the password")
        browser.press_at("main button.primary")
        shoot(browser, "sign-in-refused")
        browser.open("/forgot-password")
        browser.write("Email address", "alice@example.com")
        browser.press("Show command")
        shoot(browser, "forgot-password-sent")
        with writing(settings) as session:
            _, token = passwords.issue_reset(session, "alice@example.com")
        browser.open(f"/reset-password/{token}")
        shoot(browser, "reset-password")
        for name in ("reset-password", "verify-email"):
            browser.open(f"/{name}/nothing")
            shoot(browser, f"{name}-nothing")
        browser.open("/nowhere")
        shoot(browser, "not-found-signed-out")


def shoot_texts(browser: Browser, project: str, bearer: dict[str, str], shoot: Shoot) -> None:
    """Memories that are long, in other scripts, formatted, full of labels, or changed several times."""
    many = [f"tag number {number}" for number in range(40)]
    long_value = {"a key that is rather long for a table": "value " * 60}
    texts: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "long": ({"content": LONG}, {"tags": ["work", "travel"], **long_value}),
        "arabic": ({"content": ARABIC}, {"tags": ["سفر"], "people_mentioned": ["آنا"]}),
        "chinese": ({"content": CHINESE}, {"tags": ["旅行"], "people_mentioned": ["安娜"]}),
        "markdown": ({"content": MARKDOWN}, {}),
        "conversation": ({"messages": TALK}, {"topic_category": "work"}),
        "tags": ({"content": "A memory with forty tags."}, {"tags": many, "people_mentioned": many[:9]}),
    }
    for name, (body, metadata) in texts.items():
        memory_id = add(browser, bearer, body | {"metadata": metadata})
        browser.open(f"/dashboard/memories/{memory_id}")
        shoot(browser, f"memory-{name}")
        if name == "conversation":
            browser.open(f"/dashboard/memories/{memory_id}/edit")
            shoot(browser, "memory-edit-conversation")
    change = {"text": "A memory with forty tags, edited.", "metadata": {"tags": many[:3], "mood": "good"}}
    address = f"{browser.base}/api/memories/{memory_id}"
    httpx.put(address, json=change, headers=bearer, timeout=TIMEOUT_SECONDS).raise_for_status()
    browser.open(f"/dashboard/memories/{memory_id}")
    browser.press("Restore this version")
    shoot(browser, "memory-history")
    browser.open(f"{project}/memories")
    shoot(browser, "memories-odd-texts")
    browser.open(f"{project}/memories/new")
    browser.write("Text", "Something.")
    browser.press("More details")
    browser.write("Name", "amount")
    browser.choose("Kind", "Number")
    browser.write("Value", "three")
    browser.press_at("main button.primary")
    shoot(browser, "memory-new-refused")


def shoot_lists(browser: Browser, project: str, bearer: dict[str, str], shoot: Shoot) -> None:
    """Lists of memories in use: searches without results, open filters, a selection, news."""
    pages = {
        "search-nothing": "?q=zeppelin&tags=nothing",
        "search-weak": "?q=zeppelin+harbor",
        "filters-many": "?tags=travel,work&people=Anna&category=health&pinned=1&when=this+year",
    }
    for name, query in pages.items():
        browser.open(f"{project}/memories{query}")
        shoot(browser, name)
    browser.open(f"{project}/memories?q=window+seat")
    browser.press("Why this result")
    shoot(browser, "search-why")
    browser.open(f"{project}/memories")
    browser.press("Filters")
    shoot(browser, "filters-open")
    select(browser, 3)
    shoot(browser, "selected")
    for words in ("Add tags", "Move"):
        browser.open(f"{project}/memories")
        select(browser, 2)
        browser.press(words)
        shoot(browser, f"selected-{words.lower().replace(' ', '-')}")
    browser.open(f"{project}/memories?tags=travel")
    select(browser, 2)
    browser.press("Add tags")
    browser.press_at("button[value=tag]")
    shoot(browser, "selected-refused")
    browser.open(f"{project}/memories")
    add(browser, bearer, {"content": "The tram to the airport leaves at nine."})
    browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, "[data-live]").is_displayed() or None, "no news")
    shoot(browser, "memories-live")
    browser.open(f"{project}/trash")
    shoot(browser, "trash-used")
    browser.open(f"{project}/activity")
    browser.press("Undo from here")
    shoot(browser, "activity-undo")
    browser.open(f"{project}/activity?kind=restore")
    shoot(browser, "activity-nothing")


def shoot_import(browser: Browser, project: str, folder: Path, shoot: Shoot) -> None:
    for name, content in (("notes.csv", "content,tags\nThe tram leaves at nine.,travel\n"), ("notes.jsonl", "nothing")):
        file = folder / name
        file.write_text(content)
        browser.open(f"{project}/transfer")
        browser.field("File").send_keys(str(file))
        browser.press("Import")
        browser.until(lambda: "Reading the file" not in browser.text or None, "still reading")
        shoot(browser, f"import-{file.suffix[1:]}")
        if file.suffix == ".csv":
            browser.press("Import")
            browser.until(lambda: "imported" in browser.text or None, "still importing")
            shoot(browser, "import-done")


def shoot_account(browser: Browser, shoot: Shoot) -> None:
    """Two-factor authentication from start to end, the step before sensitive changes, and a refused deletion."""
    browser.open("/dashboard/account")
    browser.write("Type", "someone@example.com")
    browser.press("Delete account")
    shoot(browser, "account-refused")
    page = "/dashboard/account/two-factor"
    browser.open(page)
    shoot(browser, "two-factor-off")
    browser.press("Set up")
    shoot(browser, "two-factor-key")
    app = Authenticator(browser.field("Or enter this key").get_attribute("value") or "")
    browser.write("Code from the app", app.code())
    browser.press("Turn on")
    shoot(browser, "two-factor-codes")
    browser.open(page)
    browser.press("Turn off")
    shoot(browser, "two-factor-on")
    browser.press("Turn off two-factor")
    shoot(browser, "step-up")
    browser.write("Password", "wrong")
    browser.press("Continue")
    shoot(browser, "step-up-refused")
    with browsing(browser.base) as other:
        other.open("/sign-in")
        other.write("Email address", "alice@example.com")
        other.write("Password", PASSWORD)
        other.press_at("main button.primary")
        shoot(other, "second-step")


def shoot_team(browser: Browser, project: str, settings: Settings, shoot: Shoot) -> None:
    """Ben, who views Alice's project; Cara, who has no project; and what Alice sees of them."""
    with writing(settings) as session:
        for name in ("ben", "cara"):
            hashed = passwords.new_hash(session, PASSWORD, f"{name}@example.com", name)
            users.register(session, f"{name}@example.com", f"{name.title()} Okafor", hashed, verified=True)
    for email, role in (("ben@example.com", "Viewer"), ("dana@example.com", "Admin")):
        browser.open(f"{project}/members")
        browser.choose("Role", role)
        browser.write("Email address", email)
        browser.press("Send invitation")
        if role == "Viewer":
            link = browser.field("Invitation link").get_attribute("value") or ""
    with browsing(settings.public_url) as ben:
        ben.driver.get(link)
        shoot(ben, "invitation-signed-out")
        sign_in(ben, "ben@example.com")
        ben.open("/dashboard/notifications")
        shoot(ben, "notifications-invited")
        ben.driver.get(link)
        shoot(ben, "invitation")
        ben.press("Accept")
        shoot_viewer(ben, project, shoot)
    with browsing(settings.public_url) as cara:
        sign_in(cara, "cara@example.com")
        cara.driver.get(link)
        shoot(cara, "invitation-ended")
        cara.open("/dashboard")
        cara.press("Settings", "nav")
        cara.write("Type", "My Memories")
        cara.driver.find_elements(By.CSS_SELECTOR, "[name=confirm]")[-1].send_keys("My Memories")
        cara.press("Delete project")
        shoot(cara, "no-projects")
    browser.open(f"{project}/members")
    browser.press("What each role can do")
    shoot(browser, "members-several")
    browser.open("/dashboard/notifications")
    shoot(browser, "notifications-several")


def shoot_viewer(ben: Browser, project: str, shoot: Shoot) -> None:
    for name in ("memories", "activity", "connect", "keys", "members", "transfer", "settings", "trash", "similar"):
        ben.open(f"{project}/{name}")
        shoot(ben, f"viewer-{name}")
    ben.open(project)
    shoot(ben, "viewer-overview")
    ben.open(f"{project}/memories")
    select(ben, 1)
    shoot(ben, "viewer-selected")
    ben.open("/dashboard/organizations")
    shoot(ben, "viewer-organizations")
    found = re.findall(r"/dashboard/organizations/org_\w+", ben.driver.page_source)
    for number, path in enumerate(dict.fromkeys(found)):
        ben.open(path)
        shoot(ben, f"viewer-organization-{number}")


def shoot_keyboard(browser: Browser, project: str, shoot: Shoot) -> None:
    browser.open(f"{project}/memories")
    ActionChains(browser.driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
    browser.keys("me")
    shoot(browser, "palette")
    browser.keys(Keys.ESCAPE)
    browser.keys("?")
    shoot(browser, "shortcuts")
    browser.keys(Keys.ESCAPE)


def select(browser: Browser, number: int) -> None:
    for box in browser.driver.find_elements(By.CSS_SELECTOR, "[type=checkbox][name=ids]")[:number]:
        box.click()


def sign_in(browser: Browser, email: str) -> None:
    browser.open("/sign-in")
    browser.write("Email address", email)
    browser.write("Password", PASSWORD)
    browser.press_at("main button.primary")


def add(browser: Browser, bearer: dict[str, str], body: dict[str, object]) -> str:
    added = httpx.post(f"{browser.base}/api/memories", json=body, headers=bearer, timeout=TIMEOUT_SECONDS)
    added.raise_for_status()
    return str(added.json()["memory_id"])
