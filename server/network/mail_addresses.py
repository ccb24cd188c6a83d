"""Builds the addresses of letters."""

from email.headerregistry import Address

from server.network import domain_names


def mail_address(name: str, address: str) -> Address:
    """Return an address that may have letters outside ASCII. Raises ValueError.

    Its domain is sent in ASCII, which every server takes. Letters before the @ need SMTPUTF8 (RFC 6531). `Address`
    refuses them when it checks an address, so others stand for them there.
    """
    username, _, domain = address.rpartition("@")
    ascii_domain = domain_names.in_ascii(domain)
    stand_in = "".join(char if char.isascii() else "x" for char in username)
    try:
        checked = Address(name, addr_spec=f"{stand_in}@{ascii_domain}")
    except Exception as error:  # noqa: BLE001 - Python's parser raises many kinds
        raise ValueError(str(error)) from None
    return checked if username.isascii() else Address(name, username=username, domain=ascii_domain)
