"""libtorrent as the swarm bench runs it: one seed or one peer, in the namespace that it is started in.

    torrent.py make FILE TORRENT
    torrent.py share TORRENT FOLDER ADDRESS PEERS READY GO DONE

`share` makes the file READY once it listens, waits for the file GO, connects to PEERS (addresses with
commas between them), and makes DONE once it has everything. Then it goes on serving until it is killed.
"""

import os
import sys
import time

import libtorrent as lt

PORT = 6881


def make(file, torrent):
    storage = lt.file_storage()
    lt.add_files(storage, file)
    creator = lt.create_torrent(storage, 256 * 1024)
    lt.set_piece_hashes(creator, os.path.dirname(file))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(creator.generate()))


def wait_until(holds):
    while not holds():
        time.sleep(0.005)


def share(torrent, folder, address, peers, ready, go, done):
    session = lt.session(
        {
            "listen_interfaces": f"{address}:{PORT}",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            # Without this, peers behind the same subnet address are taken for one.
            "allow_multiple_connections_per_ip": True,
        }
    )
    handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
    wait_until(lambda: handle.status().state in (lt.torrent_status.downloading, lt.torrent_status.seeding))
    open(ready, "w").close()
    wait_until(lambda: os.path.exists(go))
    for peer in filter(None, peers.split(",")):
        handle.connect_peer((peer, PORT))
    wait_until(lambda: handle.status().is_seeding)
    open(done, "w").close()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    {"make": make, "share": share}[sys.argv[1]](*sys.argv[2:])
