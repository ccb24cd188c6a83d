"""Teams: organizations, projects, their members, invitations and API keys."""
