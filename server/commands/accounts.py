"""Creates and changes accounts without a browser, whether or not the server runs."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import Session, col, select

from server.adapters.mail import open_mailer
from server.commands.existing import existing
from server.commands.output import print_message, print_result
from server.commands.sqlite_copy import database_file
from server.domain import addresses, letters, names
from server.domain.people import passwords, second_factors, users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.errors import Invalid
from server.machine.own_command import command_line
from server.models import Organization, Project, User
from server.models.organizations import OrganizationKind
from server.settings import Settings
from server.storage.database import migrated


def create_user(settings: Settings, args: Namespace) -> None:
    """Create an account with a confirmed address and print its id. Raises Invalid, EmailTaken."""
    password = _first_line_of_input() if args.password_stdin else args.password
    with writing(settings) as session:
        hashed = None if password is None else passwords.new_hash(session, password, args.email, args.name or "")
        user = users.register(session, args.email, args.name, hashed, verified=True)
    print_result(user.id)
    _tell_how_to_sign_in(user)


def _first_line_of_input() -> str:
    """Read the line as UTF-8, even if the terminal uses another encoding, without a byte order mark. Raises Invalid."""
    try:
        return sys.stdin.buffer.readline().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Invalid("must be UTF-8 text.", field="password") from None


def create_key(settings: Settings, args: Namespace) -> None:
    """Create a key, and the user and project if they are missing. Print the key. Raises Invalid."""
    with writing(settings) as session:
        address = names.parse_email(args.email)
        user = users.by_email(session, address) or users.register(session, address, "", None, verified=True)
        project = _project(session, user, args.project)
        permissions = [part.strip() for part in args.permissions.split(",") if part.strip()]
        row, key = api_keys.issue(session, project, user.id, NewKey("Command line", permissions, args.expires_in_days))
        api_keys.announce(session, project, row, None)
    print_result(key)
    print_message(f"The key is for the project {project.name} ({project.id}).")
    _tell_how_to_sign_in(user)


def reset_password(settings: Settings, args: Namespace) -> None:
    """Print a link that sets a new password. It works once, for an hour. Raises Invalid, NoAccount.

    `--remove-second-factor` also removes the account's authenticator app and recovery codes.
    """
    with existing(settings) as database, database.write() as session:
        user, token = passwords.issue_reset(session, names.parse_email(args.email))
        is_removed = args.remove_second_factor and second_factors.remove(session, user)
    print_result(letters.reset_link(settings.public_url, token))
    if is_removed:
        print_message(
            "The authenticator app and the recovery codes no longer work. Until somebody opens the link and sets a new "
            "password, the current password alone signs in."
        )


def change_email(settings: Settings, args: Namespace) -> None:
    """Give an account another address, without a confirmation, and print the account's id. Raises Invalid, NoAccount,
    EmailTaken.
    """
    with existing(settings) as database, database.write() as session:
        as_stored = users.by_email(session, args.email.strip().lower())  # also one that a migration left in ASCII
        user = as_stored or users.require_by_email(session, names.parse_email(args.email))
        addresses.change(session, user, names.parse_email(args.to), open_mailer(settings, database))
    print_result(user.id)
    print_message(f"The account now has the address {user.email}. It is signed out everywhere.")
    _tell_how_to_sign_in(user)


def _tell_how_to_sign_in(user: User) -> None:
    if user.password_hash is None:
        reset = command_line("reset-password", "--email", user.email or "")
        print_message(f"To open the pages, set a password first: {reset}")


def _project(session: Session, user: User, name: str | None) -> Project:
    """Return the named project of the personal organization, created if missing. Without a name, return the oldest."""
    is_personal = (Organization.owner_id == user.id, Organization.kind == OrganizationKind.PERSONAL)
    organization = session.exec(select(Organization).where(*is_personal)).one()
    query = select(Project).where(Project.organization_id == organization.id).order_by(col(Project.id))
    if name is None:
        return session.exec(query).first() or users.add_project(session, organization, user, users.FIRST_PROJECT)
    cleaned = names.parse_name(name, field="project")
    project = session.exec(query.where(Project.name_key == names.key_of(cleaned))).first()
    return project or users.add_project(session, organization, user, cleaned)


@contextmanager
def writing(settings: Settings) -> Iterator[Session]:
    """Open the migrated database, and begin a transaction that may write. Say so if this creates the database, also if
    the transaction fails.
    """
    is_new = settings.is_sqlite and not database_file(settings).exists()
    with migrated(settings.database_url.get_secret_value()) as database:
        if is_new:
            print_message(
                f"Created the database {database_file(settings)}. If the server uses another one, repeat this with its "
                "SELFMEMORY_DATA_DIR."
            )
        with database.write() as session:
            yield session
