"""A made-up world to try the package in: stand-ins for the providers' APIs, a demo Postiz, local servers.

Nothing here is used by a deployment unless it is asked for by name.
"""
