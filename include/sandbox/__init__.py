"""A make-believe world to try the package in: a Graph API stand-in, a demo Postiz database, local servers.

Nothing here is used by a deployment unless it is asked for by name.
"""
