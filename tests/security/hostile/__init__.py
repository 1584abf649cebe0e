"""Requests that mean no good: each must be refused in the API's own words, and leave nothing.

``@name@`` in a path, a header or a body is the id of something that is there.
"""
