"""The dashboard door: pages for people. Each request has a session cookie, runs one operation, and gets a page or a
303.
"""
