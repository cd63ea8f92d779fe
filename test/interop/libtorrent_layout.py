"""What libtorrent reads in a torrent, as JSON: the judge of libtorrent-folder.test.ts.

usage: libtorrent_layout.py TORRENT [SAVE_FOLDER]
With a folder it also says which part of the torrent it finds there: it hashes all pieces.
"""
import json
import sys
import time

import libtorrent as lt

info = lt.torrent_info(sys.argv[1])
storage = info.files()


def entry(index):
    flags = storage.file_flags(index)
    is_link = bool(flags & lt.file_storage.flag_symlink)
    return {
        "path": storage.file_path(index),
        "lengthBytes": storage.file_size(index),
        "offsetBytes": storage.file_offset(index),
        "isPadding": bool(flags & lt.file_storage.flag_pad_file),
        "isExecutable": bool(flags & lt.file_storage.flag_executable),
        "linkTarget": storage.symlink(index) if is_link else None,
        "sha1": str(storage.hash(index)),
    }


def part_found(folder):
    with open(sys.argv[1], "rb") as file:
        torrent = lt.bdecode(file.read())
    # With a certificate that is none, libtorrent would not begin.
    del torrent[b"info"][b"ssl-cert"]
    plain = lt.torrent_info(torrent)
    session = lt.session({"listen_interfaces": "", "enable_dht": False, "enable_lsd": False})
    handle = session.add_torrent({"ti": plain, "save_path": folder})
    until = time.monotonic() + 30
    while time.monotonic() < until:
        status = handle.status()
        if status.state not in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data):
            return status.progress
        time.sleep(0.02)
    return None


print(json.dumps({
    "infoHash": str(info.info_hash()),
    "isPrivate": info.priv(),
    "pieceCount": info.num_pieces(),
    "lengthBytes": info.total_size(),
    "partFound": part_found(sys.argv[2]) if len(sys.argv) > 2 else None,
    "files": [entry(index) for index in range(storage.num_files())],
}))
