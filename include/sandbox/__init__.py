"""A made-up world to try the package in: stand-ins for the providers' APIs, a demo Postiz, local servers.

A deployment uses nothing of this unless it asks for it by name.
"""
