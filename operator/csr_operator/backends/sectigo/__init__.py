"""`sectigo`: Sectigo Certificate Manager (SCM), by its REST API, version 25.

Written from the "SCM REST API" reference 25.5 and the OpenAPI document "Admin Operations" 25.9.2. It has been run
against an emulation of these alone, never against Sectigo's own servers.
"""

from .backend import SectigoBackend as SectigoBackend
