"""The lab: a pretend Internet on this machine, in which the wizard meets a fresh Debian VPS.

Its parts are a VPS, a home server and a world (name servers, a certificate authority, a big mail provider), each
a real Debian with systemd as PID 1, in network namespaces that have no link to the outside.
See README.md beside this file for how to use it by hand.
"""
