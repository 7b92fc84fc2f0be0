"""The page and the API: uploads in, results out, by HTTP.

It changes nothing but the folder of uploads: pictures go in there, and so do orders, which the
daemon carries out. Only this package imports starlette, uvicorn and python-multipart.

Does not belong here: what happens to a picture (lifecycle), pages for monitors (reporting).
"""

#: What other packages may import; everything else is private to this one.
__all__ = ["access", "keys", "records", "server", "site", "sources"]
