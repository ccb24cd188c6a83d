"""`create-client`: an OAuth client for an application that cannot register itself."""

from argparse import Namespace

from server.commands.accounts import writing
from server.commands.output import print_result
from server.domain.grants import clients
from server.settings import Settings


def create_client(settings: Settings, args: Namespace) -> None:
    """Create a client. Print its id and, for a confidential one, its secret on a second line. Raises Invalid."""
    with writing(settings) as session:
        client, secret = clients.configure(
            session, args.name, args.redirect_uri, settings.public_url, is_confidential=args.confidential
        )
        client_id = client.id
    print_result(client_id)
    if secret is not None:
        print_result(secret)
