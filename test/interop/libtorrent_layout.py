"""What libtorrent reads in a torrent, as JSON: the judge of libtorrent-folder.test.ts.

usage: libtorrent_layout.py TORRENT
"""
import json
import sys

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


print(json.dumps({
    "infoHash": str(info.info_hash()),
    "isPrivate": info.priv(),
    "pieceCount": info.num_pieces(),
    "lengthBytes": info.total_size(),
    "files": [entry(index) for index in range(storage.num_files())],
}))
