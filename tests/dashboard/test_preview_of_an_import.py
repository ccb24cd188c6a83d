"""Before an import, the page shows what the file contains."""

import io
import zipfile

from tests.conftest import ORIGIN
from tests.dashboard.test_exchange import upload
from tests.support.visitors import Visitor, seen


async def test_the_names_of_notes_are_shown_above_their_texts(ann: Visitor) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as notes:
        notes.writestr("Insurance.md", "The policy is in the blue folder.")
        notes.writestr("Tea.md", "# Tea\n\nGreen.")
    begun = await upload(ann, packed.getvalue(), "notes.zip")
    page = seen(await ann.get(begun.headers["location"]))
    assert "Insurance The policy is in the blue folder." in page
    assert "Tea # Tea" not in page


async def test_an_empty_file_is_said_to_be_empty(ann: Visitor) -> None:
    assert "This file is empty." in seen(await upload(ann, b""))
    nothing = await ann.client.post(f"{ann.project}/transfer", files={"file": ("", b"")}, headers={"Origin": ORIGIN})
    assert "Choose a file to import." in seen(nothing)
