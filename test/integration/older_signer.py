#!/usr/bin/env python3
"""A station's signer of before there were nonces: the real one, behind a link
that refuses what such a signer does not know."""
import os
import socket
import struct
import subprocess
import sys
import threading

HELLO, EPOLICY = 1, 3
KNOWS_NONCES = 1 << 16
SIGNER = "@SIGNER@"


def refusal(frame):
    tag, = struct.unpack_from(">I", frame, 4)
    text = b"hello: version 65537, want 1"
    body = bytes([EPOLICY]) + struct.pack(">H", len(text)) + text
    return bytes([frame[0], frame[1] | 0x80, 0, 1]) + struct.pack(
        ">II", tag, len(body)) + body


def to_signer(station, signer):
    while frame := station.recv(1 << 17):
        if frame[1] == HELLO and struct.unpack_from(
                ">I", frame, 12)[0] & KNOWS_NONCES:
            station.send(refusal(frame))
        else:
            signer.send(frame)
    signer.shutdown(socket.SHUT_WR)


def from_signer(signer, station):
    while frame := signer.recv(1 << 17):
        station.send(frame)


args = sys.argv[1:]
if args[0] != "run":
    os.execv(SIGNER, [SIGNER, *args])
links = dict(x.split(":") for x in args[-1].split(","))
station = socket.socket(fileno=int(links["issue"]))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
args[-1] = f"issue:{theirs.fileno()},ledger:{links['ledger']}"
with subprocess.Popen([SIGNER, *args], pass_fds=[
        theirs.fileno(), int(links["ledger"])]) as p:
    theirs.close()
    os.close(int(links["ledger"]))
    for way in ((to_signer, station, ours), (from_signer, ours, station)):
        threading.Thread(target=way[0], args=way[1:], daemon=True).start()
    os._exit(p.wait())
