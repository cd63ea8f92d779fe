"""A stock libtorrent without encryption, at its settings for speed, driven over stdin and stdout by libtorrent.ts.

usage: libtorrent_peer.py LISTEN_ADDRESS
Reads lines
  seed TORRENT FOLDER       shares what lies in FOLDER; it is checked first
  download TORRENT FOLDER   downloads into FOLDER
  peer HOST PORT            connects to a peer
  remove                    forgets the torrent; files stay
and prints "listening PORT", "added", "seeding", "removed". "seeding" comes when every piece is there and checked.
"""
import os
import select
import sys

import libtorrent as lt

settings = lt.high_performance_seed()
settings.update({
    "listen_interfaces": sys.argv[1] + ":0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # Plain TCP: no encryption, and no uTP, which is slower over loopback.
    "out_enc_policy": int(lt.enc_policy.pe_disabled),
    "in_enc_policy": int(lt.enc_policy.pe_disabled),
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
})
session = lt.session(settings)
reader, writer = os.pipe()
os.set_blocking(reader, False)
session.set_alert_fd(writer)
handle = None


def say(line):
    print(line, flush=True)


def obey(words):
    global handle
    command, *arguments = words
    if command in ("seed", "download"):
        torrent, folder = arguments
        handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
        handle.unset_flags(lt.torrent_flags.auto_managed)
        handle.resume()
        say("added")
    elif command == "peer":
        host, port = arguments
        handle.connect_peer((host, int(port)))
    elif command == "remove":
        session.remove_torrent(handle)
        handle = None


say(f"listening {session.listen_port()}")
lines = b""
while True:
    readable, _, _ = select.select([sys.stdin, reader], [], [], 5)
    if sys.stdin in readable:
        piece = os.read(0, 65536)
        if not piece:
            break
        lines += piece
        *whole, lines = lines.split(b"\n")
        for line in whole:
            obey(line.decode().split())
    if reader in readable:
        os.read(reader, 65536)
    for alert in session.pop_alerts():
        name = alert.what()
        if name == "torrent_finished":
            say("seeding")
        elif name == "torrent_removed":
            say("removed")
        elif "error" in name or "failed" in name:
            print(f"{name}: {alert.message()}", file=sys.stderr, flush=True)
