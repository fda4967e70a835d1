"""TXT records that prove control over a name: written by a provider, looked for at the zone's own servers."""
