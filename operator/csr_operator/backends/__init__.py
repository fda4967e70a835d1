"""The certificate authorities: one file each."""
