"""A stock libtorrent as an SSL-torrent peer, driven over stdin and stdout by libtorrent.test.ts.

usage: libtorrent_peer.py TORRENT SAVE_FOLDER [CERTIFICATE_PEM]
Reads lines "HOST PORT" of peers to connect to; prints "progress FRACTION DOWNLOADED PEERS" four times a second.
"""
import select
import sys
import time

import libtorrent as lt

torrent, folder = sys.argv[1], sys.argv[2]
certificate = sys.argv[3] if len(sys.argv) > 3 else None

session = lt.session({
    "listen_interfaces": "127.0.0.1:0s",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification,
})
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
if certificate is not None:
    handle.set_ssl_certificate(certificate, certificate, "", "")
print("ready", flush=True)

while True:
    readable, _, _ = select.select([sys.stdin], [], [], 0.25)
    if readable:
        line = sys.stdin.readline()
        if not line:
            break
        host, port = line.split()
        handle.connect_peer((host, int(port)))
    for alert in session.pop_alerts():
        print(f"{alert.what()}: {alert.message()}", file=sys.stderr, flush=True)
    status = handle.status()
    print(f"progress {status.progress} {status.total_payload_download} {status.num_peers}", flush=True)
    time.sleep(0.05)
