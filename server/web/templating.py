"""The Jinja environments of the doors: every value is escaped, and an unknown name is an error."""

import functools

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


@functools.cache
def environment(*packages: str) -> Environment:
    """Return the environment that looks for templates in each package's `templates` folder, in this order. The same
    packages get the same environment, so a door adds its filters once.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
