"""Every Content-Security-Policy that this server sends (CSP Level 3), on one screen."""

_OWN_ASSETS = "style-src 'self'; script-src 'self'; img-src 'self'"

API = "default-src 'none'; frame-ancestors 'none'"
# connect-src: the page that waits for an assistant polls the server until the assistant has connected.
DASHBOARD = (
    f"default-src 'none'; {_OWN_ASSETS}; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# No form-action: Chromium applies it to the redirects after a form, and these pages lead to the client's own address.
FLOW = f"default-src 'none'; {_OWN_ASSETS}; base-uri 'none'; frame-ancestors 'none'"
DOCS = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
