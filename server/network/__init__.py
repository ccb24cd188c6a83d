"""Names on the network: URLs, domains, mail addresses, proxies."""
