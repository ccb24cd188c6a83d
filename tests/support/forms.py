"""The fields of a form, as a browser without script sends them."""

from html.parser import HTMLParser

import httpx

Attributes = list[tuple[str, str | None]]


class _Form(HTMLParser):
    """Reads the fields of the form with this class. Templates and unchecked boxes are left out."""

    def __init__(self, form_class: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._class = form_class
        self._is_inside = False
        self._is_template = False
        self._field = ""
        self._text: list[str] = []
        self._options: list[tuple[str | None, bool, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        given = dict(attrs)
        if tag == "form":
            self._is_inside = given.get("class") == self._class
        elif tag == "template":
            self._is_template = True
        elif tag == "option":
            self._options.append((given.get("value"), "selected" in given, []))
        elif self._is_inside and not self._is_template and given.get("name"):
            name = given["name"] or ""
            if tag == "input" and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
                self.fields.setdefault(name, []).append(given.get("value") or "")
            elif tag in ("textarea", "select"):
                self._field, self._text, self._options = name, [], []

    def handle_data(self, data: str) -> None:
        self._text.append(data)
        if self._options:
            self._options[-1][2].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        elif tag == "template":
            self._is_template = False
        elif tag in ("textarea", "select") and self._field:
            self.fields.setdefault(self._field, []).append(self._written() if tag == "textarea" else self._chosen())
            self._field, self._options = "", []

    def _written(self) -> str:
        return "".join(self._text).removeprefix("\n").replace("\n", "\r\n")

    def _chosen(self) -> str:
        value, _, label = next((option for option in self._options if option[1]), self._options[0])
        return "".join(label).strip() if value is None else value


def fields_of(page: httpx.Response, form_class: str = "form") -> dict[str, list[str]]:
    """Return the values of each field of the page's form."""
    form = _Form(form_class)
    form.feed(page.text)
    return form.fields
